"""Doubles for tests of whatever uses the balancer: a world of scripted replicas in virtual time.

::

    world = World(seed=1)
    one, two = world.add("users", 2)
    one.behaviour = Silent()
    world.run(1.0)

The dispatcher, the policies and the sweep are the real ones; only clock, registry and replicas are
doubles. So what a test proves here holds on sockets too, and a minute takes a fraction of a second.
"""

from .behaviour import Answer, Behaviour, Breaks, Garbled, Refuses, Scripted, Silent
from .registry import FakeRegistry
from .replica import FakeChannel, FakeReplica, Received
from .world import Outcome, World, plain

__all__ = [
    "Answer",
    "Behaviour",
    "Breaks",
    "FakeChannel",
    "FakeRegistry",
    "FakeReplica",
    "Garbled",
    "Outcome",
    "Received",
    "Refuses",
    "Scripted",
    "Silent",
    "World",
    "plain",
]
