"""Virtual time: order, handles, and the same history as Twisted's own clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from balancer.simulation.scheduler import START_S, Scheduler


def test_it_is_what_twisted_asks_for() -> None:
    scheduler = Scheduler()
    verifyObject(IReactorTime, scheduler)
    verifyObject(IDelayedCall, scheduler.callLater(1, list))


def test_events_happen_by_instant_and_then_in_the_order_they_were_entered() -> None:
    scheduler = Scheduler()
    seen: list[tuple[str, float]] = []

    def see(name: str) -> None:
        seen.append((name, scheduler.seconds()))

    scheduler.at(START_S + 2, see, "late")
    scheduler.at(START_S + 1, see, "first")
    scheduler.callLater(1, see, "second")
    scheduler.at(START_S + 1, see, "third")
    scheduler.run()
    assert seen == [
        ("first", START_S + 1),
        ("second", START_S + 1),
        ("third", START_S + 1),
        ("late", START_S + 2),
    ]


def test_what_is_entered_meanwhile_for_the_same_instant_happens_too() -> None:
    scheduler = Scheduler()
    seen: list[str] = []
    scheduler.at(START_S + 1, lambda: scheduler.at(scheduler.now, seen.append, "inner"))
    scheduler.run_until(START_S + 1)
    assert seen == ["inner"]


def test_running_to_an_instant_stands_there_and_leaves_the_rest() -> None:
    scheduler = Scheduler()
    seen: list[int] = []
    scheduler.at(START_S + 3, seen.append, 1)
    scheduler.run_until(START_S + 2)
    assert scheduler.now == START_S + 2
    assert not seen
    scheduler.run_until(START_S + 1)
    assert scheduler.now == START_S + 2, "time does not go back"
    scheduler.run()
    assert (seen, scheduler.now) == ([1], START_S + 3)


def test_a_past_instant_is_now() -> None:
    scheduler = Scheduler()
    seen: list[float] = []
    scheduler.run_until(START_S + 5)
    scheduler.at(START_S + 1, lambda: seen.append(scheduler.now))
    scheduler.run()
    assert seen == [START_S + 5]


def test_a_cancelled_call_does_not_happen_and_cannot_be_cancelled_again() -> None:
    scheduler = Scheduler()
    seen: list[int] = []
    call = scheduler.callLater(1, seen.append, 1)
    assert call.active()
    call.cancel()
    assert not call.active()
    scheduler.run()
    assert not seen
    for act in (call.cancel, lambda: call.reset(1), lambda: call.delay(1)):
        with pytest.raises(AlreadyCancelled):
            act()


def test_a_call_that_happened_is_over() -> None:
    scheduler = Scheduler()
    call = scheduler.callLater(1, list)
    scheduler.run()
    assert not call.active()
    with pytest.raises(AlreadyCalled):
        call.cancel()


def test_a_call_can_be_moved_both_ways() -> None:
    scheduler = Scheduler()
    seen: list[tuple[str, float]] = []

    def see(name: str) -> None:
        seen.append((name, scheduler.now - START_S))

    sooner = scheduler.callLater(9, see, "sooner")
    later = scheduler.callLater(1, see, "later")
    sooner.reset(2)
    later.delay(3)
    assert (sooner.getTime(), later.getTime()) == (START_S + 2, START_S + 4)
    scheduler.run()
    assert seen == [("sooner", 2.0), ("later", 4.0)]


def test_the_delayed_calls_are_those_that_will_happen_in_their_order() -> None:
    scheduler = Scheduler()
    one = scheduler.callLater(3, list)
    two = scheduler.callLater(1, list)
    gone = scheduler.callLater(2, list)
    gone.cancel()
    one.reset(4)
    scheduler.at(START_S + 1, list)
    assert scheduler.getDelayedCalls() == [two, one]


def test_a_delay_below_nought_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not below 0"):
        Scheduler().callLater(-1, list)


Step = tuple[str, int, float]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(("add", "cancel", "reset", "delay", "run")),
        st.integers(0, 8),
        st.integers(0, 8).map(float),
    ),
    max_size=60,
)


def history(clock: Any, run: Callable[[float], None], steps: list[Step]) -> list[Any]:
    """What a clock makes of some steps."""
    seen: list[Any] = []
    calls: list[Any] = []
    began = clock.seconds()
    for action, number, seconds in steps:
        call = calls[number % len(calls)] if calls else None
        if action == "add":
            name = len(calls)
            calls.append(
                clock.callLater(
                    seconds, lambda name=name: seen.append((name, clock.seconds() - began))
                )
            )
        elif action == "run":
            run(seconds)
        elif call is not None and call.active():
            getattr(call, action)(*(() if action == "cancel" else (seconds,)))
    run(100.0)
    return seen


@given(_STEPS)
def test_it_tells_the_same_history_as_twisteds_clock(steps: list[Step]) -> None:
    clock = Clock()

    def advance(seconds: float) -> None:
        end = clock.seconds() + seconds
        while (due := min((call.getTime() for call in clock.calls), default=end + 1)) <= end:
            clock.advance(max(0.0, due - clock.seconds()))
        clock.advance(end - clock.seconds())

    scheduler = Scheduler()
    ours = history(scheduler, lambda s: scheduler.run_until(scheduler.now + s), steps)
    theirs = history(clock, advance, steps)
    # Within one instant a moved call comes by its new place here, and by its old one there.
    assert sorted(ours, key=lambda event: (event[1], event[0])) == sorted(
        theirs, key=lambda event: (event[1], event[0])
    )
    assert [instant for _, instant in ours] == sorted(instant for _, instant in ours)
