"""What is shown while a load runs: a bar on a terminal, a line a second elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from twisted.internet.task import LoopingCall

from balancer import Clock

from ..faults import say
from ..output import console
from .tally import Tally

_BAR_INTERVAL_S = 0.25
_LINE_INTERVAL_S = 1.0


def progress_line(tally: Tally, rate: float) -> str:
    """The state of a load in one line.

    Args:
        tally: what was counted.
        rate: calls ended a second, of late.
    """
    return (
        f"{rate:,.0f}/s, {tally.failed} failed, {tally.rejected} rejected, "
        f"p50 {tally.percentile_ms(0.5):.1f} ms, p99 {tally.percentile_ms(0.99):.1f} ms"
    )


class Live:
    """Shows a tally at intervals on standard error."""

    def __init__(self, clock: Clock, tally: Tally, total: int) -> None:
        """Begin to show.

        Args:
            clock: monotonic.
            tally: what is counted.
            total: how many calls there will be.
        """
        self._tally = tally
        self._total = total
        self._seconds = clock.seconds
        self._before = (clock.seconds(), 0)
        self._bar: Progress | None = None
        screen = console(errors=True)
        show: Callable[[], None] = self._show_line
        if screen.is_terminal:
            columns = (BarColumn(30), TaskProgressColumn(), TextColumn("{task.description}"))
            # Without rich's own thread: this process has a reactor to turn it.
            self._bar = Progress(*columns, console=screen, auto_refresh=False, transient=True)
            self._task = self._bar.add_task("", total=total)
            self._bar.start()
            show = self._show_bar
        self._loop = LoopingCall(show)
        clock_of_loop: Any = clock
        self._loop.clock = clock_of_loop
        self._loop.start(_BAR_INTERVAL_S if self._bar else _LINE_INTERVAL_S, now=False)

    def stop(self) -> None:
        """Show no more, and leave the screen as it was."""
        self._loop.stop()
        if self._bar is not None:
            self._bar.stop()

    def _rate(self) -> float:
        then, calls = self._before
        now = self._seconds()
        self._before = (now, self._tally.calls)
        return (self._tally.calls - calls) / (now - then) if now > then else 0.0

    def _show_bar(self) -> None:
        assert self._bar is not None
        text = progress_line(self._tally, self._rate())
        self._bar.update(self._task, completed=self._tally.calls, description=text)
        self._bar.refresh()

    def _show_line(self) -> None:
        text = progress_line(self._tally, self._rate())
        say(f"{self._tally.calls} of {self._total} calls: {text}")
