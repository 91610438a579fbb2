"""How a replica is, by its own word: one small request to its admin port, with a deadline."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from balancer import CallError, Clock, Endpoint, Reply

from .asking import Asker, meant

READY = "ready"
STARTING = "starting"
STANDBY = "standby"
DRAINING = "draining"
SILENT = "silent"
UNREACHABLE = "unreachable"


def state(reply: Reply) -> str:
    """What an answer to ``/health/ready`` says.

    Ports are used again: what is no word of an admin port says that somebody else is there.
    """
    if reply.status not in (200, 503):
        return UNREACHABLE
    said = (READY,) if reply.status == 200 else (STANDBY, STARTING, DRAINING)
    return next((word for word in said if f'"{word}"'.encode() in reply.body), UNREACHABLE)


class Prober:
    """Asks replicas for their state."""

    def __init__(self, reactor: Any, clock: Clock) -> None:
        """Take what sockets and deadlines need."""
        self._asker = Asker(reactor, clock)

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        """Ask one replica.

        Args:
            endpoint: from the registry. One without an admin port (a static registry knows none)
                is asked at its service port: whoever answers there is taken for ready.

        Returns:
            Fires with "ready", "starting", "standby", "draining", "silent" (connected, and no
            answer) or "unreachable" (nobody, or another replica, is there).
        """
        if not endpoint.admin:
            asked = self._asker.ask(endpoint.address, "/openapi.json")
            return asked.addCallbacks(
                lambda reply: READY if reply.status < 500 else DRAINING, _no_answer
            )
        path = "/health/ready"
        # Announced by itself, so by its own name; a cluster or a zone may call it otherwise.
        target = meant(endpoint, path) if endpoint.pid else path
        return self._asker.ask(endpoint.admin, target).addCallbacks(state, _no_answer)


def _no_answer(failure: Failure) -> str:
    failure.trap(CallError)
    return SILENT if failure.value.sent else UNREACHABLE  # type: ignore[union-attr]
