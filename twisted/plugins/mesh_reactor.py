from twisted.application.reactors import Reactor

mesh = Reactor("mesh", "balancer.transport.reactor", "epoll with writes at once (txmesh)")
