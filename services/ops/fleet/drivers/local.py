"""Replicas as children of the `txmesh up` that runs beside the same configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred

from ...faults import Failed
from ...up.channel import SOCKET, NoAnswer, ask
from ...up.messages import (
    Answer,
    BuildAsked,
    BuiltAsked,
    Done,
    Lines,
    Question,
    Refusal,
    RemoveAsked,
    Replicas,
    RetireAsked,
    TailAsked,
)
from .interface import Build, Built, DriverError

# All but a removal is done at once.
_ANSWER_S = 10.0

Kind = TypeVar("Kind", bound=Answer)


class LocalDriver:
    """See the module, and `services.ops.fleet.drivers.interface.Driver`."""

    name = "local"

    def __init__(self, folder: Path, *, stop_s: float, reactor: Any) -> None:
        """Connect to nothing yet.

        Args:
            folder: the configuration's, in which `txmesh up` has its state.
            stop_s: how long that waits for a replica to leave, in seconds.
            reactor: where connections live.
        """
        self._folder = folder
        self._socket = folder / ".mesh" / SOCKET
        self._stop_s = stop_s
        self._reactor = reactor

    def built(self, service: str) -> Deferred[list[Built]]:
        """See `Driver`."""
        asked = ensureDeferred(self._ask(BuiltAsked(service), Replicas))
        return asked.addCallback(lambda answer: answer.replicas)

    def build(self, build: Build) -> Deferred[None]:
        """See `Driver`; a code folder that is not a whole path lies beside the configuration."""
        return ensureDeferred(self._do(BuildAsked(build)))

    def retire(self, replica: str) -> Deferred[None]:
        """See `Driver`."""
        return ensureDeferred(self._do(RetireAsked(replica)))

    def remove(self, replica: str) -> Deferred[None]:
        """See `Driver`; fires when its process is gone."""
        return ensureDeferred(self._do(RemoveAsked(replica), self._stop_s))

    def tail(self, replica: str) -> Deferred[list[str]]:
        """See `Driver`; of a replica that is removed too."""
        asked = ensureDeferred(self._ask(TailAsked(replica), Lines))
        return asked.addCallback(lambda answer: answer.lines)

    def close(self) -> None:
        """See `Driver`; nothing is kept open."""

    async def _do(self, question: Question, takes_s: float = 0.0) -> None:
        await self._ask(question, Done, takes_s)

    async def _ask(self, question: Question, kind: type[Kind], takes_s: float = 0.0) -> Kind:
        within_s = takes_s + _ANSWER_S
        try:
            answer = await ask(self._reactor, self._socket, question, within_s=within_s)
        except NoAnswer as error:
            raise DriverError(
                f"no `txmesh up` answers in {self._folder}: {error}; start it there and wait until "
                "its replicas are ready, or choose another driver"
            ) from None
        except Failed as error:
            raise DriverError(str(error)) from None
        if isinstance(answer, Refusal):
            raise DriverError(answer.why)
        if not isinstance(answer, kind):
            raise DriverError(
                f"`txmesh up` answered with {type(answer).__name__} where {kind.__name__} was "
                "expected; is it of another version?"
            )
        return answer
