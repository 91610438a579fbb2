"""What a call leaves behind in memory: nothing, and without the collector's help.

A cycle of references costs nothing that a single call would show; a thousand calls a second make
the collector stop the process again and again.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from balancer import Dispatcher, DispatchSettings, Reply, Request
from balancer.dispatch.call import PendingCall
from balancer.dispatch.hedged import Hedge
from balancer.testing import FakeRegistry, plain
from balancer.transport import Attempt, Sweep
from balancer.values import Endpoint


class Held:
    """A channel on which nothing happens by itself."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []

    def start(self, attempt: Attempt, *, bodiless: bool = False) -> None:
        self.attempts.append(attempt)

    def abandon(self, attempt: Attempt) -> None:
        self.attempts.remove(attempt)

    def close(self) -> None:
        pass


def calls_in_memory() -> dict[int, object]:
    """By their identity, which is nobody else's while they are held here."""
    return {id(o): o for o in gc.get_objects() if isinstance(o, (PendingCall, Hedge))}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("winner", [0, 1, "fails", "takes over", "cancelled"])
def test_a_call_that_has_ended_is_freed_without_the_collector(winner: int | str) -> None:
    before = calls_in_memory()  # other tests' calls may be held by what is still to be freed
    clock, registry, held = Clock(), FakeRegistry(), Held()
    dispatcher = Dispatcher(
        clock=clock,
        rng=random.Random(1),
        registry=registry,
        open_channel=lambda address: held,
        sweep=Sweep(clock),
        settings=DispatchSettings(),
        caller="test",
    )
    registry.set(
        "users",
        [Endpoint(service="users", replica=f"u-{n}", address=f"10.0.0.{n}:80") for n in (1, 2)],
    )
    request = Request("users", b"GET", b"/", hedge=0.95)
    good = Reply(200, [], b"")

    def call() -> Deferred[Reply]:
        return dispatcher.call(request, clock.seconds() + 10, plain, retryable=True)

    clock.advance(1.0)
    for _ in range(100):
        call()
        clock.advance(0.05)
        held.attempts.pop().replied(good)
    ended = call()
    ended.addErrback(lambda failure: None)
    clock.advance(0.1)
    one, two = held.attempts
    if winner == "fails":
        one.replied(Reply(500, [], b""))
        two.replied(Reply(404, [], b""))
    elif winner == "takes over":
        clock.advance(5.0)
        assert held.attempts == [two], "the first has had its share"
        two.replied(good)
    elif winner == "cancelled":
        ended.cancel()
    else:
        held.attempts.pop(int(winner)).replied(good)
        assert not held.attempts, "the other was taken back"
    assert ended.called
    assert len(calls_in_memory().keys() - before.keys()) == 2, "they are seen while they are here"
    del one, two, ended
    held.attempts.clear()
    assert calls_in_memory().keys() <= before.keys()
