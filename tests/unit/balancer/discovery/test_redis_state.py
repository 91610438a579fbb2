"""What is known of a service, whatever the order in which reads and changes arrive."""

from __future__ import annotations

import random

from balancer import Endpoint
from balancer.discovery.redis.state import Change, State


def endpoint(name: str, version: str = "") -> Endpoint:
    return Endpoint(service="users", replica=name, address="127.0.0.1:1", version=version)


def names(state: State) -> list[str]:
    return [each.replica for each in state.endpoints()]


def known(version: int, *replicas: str) -> State:
    state = State()
    state.ask()
    assert state.read(version, [endpoint(name) for name in replicas])
    return state


def test_changes_in_their_order_need_no_reading() -> None:
    state = known(3, "b")
    assert state.hear(Change(4, entered=endpoint("a")))
    assert names(state) == ["a", "b"]
    assert state.hear(Change(5, entered=endpoint("a", "2")))
    assert [each.version for each in state.endpoints()] == ["2", ""]
    assert state.hear(Change(6, left=["b", "nobody"]))
    assert names(state) == ["a"]
    assert state.confirm(6)
    assert not state.confirm(7)


def test_before_the_first_read_nothing_is_known() -> None:
    state = State()
    assert not state.hear(Change(1, entered=endpoint("a")))
    assert state.version is None
    assert not state.confirm(0)


def test_a_missed_change_is_noticed_by_the_next() -> None:
    state = known(3, "a")
    assert not state.hear(Change(5, entered=endpoint("c")))
    assert names(state) == ["a"]


def test_a_change_that_the_read_had_already_is_nothing_new() -> None:
    state = known(3, "a", "b")
    assert state.hear(Change(2, entered=endpoint("a")))
    assert state.hear(Change(3, left=["b"]))
    assert names(state) == ["a", "b"]


def test_a_read_that_comes_after_newer_changes_takes_nothing_back() -> None:
    state = known(3, "a")
    state.ask()
    assert state.hear(Change(4, entered=endpoint("b")))
    assert state.read(3, [endpoint("a")])
    assert names(state) == ["a", "b"]
    assert state.version == 4


def test_what_is_heard_while_a_first_read_is_awaited_is_not_lost() -> None:
    state = State()
    state.ask()
    assert not state.hear(Change(7, entered=endpoint("b")))
    assert not state.read(6, [endpoint("a")]), "it is older than what was heard"
    state.ask()
    assert state.read(7, [endpoint("a"), endpoint("b")])


def test_a_registry_that_begins_anew_is_believed() -> None:
    state = known(50, "a", "b")
    state.begin_anew()
    assert names(state) == ["a", "b"], "until it is known better"
    assert not state.hear(Change(1, entered=endpoint("a")))
    state.ask()
    assert state.read(1, [endpoint("a")])
    assert names(state) == ["a"]
    assert state.confirm(1)


class World:
    """A registry whose reads take a while and whose messages get lost, and one who follows it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.truth: dict[str, Endpoint] = {}
        self.version = 0
        self.state = State()
        self.channel: list[Change] = []
        self.answer: tuple[int, list[Endpoint]] | None = None
        self.asked = False

    def change(self) -> None:
        self.version += 1
        name = f"r{self.rng.randrange(4)}"
        if self.truth.pop(name, None) and self.rng.random() < 0.5:
            change = Change(self.version, left=[name])
        else:
            self.truth[name] = endpoint(name, str(self.version))
            change = Change(self.version, entered=self.truth[name])
        if self.rng.random() < 0.9:
            self.channel.append(change)

    def hear(self) -> None:
        if self.channel and not self.state.hear(self.channel.pop(0)) and not self.asked:
            self.ask()

    def ask(self) -> None:
        self.asked = True
        self.state.ask()

    def serve(self) -> None:
        if self.asked and self.answer is None:
            self.answer = (self.version, list(self.truth.values()))

    def read(self) -> None:
        if self.answer is not None:
            answer, self.answer, self.asked = self.answer, None, False
            if not self.state.read(*answer):
                self.ask()

    def settle(self) -> None:
        """All that is under way arrives, and the heart-beat compares."""
        while self.channel:
            self.hear()
        for _ in range(3):
            self.serve()
            self.read()
        if not self.state.confirm(self.version):
            self.ask()
            self.serve()
            self.read()


def test_any_order_of_arrival_ends_in_the_truth() -> None:
    for seed in range(500):
        rng = random.Random(seed)
        world = World(rng)
        for _ in range(rng.randrange(5, 80)):
            rng.choice([world.change, world.hear, world.hear, world.serve, world.read])()
        world.settle()
        assert world.state.endpoints() == [world.truth[name] for name in sorted(world.truth)], seed
