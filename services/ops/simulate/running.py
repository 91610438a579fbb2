"""The sign of life of what takes long: on a terminal's standard error alone."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.status import Status

from ..output import console

# Each turn of the sign takes the interpreter from the simulation for a moment.
_TURNS_PER_S = 5


class Running:
    """Says what is being run, while it is; leaves nothing behind."""

    def __init__(self, what: str, total: int) -> None:
        """Say nothing yet.

        Args:
            what: is run.
            total: how many times.
        """
        self._what = what
        self._total = total
        self._begun = 0
        screen = console(errors=True)
        self._status: Status | None = None
        if screen.is_terminal:
            self._status = Status(what, console=screen, refresh_per_second=_TURNS_PER_S)

    def begin(self, which: str) -> None:
        """Say that the next one has begun.

        Args:
            which: such as a policy's name.
        """
        self._begun += 1
        if self._status is not None:
            count = f" ({self._begun} of {self._total})" if self._total > 1 else ""
            self._status.update(f"{self._what} {which}{count}")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()
