"""A view over a registry that is lost, lies, or has not answered yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from balancer.discovery import Memory, View
from balancer.testing import FakeRegistry
from balancer.values import Endpoint

NOON = 1_800_000_000.0


def some(*names: int) -> list[Endpoint]:
    return [
        Endpoint(service="users", replica=f"users-{n}", address=f"10.0.0.{n}:80", pid=n)
        for n in names
    ]


class Caller:
    """Follows users through a view of its own, and knows who is gone."""

    def __init__(self, folder: Path | None = None, *, lost: bool = False, at: float = 0.0) -> None:
        self.clock = Clock()
        self.clock.rightNow = 50.0
        self.registry = FakeRegistry(self.clock)
        if lost:
            self.registry.lose()
        self.gone: set[int] = set()
        self.asked = 0
        self.told: list[list[int]] = []
        wall = NOON + at - self.clock.rightNow
        self.memory = (
            Memory(folder, "memory:", lambda: wall + self.clock.rightNow) if folder else None
        )
        self.view = View(self.registry, self.clock, self.memory)

    def watch(self) -> None:
        self.end = self.view.watch("users", self._listen, self._is_gone)

    def let_pass(self, seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            self.clock.advance(0.1)

    @property
    def knows(self) -> list[int]:
        return self.told[-1]

    def _listen(self, endpoints: Sequence[Endpoint]) -> None:
        self.told.append([each.pid for each in endpoints])

    def _is_gone(self, endpoint: Endpoint) -> bool:
        self.asked += 1
        return endpoint.pid in self.gone


@pytest.fixture
def caller() -> Caller:
    caller = Caller()
    caller.registry.set("users", some(1, 2, 3))
    caller.watch()
    return caller


def test_a_registry_that_answers_at_once_is_taken_at_its_word(tmp_path: Path) -> None:
    Memory(tmp_path, "memory:", lambda: NOON).write("users", [(each, 0.0) for each in some(1, 2)])
    caller = Caller(tmp_path)
    caller.watch()
    assert caller.told == [[]], "nobody is there, whatever was yesterday"
    caller.registry.set("users", some(3))
    caller.view.close()
    assert Memory(tmp_path, "memory:", lambda: NOON).read("users") == (some(1, 2), 0.0), (
        "and nothing is remembered of it"
    )


def test_nothing_happens_while_nothing_is_held(caller: Caller) -> None:
    caller.registry.set("users", some(1, 2))
    assert caller.knows == [1, 2]
    assert caller.clock.getDelayedCalls() == []
    asked = caller.asked
    caller.view.look("users")
    caller.view.look("products")
    assert caller.asked == asked


def test_those_who_are_held_leave_within_a_second_of_being_found_out(caller: Caller) -> None:
    caller.registry.set("users", [])
    assert caller.knows == [1, 2, 3]
    assert caller.view.held() == {"users": 3}
    caller.let_pass(60.0)
    assert caller.knows == [1, 2, 3]
    caller.gone = {2}
    caller.let_pass(1.1)
    assert caller.knows == [1, 3]
    caller.gone = {1, 2}
    caller.view.look("users")
    assert caller.knows == [3], "at once, when calls have found out"
    caller.gone = {1, 2, 3}
    caller.let_pass(1.1)
    assert caller.knows == []
    assert caller.view.held() == {"users": 0}
    assert caller.clock.getDelayedCalls() == []


def test_those_who_are_told_again_are_held_no_more(caller: Caller) -> None:
    caller.registry.set("users", [])
    caller.registry.set("users", some(1, 2, 3))
    assert caller.view.held() == {"users": 0}
    caller.gone = {1, 2, 3}
    caller.let_pass(5.0)
    assert caller.knows == [1, 2, 3], "the registry vouches for them"


def test_whoever_is_asked_may_look_while_it_is_asked(caller: Caller) -> None:
    def is_gone(endpoint: Endpoint) -> bool:
        caller.view.look("users")
        return endpoint.pid in caller.gone

    told: list[int] = []
    caller.view.watch("users", lambda e: told.append(len(e)), is_gone)
    caller.registry.set("users", [])
    caller.gone = {1, 2}
    caller.let_pass(2.0)
    assert told == [3, 3, 1]


def test_who_does_not_watch_any_more_is_told_nothing(caller: Caller) -> None:
    caller.registry.set("users", [])
    count = len(caller.told)
    caller.end()
    caller.end()
    caller.registry.set("users", some(1))
    assert len(caller.told) == count
    assert caller.clock.getDelayedCalls() == []
    assert caller.view.held() == {}


def test_a_caller_that_starts_while_the_registry_is_lost_goes_by_what_was_known(
    tmp_path: Path,
) -> None:
    before = Caller(tmp_path, lost=True)
    before.watch()
    assert before.told == [], "nothing is known, and nothing is said"
    assert before.view.age_s() is None
    before.registry.find()
    before.registry.set("users", some(1, 2, 3))
    assert before.view.age_s() == 0.0
    before.view.close()

    after = Caller(tmp_path, lost=True, at=30.0)
    after.watch()
    assert after.told == [[1, 2, 3]]
    assert after.view.age_s() == pytest.approx(30.0)
    after.let_pass(10.0)
    assert after.view.age_s() == pytest.approx(40.0)
    assert after.view.remembered()[0] == some(1, 2, 3)
    after.registry.find()
    assert after.knows == [1, 2, 3], "an empty word just after the start is held too"
    assert after.view.age_s() == 0.0
    after.gone = {1}
    after.view.look("users")
    assert after.knows == [2, 3]
    after.registry.set("users", some(2, 3, 4))
    assert after.view.held() == {"users": 0}
    after.view.close()


def test_a_killed_process_has_written_all_but_the_last_seconds(tmp_path: Path) -> None:
    caller = Caller(tmp_path, lost=True)
    caller.watch()
    caller.registry.find()
    for number in range(2, 30):  # a change each 0.1 s: one write for all of them
        caller.registry.set("users", some(*range(1, number)))
        caller.clock.advance(0.1)
    assert caller.memory is not None
    assert caller.memory.read("users") == ([], 0.0)
    caller.let_pass(0.5)
    assert caller.memory.read("users")[0] == some(*range(1, 29))
    caller.registry.set("users", [])
    caller.let_pass(5.0)
    assert len(caller.memory.read("users")[0]) == 28, "the held are remembered too"


def test_what_does_not_change_does_not_get_old_on_disk(tmp_path: Path) -> None:
    caller = Caller(tmp_path, lost=True)
    caller.watch()
    caller.registry.find()
    caller.registry.set("users", some(1, 2))
    for _ in range(3 * 144):
        caller.clock.advance(600.0)
    assert caller.memory is not None
    known, age_s = caller.memory.read("users")
    assert (known, age_s < 700.0) == (some(1, 2), True)
    caller.registry.lose()
    for _ in range(145):
        caller.clock.advance(600.0)
    assert caller.memory.read("users") == ([], 0.0), "but what nobody confirms does"
    assert caller.knows == [1, 2], "a process keeps what it has seen itself"
    caller.view.close()
    assert caller.clock.getDelayedCalls() == []


def test_without_a_memory_it_waits_for_the_registry() -> None:
    caller = Caller(lost=True)
    caller.watch()
    assert caller.told == []
    assert caller.view.remembered() == ([], 0.0)
    caller.registry.find()
    assert caller.told == [[]]


def test_closing_ends_what_the_registry_was_asked_to_watch() -> None:
    ended: list[str] = []

    class Counted(FakeRegistry):
        def watch(self, service: str, *_: object) -> Callable[[], None]:
            return lambda: ended.append(service)

    view = View(Counted(), Clock(), None)
    view.watch("users", lambda _: None, lambda _: False)
    end = view.watch("products", lambda _: None, lambda _: False)
    end()
    view.close()
    end()
    assert ended == ["products", "users"]
