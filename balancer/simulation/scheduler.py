"""Virtual time: events in the exact order of their instants, and nothing between them.

Twisted's own `task.Clock` sorts all its calls whenever one is added; with a thousand in flight that
is most of a simulation's time. This one keeps a heap. Events of one instant happen in the order in
which they were entered, so a history depends on nothing but the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

# Not nought: an instant of 0.0 means "never" to the policies and would hide a mistake.
START_S = 1000.0

Event = tuple[float, int, Callable[..., object], tuple[Any, ...]]


@implementer(IReactorTime)
class Scheduler:
    """A heap of events, and the instant to which they have come.

    Attributes:
        now: the present instant, in virtual seconds; `seconds` for those who want a function.
    """

    __slots__ = ("_entered", "_events", "now")

    def __init__(self) -> None:
        """Begin at `START_S` with nothing to happen."""
        self.now = START_S
        self._entered = 0
        self._events: list[Event] = []

    def seconds(self) -> float:
        """Now, in virtual seconds."""
        return self.now

    def at(self, instant: float, function: Callable[..., object], *args: Any) -> None:
        """Have a function called at an instant; this cannot be taken back.

        Args:
            instant: in virtual seconds; a past one (by a rounding error) is now.
            function: what to call.
            *args: what to call it with.

        Cost: one push on the heap.
        """
        self._entered = entered = self._entered + 1
        if instant < self.now:  # noqa: PLR1730 - max() costs three times as much here
            instant = self.now
        heappush(self._events, (instant, entered, function, args))

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 - the interface's name
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """See `IReactorTime`."""
        if delay < 0:
            raise ValueError(f"callLater {delay} s ago: a delay is not below 0")
        call = _DelayedCall(self, self.now + delay, callable, args, kwargs)
        call.enter()
        return call

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """See `IReactorTime`; what was entered with `at` has no handle and is not among them."""
        return [
            event[2]
            for event in sorted(self._events, key=lambda event: event[:2])
            if isinstance(event[2], _DelayedCall) and event[2].entered == event[1]
        ]

    def run_until(self, instant: float) -> None:
        """Let everything happen up to and at an instant, and stand there."""
        events = self._events
        while events and events[0][0] <= instant:
            self.now, _, function, args = heappop(events)
            function(*args)
        self.now = max(self.now, instant)

    def run(self) -> None:
        """Let everything happen, until nothing is left to."""
        events = self._events
        while events:
            self.now, _, function, args = heappop(events)
            function(*args)

    def stop(self) -> None:
        """Have nothing more happen."""
        self._events.clear()

    def enter(self, call: _DelayedCall) -> int:
        """Put a delayed call on the heap; its former place, if any, is void.

        Returns:
            The number of its new place.
        """
        self.at(call.instant, call, self._entered + 1)
        return self._entered


@implementer(IDelayedCall)
class _DelayedCall:
    """One delayed call. Its place on the heap is told by a number; any other is void."""

    __slots__ = ("_args", "_called", "_function", "_kwargs", "_scheduler", "entered", "instant")

    def __init__(
        self,
        scheduler: Scheduler,
        instant: float,
        function: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> None:
        self._scheduler = scheduler
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._called = False
        self.instant = instant
        self.entered = 0

    def enter(self) -> None:
        self.entered = self._scheduler.enter(self)

    def __call__(self, entered: int) -> None:
        """The heap has come to one of its places."""
        if entered == self.entered:
            self._called = True
            self.entered = 0
            self._function(*self._args, **self._kwargs)

    def getTime(self) -> float:
        return self.instant

    def cancel(self) -> None:
        self._check()
        self.entered = 0

    def delay(self, secondsLater: float) -> None:
        self._check()
        self.instant += secondsLater
        self.enter()

    def reset(self, secondsFromNow: float) -> None:
        self._check()
        self.instant = self._scheduler.now + secondsFromNow
        self.enter()

    def active(self) -> bool:
        return self.entered != 0

    def _check(self) -> None:
        if self._called:
            raise AlreadyCalled
        if not self.entered:
            raise AlreadyCancelled
