"""What counts as standing still."""

from __future__ import annotations

from twisted.internet.task import Clock

from services.kit.metrics import Exposition
from services.kit.stalls import Stalls


def counted(stalls: Stalls) -> tuple[float, float]:
    """How many, and the seconds, as a scrape shows them."""
    lines = Exposition(stalls).text().decode().splitlines()
    values = dict(line.split(" ") for line in lines if line.startswith("mesh_stall"))
    return float(values["mesh_stalls_total"]), float(values["mesh_stalled_seconds_total"])


def test_what_comes_late_by_much_is_counted_with_its_time() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    stalls.start()
    clock.pump([0.1] * 20)
    clock.advance(0.14)  # busy, not still
    assert counted(stalls) == (0, 0)
    clock.advance(0.5)
    clock.pump([0.1] * 20)
    clock.advance(1.1)
    count, seconds = counted(stalls)
    assert count == 2
    assert abs(seconds - 1.4) < 1e-6


def test_nobody_looks_before_it_begins_or_when_it_is_over() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    stalls.stop()
    assert not clock.getDelayedCalls()
    stalls.start()
    stalls.stop()
    stalls.stop()
    assert not clock.getDelayedCalls()
