"""Several processes a port: a master that owns the socket, and workers that accept on it.

The socket is bound by the master and passed down. The other way, a socket of its own for each
worker by SO_REUSEPORT, gives each a queue of its own: tried with 40 connections and two workers of
which one was frozen, and then killed, 17 to 20 were reset; of the passed socket's one queue the
other worker answered all 40. In return the workers must see to their shares themselves;
see ``scoreboard`` and `balancer.transport.optimistic.SharedPort`.

``totals``, ``decisions`` and ``messages`` are pure; ``crew`` keeps the workers, with processes
handed in; ``launch`` starts those. ``master`` is the replica's side, ``worker`` the process's.
"""

from .settings import WorkersSettings

__all__ = ["WorkersSettings"]
