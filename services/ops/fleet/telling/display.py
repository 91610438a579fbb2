"""Events for people: a table that lives on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from balancer import Clock

from ...faults import say
from ...output import console, counted, table
from ...status import age
from .events import (
    BakeEvent,
    Event,
    NoticeEvent,
    PhaseEvent,
    ReplicaEvent,
    Side,
    StepEvent,
    WaitEvent,
)

_PHASES = {
    "build": "{replicas} of version {version} to be built",
    "canary": "version {version} takes a share of the calls, and is watched",
    "bake": "version {version} takes calls with {replicas}, and is watched",
    "held": "version {version} stays beside the old one",
    "drain": "version {version} is good: the old replicas leave",
    "undo": "version {version} leaves again",
}
_STYLES = {
    "ready": "green",
    "standby": "yellow",
    "draining": "yellow",
    "building": "yellow",
    "ended": "dim",
    "gone": "dim",
}


def line_of(event: Event) -> str:
    """An event in one line; "" for what needs none."""
    text = ""
    match event:
        case PhaseEvent():
            replicas = counted(len(event.members), "replica")
            text = _PHASES[event.phase].format(replicas=replicas, version=event.version)
            text = f"{text}: {event.why}" if event.why else text
        case ReplicaEvent():
            where = f" at {event.address}" if event.address else ""
            text = f"{event.replica} ({event.role}) is {event.state}{where}"
        case StepEvent() if event.why:
            text = f"{event.step} {event.replica}: {event.why}"
        case BakeEvent():
            text = (
                f"watched for {event.seconds:.0f} of {event.of_s:g} s: "
                f"new {_side(event.new)}; old {_side(event.old)}"
            )
        case WaitEvent():
            text = f"waiting: {event.why}"
        case NoticeEvent():
            text = event.what
    return text


def _side(side: Side) -> str:
    return f"{side.requests:,} requests, {side.errors:,} failed, p99 {side.p99_ms:.1f} ms"


def display(clock: Clock) -> tuple[Callable[[Event], None], Callable[[], None]]:
    """Something to show events with, on standard error.

    Returns:
        What shows one, and what ends showing.
    """
    # Asked of the stream: what rich calls one may be a pipe, where FORCE_COLOR says so.
    if sys.stderr.isatty():
        live = _LiveTable(clock)
        return live.show, live.stop
    return _show_line, lambda: None


def _show_line(event: Event) -> None:
    if text := line_of(event):
        say(text)


class _LiveTable:
    """One row a replica."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[str, tuple[ReplicaEvent, float, str]] = {}
        self._phase = self._bake = self._waiting = ""
        # Without rich's own thread: this process has a reactor, and events come often enough.
        self._live = Live(console=console(errors=True), auto_refresh=False)
        self._live.start()

    def stop(self) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        now = self._clock.seconds()
        match event:
            case PhaseEvent():
                self._phase, self._bake, self._waiting = line_of(event), "", ""
            case ReplicaEvent():
                _, _, step = self._rows.get(event.replica, (None, 0.0, ""))
                self._rows[event.replica] = (event, now, step)
            case StepEvent():
                row = self._rows.get(event.replica)
                if row is not None:
                    step = f"{event.step}: {event.why}" if event.why else event.step
                    self._rows[event.replica] = (row[0], row[1], step)
            case BakeEvent():
                self._bake = line_of(event)
            case WaitEvent():
                self._waiting = line_of(event)
            case NoticeEvent():
                say(line_of(event))  # above the table, where it stays
        self._live.update(self._drawn(now), refresh=True)

    def _drawn(self, now: float) -> Group:
        rows: Table = table(
            "replica", "", "version", "address", "state", "since", "step", numbers=("since",)
        )
        for event, since, step in sorted(self._rows.values(), key=_order):
            rows.add_row(
                event.replica,
                event.role,
                event.version or "-",
                event.address or "-",
                Text(event.state, style=_STYLES.get(event.state, "red")),
                age(now - since),
                step or "-",
            )
        lines: list[Any] = [rows]
        lines += [Text(line) for line in (self._phase, self._bake, self._waiting) if line]
        return Group(*lines)


def _order(row: tuple[ReplicaEvent, float, str]) -> tuple[str, str]:
    return row[0].role, row[0].replica
