"""Calls that start on time whatever the answers do."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from clients import Mesh
from clients.users import Users

USER = "u_22yuwt6yiuetv5zn"


class SteadyLoad:
    """Fetches one user again and again, from now until it is stopped.

    Attributes:
        users: the client.
        calls: how many began.
        failures: what those said that failed.
    """

    def __init__(self, mesh: Mesh, rate: int) -> None:
        self.users = mesh.client(Users)
        self.calls = 0
        self.failures: list[str] = []
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)
        self._loop.start(1 / rate)

    def _tick(self, due: int) -> None:
        # When the machine was busy the calls that are due are made up for: the rate stays.
        for _ in range(due):
            self.calls += 1
            call = self.users.fetch(id=USER)
            self._open.add(call)
            call.addBoth(self._ended, call)

    def _ended(self, result: Any, call: Deferred[Any]) -> None:
        self._open.discard(call)
        if isinstance(result, Failure):
            self.failures.append(result.getErrorMessage())

    async def stop(self) -> None:
        """Begin no more, and wait for those that are open."""
        self._loop.stop()
        await gatherResults(list(self._open))
