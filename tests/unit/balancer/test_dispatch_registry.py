"""Calls while the registry is lost or lies, in virtual time; the view stands between them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from balancer import DispatchSettings, Request
from balancer.discovery import Memory
from balancer.errors import ConnectFailed, DeadlineExceeded, NoReplicas
from balancer.policy import BalancingSettings
from balancer.policy.subset import SubsetSettings
from balancer.testing import Answer, FakeReplica, Outcome, Refuses, Silent, World

NOON = 1_800_000_000.0


def endings(outcomes: list[Outcome]) -> dict[str, int]:
    found: dict[str, int] = {}
    for outcome in outcomes:
        found[outcome.kind] = found.get(outcome.kind, 0) + 1
    return found


def held(world: World) -> int:
    assert world.view is not None
    return world.view.held().get("users", 0)


def known(world: World) -> set[str]:
    return {replica.endpoint.replica for replica in world.fleet().replicas.values()}


def move(world: World, replica: FakeReplica, number: int) -> FakeReplica:
    """The same name at a new address: another process."""
    endpoint = msgspec.structs.replace(
        replica.endpoint, address=f"10.9.0.{number}:80", pid=9000 + number
    )
    moved = world.replicas[endpoint.address] = FakeReplica(world.clock, endpoint)
    return moved


def test_ten_minutes_without_a_registry_cost_no_call() -> None:
    world = World(doubts=True)
    replicas = world.add("users", 5)
    one, two, *stay = replicas
    done = world.load(20, 10)
    world.registry.lose()
    done += world.load(20, 180)
    one.kill()
    done += world.load(20, 180)
    two.kill()
    moved = move(world, two, 2)
    world.announce("users", [moved, *stay])
    done += world.load(20, 240)
    assert moved.attempts == 0
    world.registry.find()
    found_at = world.clock.seconds()
    done += world.load(20, 10)
    world.run(2.0)
    assert endings(done) == {"answered": len(done)}
    assert moved.received[0].at - found_at < 2.0
    assert known(world) == {each.endpoint.replica for each in replicas[1:]}, "the dead one is gone"
    assert held(world) == 0


@pytest.mark.parametrize("left", [0, 1])
def test_a_moment_of_emptiness_changes_nothing(left: int) -> None:
    world = World(doubts=True)
    replicas = world.add("users", 4)
    done = world.load(200, 5, retryable=False)
    records = dict(world.fleet().replicas)
    world.announce("users", replicas[:left])
    done += world.load(200, 3, retryable=False)
    assert held(world) == 4 - left
    taken = [replica.attempts for replica in replicas]
    done += world.load(200, 3, retryable=False)
    for replica, before in zip(replicas, taken, strict=True):
        assert replica.attempts - before > 100, "each has its share as before"
    world.announce("users", replicas)
    done += world.load(200, 3, retryable=False)
    world.run(1.0)
    assert endings(done) == {"answered": len(done)}
    assert world.fleet().replicas == records, "the same records, with all that was learned"
    assert all(channel.closed is False for channel in world.channels)


def test_the_dead_among_those_that_are_held_leave_and_the_others_stay() -> None:
    world = World(doubts=True)
    replicas = world.add("users", 6)
    world.load(100, 2)
    for dead in replicas[:3]:
        dead.kill()
    world.announce("users", [])
    done = world.load(100, 3)
    world.run(1.0)
    assert endings(done) == {"answered": 300}
    assert known(world) == {each.endpoint.replica for each in replicas[3:]}


@pytest.mark.parametrize("behaviour", [Refuses(), Silent(connected=False), Answer.misdirected()])
def test_a_caller_that_makes_no_calls_finds_out_too(
    behaviour: Refuses | Silent | Answer,
) -> None:
    world = World(doubts=True)
    replicas = world.add("users", 3)
    world.load(50, 1)
    for replica in replicas[:2]:
        replica.behaviour = behaviour
    world.announce("users", [])
    world.run(2.5)
    assert known(world) == {replicas[2].endpoint.replica}


@pytest.mark.parametrize("retryable", [True, False])
@pytest.mark.parametrize("count", [1, 2, 12])
def test_all_are_restarted_at_once_and_calls_wait_for_the_new_ones(
    count: int, retryable: bool
) -> None:
    world = World(doubts=True)
    replicas = world.add("users", count)
    world.load(50, 2)
    world.run(0.5)  # what has run by now is answered
    for replica in replicas:
        replica.kill()
    world.announce("users", [])
    new = [move(world, replica, number) for number, replica in enumerate(replicas, 1)]
    world.clock.callLater(1.5, world.announce, "users", new)
    done = world.load(50, 4, deadline_s=5.0, retryable=retryable)
    world.run(5.0)
    assert endings(done) == {"answered": 200}
    slowest = max((each.ended_at or 0.0) - 1000.0 for each in done[:50])
    assert slowest < 2.5 + 1.5 + 0.5
    assert held(world) == 0


def test_many_ghosts_cost_a_call_no_more_than_its_time() -> None:
    """Held ones die, more than a call has tries, before anybody has looked; one is there."""
    world = World(doubts=True)
    replicas = world.add("users", 30)
    world.load(100, 2)
    world.announce("users", [])
    world.run(0.5)
    assert held(world) == 30
    for replica in replicas[:29]:
        replica.kill()
    # The one that is there has no room at first, which is no ghost's doing and costs a retry.
    replicas[29].behaviour = lambda it: Answer.nack() if it.attempts % 2 else Answer()
    outcomes = []
    for _ in range(5):
        outcomes.append(world.call(retryable=False))
        world.run(0.04)
    world.run(1.0)
    assert endings(outcomes) == {"answered": 5}
    assert known(world) == {"users-30"}


def test_who_said_it_leaves_is_the_last_resort_and_no_more() -> None:
    world = World(doubts=True)
    one, two = world.add("users", 2)
    world.load(50, 1)
    one.behaviour = two.behaviour = Answer.draining()
    world.announce("users", [])
    done = world.load(50, 4, retryable=False)
    assert endings(done) == {"answered": 200}, "it still answers, and there is nobody else"
    assert max((each.ended_at or 0.0) - 1001.0 - n / 50 for n, each in enumerate(done)) < 0.1
    (new,) = world.add("users")
    world.run(1.5)
    assert known(world) == {new.endpoint.replica}
    assert endings(world.load(50, 1, retryable=False)) == {"answered": 50}
    assert new.attempts == 50


def test_a_frozen_one_is_not_taken_for_gone_by_a_caller_that_makes_no_calls() -> None:
    world = World(doubts=True)
    replicas = world.add("users", 3)
    world.load(50, 1)
    replicas[0].freeze()
    world.announce("users", [])
    world.run(10.0)
    assert len(known(world)) == 3


def test_one_that_is_only_slow_is_there() -> None:
    # By turns, or it would be avoided before there is proof.
    turns = BalancingSettings(policy="round-robin")
    world = World(settings=DispatchSettings(balancing=turns), doubts=True)
    replicas = world.add("users", 3)
    world.load(200, 2)
    replicas[0].behaviour = Answer(after_s=0.2)
    slow = world.fleet().replicas[replicas[0].endpoint.address]
    for _ in range(20):
        if not slow.ejected_until:
            world.load(200, 0.5)
    assert slow.ejected_for == "latency"
    world.announce("users", [])
    world.load(200, 3)
    assert len(known(world)) == 3


def test_a_replica_that_fails_is_not_held_against_the_registrys_word() -> None:
    world = World(doubts=True)
    replicas = world.add("users", 5)
    fleet = world.fleet()
    ill = fleet.replicas[replicas[0].endpoint.address]
    for number in range(1, 6):
        fleet.failed(ill, world.clock.seconds(), number)
    assert ill.ejected_until
    world.announce("users", [])
    assert known(world) == {each.endpoint.replica for each in replicas[1:]}


# What starts while the registry is lost.


class Wall:
    now = NOON

    def __call__(self) -> float:
        return self.now


def restarted(folder: Path, count: int, *, later_s: float = 0.0) -> World:
    """A caller's second life, with its registry lost; the replicas are where they were."""
    wall = Wall()
    first = World(doubts=True, memory=Memory(folder, "memory:", wall))
    first.registry.lose()
    outcome = first.call()  # it follows from now on
    first.registry.find()
    first.add("users", count)
    first.run(5.0)
    assert outcome.kind == "answered"
    assert first.view is not None
    first.view.close()
    wall.now += later_s
    second = World(doubts=True, memory=Memory(folder, "memory:", wall))
    second.registry.lose()
    second.add("users", count)
    return second


def test_a_caller_that_restarts_meanwhile_calls_those_it_knew(tmp_path: Path) -> None:
    world = restarted(tmp_path, 4, later_s=3600.0)
    world.replicas["10.0.0.1:80"].kill()
    done = world.load(50, 4)
    world.run(1.0)
    assert endings(done) == {"answered": 200}
    assert world.view is not None
    assert world.view.age_s() == pytest.approx(3605.0, abs=6.0)
    world.announce("users", [world.replicas["10.0.0.2:80"]])
    world.registry.find()
    world.run(3.0)
    assert known(world) == {"users-2", "users-3", "users-4"}, "the dead one by its failed connects"


def test_yesterdays_addresses_are_not_used(tmp_path: Path) -> None:
    world = restarted(tmp_path, 2, later_s=90_000.0)
    outcome = world.call(deadline_s=1.0)
    world.run(1.0)
    assert outcome.kind in ("no-replicas", "deadline")
    assert all(replica.attempts == 0 for replica in world.replicas.values())


def test_remembered_ones_that_are_nowhere_cost_one_attempt_each(tmp_path: Path) -> None:
    world = restarted(tmp_path, 6)
    for replica in world.replicas.values():
        replica.kill()
    outcome = world.call(deadline_s=2.0, retryable=False)
    world.announce("users", [])
    world.registry.find()
    (new,) = world.add("users")
    world.run(2.0)
    assert outcome.kind == "answered"
    assert new.attempts == 1
    assert known(world) == {new.endpoint.replica}


def test_the_first_call_waits_for_the_registrys_first_word() -> None:
    world = World(doubts=True)
    world.registry.lose()
    world.add("users", 2)
    outcome = world.call(deadline_s=2.0, retryable=False)
    world.run(1.0)
    assert outcome.kind == "running"
    world.registry.find()
    world.run(0.1)
    assert outcome.kind == "answered"


def test_the_registrys_first_word_may_be_that_there_is_nobody() -> None:
    world = World(doubts=True)
    world.registry.lose()
    outcome = world.call(deadline_s=5.0)
    world.run(0.1)
    world.registry.find()
    world.run(0.1)
    assert isinstance(outcome.error, NoReplicas)
    assert "no replica of users is announced" in str(outcome.error)


def test_where_nothing_was_ever_told_it_says_so() -> None:
    world = World(doubts=True)
    world.registry.lose()
    first = world.call(deadline_s=0.5)
    world.run(20.0)
    late = world.call(deadline_s=0.5)
    assert isinstance(first.error, NoReplicas)
    assert isinstance(late.error, NoReplicas), "after ten seconds nobody waits any more"
    assert "has not told of users yet" in str(late.error)
    world.registry.find()
    empty = world.call(deadline_s=0.5)
    assert "no replica of users is announced" in str(empty.error), "and at once"


def test_a_process_that_stood_still_past_the_deadline_says_so_too() -> None:
    world = World(doubts=True)
    world.registry.lose()
    outcome = world.call(deadline_s=0.5)
    world.run(0.1)
    world.clock.advance(5.0)
    assert isinstance(outcome.error, NoReplicas)
    assert "has not told of users yet" in str(outcome.error)


def test_a_process_that_stood_still_while_replicas_came_says_that_it_waited() -> None:
    world = World(doubts=True)
    world.registry.lose()
    world.add("users", 2)
    outcome = world.call(deadline_s=0.5)
    world.run(0.1)
    world.registry.find()
    world.clock.advance(5.0)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert "while it waited for a replica" in str(outcome.error)


# Another service's replica at the address.


@pytest.mark.parametrize("retryable", [True, False])
def test_an_address_that_is_anothers_now_is_left_at_once(retryable: bool) -> None:
    world = World(doubts=True)
    other, mine = world.add("users", 2)
    other.behaviour = Answer.misdirected()
    done = world.load(100, 2, retryable=retryable)
    world.run(0.5)
    assert endings(done) == {"answered": 200}
    assert other.attempts == 1
    (stats,) = world.dispatcher.stats()
    assert (stats.rejected, sum(stats.failures.values())) == (0, 0)
    assert known(world) == {mine.endpoint.replica, other.endpoint.replica}, "the registry insists"


def test_a_held_address_that_is_anothers_now_is_gone(tmp_path: Path) -> None:
    world = restarted(tmp_path, 3)
    other, two, three = world.replicas.values()
    other.behaviour = Answer.misdirected()
    world.announce("users", [two, three])
    world.registry.find()
    done = world.load(100, 1, retryable=False)
    world.run(0.5)
    assert endings(done) == {"answered": 100}
    assert known(world) == {"users-2", "users-3"}
    assert other.attempts <= 1


def test_where_nobody_is_of_the_service_the_call_fails_and_says_why() -> None:
    world = World(doubts=True)
    for replica in world.add("users", 2):
        replica.behaviour = Answer.misdirected()
    outcome = world.call()
    world.run(2.0)
    assert isinstance(outcome.error, ConnectFailed)
    assert "another service answers at 10.0.0." in str(outcome.error)
    (stats,) = world.dispatcher.stats()
    assert (stats.calls, stats.rejected, dict(stats.failures)) == (1, 0, {"connect": 1})


def test_one_without_a_process_number_is_asked_again_later() -> None:
    """A static registry tells nothing of the process that comes after it."""
    world = World(doubts=True)
    other, _ = world.add("users", 2, pid=0)
    other.behaviour = Answer.misdirected()
    assert endings(world.load(50, 1)) == {"answered": 50}
    assert other.attempts == 1
    other.behaviour = Answer()
    assert endings(world.load(50, 5)) == {"answered": 250}
    assert other.attempts > 50


@pytest.mark.parametrize(
    ("own", "kind"), [(Answer(after_s=0.5), "answered"), (Refuses(after_s=0.1), "connect")]
)
def test_a_hedge_that_went_astray_is_no_answer(own: Answer | Refuses, kind: str) -> None:
    world = World(doubts=True)
    replicas = world.add("users", 2)
    hedged = Request("users", b"GET", b"/v1/thing", hedge=0.9)
    for _ in range(120):
        world.call(request=hedged)
        world.run(0.05)
    before = sum(replica.attempts for replica in replicas)

    def behave(_: FakeReplica) -> Answer | Refuses:
        made = sum(replica.attempts for replica in replicas) - before
        return Answer.misdirected() if made == 2 else own

    for replica in replicas:
        replica.behaviour = behave
    outcome = world.call(request=hedged, deadline_s=1.0)
    world.run(2.0)
    (stats,) = world.dispatcher.stats()
    assert stats.hedges == 1
    assert outcome.kind == kind
    assert world.in_flight() == 0


def test_a_fleet_of_which_a_part_is_used_is_held_whole() -> None:
    subset = SubsetSettings(size=10, peers=10, peer=3)
    settings = DispatchSettings(balancing=BalancingSettings(subset=subset))
    world = World(settings=settings, doubts=True)
    replicas = world.add("users", 40)
    used = known(world)
    world.announce("users", [])
    assert endings(world.load(50, 2)) == {"answered": 100}
    assert known(world) == used
    world.announce("users", replicas)
    assert known(world) == used


@pytest.mark.parametrize("behaviour", [Refuses(), Silent(connected=False)])
def test_a_moment_in_which_nobody_was_reached_is_not_held_against_them_for_ever(
    behaviour: Refuses | Silent,
) -> None:
    world = World(doubts=True)
    replicas = world.add("users", 4)
    world.load(50, 5)
    usual = [replica.behaviour for replica in replicas]
    for replica in replicas:
        replica.behaviour = behaviour
    world.load(50, 2)
    for replica, before in zip(replicas, usual, strict=True):
        replica.behaviour = before
    world.load(50, 60)
    world.announce("users", [])
    assert len(known(world)) == 4
    assert endings(world.load(50, 5)) == {"answered": 250}
    assert len(known(world)) == 4


def test_one_without_a_process_number_that_went_astray_for_long_takes_its_share_again() -> None:
    world = World(doubts=True)
    replicas = world.add("users", 3, pid=0)
    usual = replicas[0].behaviour
    for replica in replicas[1:]:
        replica.behaviour = Answer.misdirected()
    world.load(50, 20)
    for replica in replicas[1:]:
        replica.behaviour = usual
    world.load(50, 60)
    before = [replica.attempts for replica in replicas]
    world.load(50, 60)
    shares = [replica.attempts - old for replica, old in zip(replicas, before, strict=True)]
    assert min(shares) > 300
    assert not any(world.fleet().is_gone(replica.endpoint) for replica in replicas)
