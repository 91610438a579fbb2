"""What a running `txmesh up` does for others: it builds replicas, and removes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from ..catalogue import did_you_mean
from ..code import find_code
from ..faults import Failed
from ..fleet.drivers.interface import Build, Built
from .logs import Logs
from .messages import (
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
from .plan import Slot
from .supervisor import Supervisor

# As registries take them; it becomes part of file names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}").fullmatch
_TAIL_LINES = 20


class Control:
    """See the module."""

    def __init__(
        self,
        supervisor: Supervisor,
        *,
        services: Collection[str],
        folder: Path,
        marks: Path,
        logs: Logs,
        tell: Callable[[str], None],
    ) -> None:
        """Take what the answers need.

        Args:
            supervisor: keeps the replicas.
            services: the names of those that can be built.
            folder: what the folder of a build's code is relative to.
            marks: the folder for the files that say that a replica was announced.
            logs: the replicas' logs.
            tell: told of what is built.
        """
        self._supervisor = supervisor
        self._services = services
        self._folder = folder
        self._marks = marks
        self._logs = logs
        self._tell = tell

    def answer(self, question: Question) -> Deferred[Answer]:
        """Answer one question; what cannot be done is answered with a `Refusal`."""
        return ensureDeferred(self._answer(question)).addErrback(_refused)

    async def _answer(self, question: Question) -> Answer:
        match question:
            case BuiltAsked(service):
                return Replicas(self._built(service))
            case BuildAsked(build):
                self._build(build)
                return Done()
            case RetireAsked(replica):
                self._retire(replica)
                return Done()
            case RemoveAsked(replica):
                await self._remove(replica)
                return Done()
            case TailAsked(replica):
                return Lines(self._logs.of(_checked(replica)).tail(_TAIL_LINES))

    def _built(self, service: str) -> list[Built]:
        return [
            Built(
                replica=kept.slot.replica,
                service=service,
                version=kept.slot.version,
                state=kept.state,
                why=kept.why,
            )
            for kept in self._supervisor.kept.values()
            if kept.slot.service == service
        ]

    def _build(self, build: Build) -> None:
        name = _checked(build.replica)
        if self._supervisor.stopping:
            raise Failed("`txmesh up` is stopping, and builds nothing more")
        if build.service not in self._services:
            raise Failed(
                f"`txmesh up` knows no service {build.service!r}; "
                f"{did_you_mean(build.service, self._services)}"
            )
        code = find_code(self._folder, build.code, build.service)
        slot = Slot(
            build.service,
            name,
            build.version,
            str(code or ""),
            (self._marks / f"{name}.announced").absolute(),
        )
        there = self._supervisor.kept.get(name)
        if there is None:
            self._tell(f"building {name} (version {build.version}) on standby")
            self._supervisor.add(slot)
        elif there.leaves or there.slot != slot:
            now = "being removed" if there.leaves else f"there as another, {_told(there.slot)}"
            raise Failed(f"{name} is {now}; build one under a name of its own")

    def _retire(self, replica: str) -> None:
        kept = self._supervisor.kept.get(replica)
        if kept is not None:
            kept.retire()

    async def _remove(self, replica: str) -> None:
        kept = self._supervisor.kept.get(replica)
        if kept is not None:
            await self._supervisor.remove(replica)
            if kept.slot.mark is not None:
                kept.slot.mark.unlink(missing_ok=True)
            self._logs.forget(replica)


def _checked(replica: str) -> str:
    if not _NAME(replica):
        raise Failed(
            f"{replica!r} is no name for a replica: 1 to 100 letters, digits, dots, dashes and "
            "underscores, the first a letter or a digit"
        )
    return replica


def _told(slot: Slot) -> str:
    code = f" from {slot.code}" if slot.code else ""
    return f"{slot.service} version {slot.version}{code}"


def _refused(failure: Failure) -> Answer:
    failure.trap(Failed, OSError)
    return Refusal(str(failure.value))
