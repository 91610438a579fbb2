"""What the decision log tells of calls, in virtual time."""

from __future__ import annotations

from collections import Counter
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import DispatchSettings, Endpoint, Reply, Request
from balancer.policy import BalancingSettings, BudgetSettings
from balancer.telemetry import (
    AttemptEntry,
    CallEntry,
    DecisionEntry,
    DecisionHeader,
    DecisionSettings,
    HealthEntry,
)
from balancer.testing import Answer, Behaviour, Breaks, FakeReplica, Refuses, Silent, World

ALL = DecisionSettings(every=1)
POLICIES = [
    "fresh",
    "hot-cold",
    "two-choices",
    "least-loaded",
    "weighted",
    "round-robin",
    "random",
    "hashing",
]


def reporting(in_flight: int = 0, latency_ms: float = 2.0) -> Answer:
    load = b"in-flight=%d, latency-ms=%.3f, age-s=600" % (in_flight, latency_ms)
    return Answer(headers=((b"Mesh-Load", load),))


def calls(world: World) -> list[CallEntry]:
    entries = world.dispatcher.decisions.entries()
    return [entry for entry in entries if isinstance(entry, CallEntry)]


def health(world: World) -> list[HealthEntry]:
    entries = world.dispatcher.decisions.entries()
    return [entry for entry in entries if isinstance(entry, HealthEntry)]


def name(attempt: AttemptEntry) -> str:
    return next(each.replica for each in attempt.candidates if each.address == attempt.picked)


def written(world: World) -> bytes:
    file = BytesIO()
    world.dispatcher.decisions.write(file)
    return file.getvalue()


def test_a_call_is_told_from_its_pick_to_its_answer() -> None:
    world = World(seed=1, decisions=ALL)
    for replica in world.add("users", 3):
        replica.behaviour = reporting(latency_ms=3.0)
    world.call(deadline_s=0.5)
    world.settle()
    (call,) = calls(world)
    assert (call.service, call.retryable, call.deadline_s) == ("users", True, 0.5)
    assert (call.policy, call.signal, call.key) == ("fresh", "expected", "")
    assert (call.status, call.error, call.latency_s) == (200, "", 0.002)
    assert call.balance == pytest.approx(10.2, abs=0.1)
    (attempt,) = call.attempts
    assert (attempt.kind, attempt.status, attempt.error, attempt.latency_s) == (
        "first", 200, "", 0.002,
    )  # fmt: skip
    assert (attempt.known, attempt.available) == (3, 3)
    assert len(attempt.candidates) == 3
    assert attempt.picked == attempt.candidates[0].address
    assert attempt.compared == sum(each.compared for each in attempt.candidates) == 2
    assert attempt.why == "a draw: none of the 2 compared has reported yet"
    assert all(each.heard_s is None for each in attempt.candidates)


def test_the_loads_are_those_that_the_pick_saw() -> None:
    settings = DispatchSettings(
        balancing=BalancingSettings(policy="least-loaded", signal="reported")
    )
    world = World(seed=1, settings=settings, decisions=ALL)
    one, two = world.add("users", 2)
    one.behaviour = reporting(in_flight=3, latency_ms=4.0)
    two.behaviour = reporting(in_flight=1, latency_ms=6.0)
    for _ in range(6):
        world.call()
        world.run(0.01)
    last = calls(world)[-1].attempts[0]
    assert name(last) == two.endpoint.replica
    assert last.why == "fewest in flight by their reports of 2 compared"
    picked, other = last.candidates
    # Its own call was in what it reported, and has ended since.
    assert (picked.others, picked.in_flight, picked.reported_s) == (1.0, 0, 0.006)
    assert (other.others, other.load) == (3.0, 4.0)
    assert picked.heard_s == pytest.approx(0.008)
    assert picked.load < other.load


def test_another_try_names_who_was_tried() -> None:
    world = World(seed=3, decisions=ALL)
    for replica in world.add("users", 4):
        replica.behaviour = Breaks()
    world.call()
    world.settle()
    (call,) = calls(world)
    assert [attempt.kind for attempt in call.attempts] == ["first", "retry", "retry", "retry"]
    assert {attempt.error for attempt in call.attempts} == {"reply-lost"}
    assert (call.status, call.error) == (0, "reply-lost")
    first, second, _, last = call.attempts
    assert second.why.startswith(f"another try: {name(first)} was tried; ")
    assert last.why.endswith(" were tried; the only one left")
    assert last.at_s > second.at_s > first.at_s


def test_every_way_to_end_is_told() -> None:
    world = World(seed=1, decisions=ALL)
    (replica,) = world.add("users", 1)
    kinds = []
    for behaviour in (Answer(status=404), Breaks(), Silent()):
        replica.behaviour = behaviour
        world.call(deadline_s=0.2, retryable=False)
        world.run(1.0)
        kinds.append((calls(world)[-1].status, calls(world)[-1].error))
    assert kinds == [(404, ""), (0, "reply-lost"), (0, "deadline")]
    assert calls(world)[-1].attempts[-1].error == "deadline"
    outcome = world.call(deadline_s=5.0)
    world.run(0.05)
    outcome.deferred.cancel()
    assert calls(world)[-1].error == "cancelled"
    world.announce("users", [])
    world.run(20.0)
    world.call()
    assert (calls(world)[-1].error, calls(world)[-1].attempts) == ("no-replicas", [])
    world.call(deadline_s=0.0)
    assert (calls(world)[-1].error, calls(world)[-1].attempts) == ("deadline", [])


def test_a_failure_of_the_caller_s_own_is_told_by_its_kind_alone() -> None:
    world = World(decisions=ALL)
    world.add("users", 1)

    def broken(_reply: Reply, _attempts: int) -> None:
        raise ValueError("ada@example.com")

    request = Request("users", b"GET", b"/v1/thing")
    called = world.dispatcher.call(request, 1001.0, broken, retryable=True)
    failures: list[object] = []
    called.addErrback(failures.append)
    world.settle()
    assert len(failures) == 1, "what the caller gets is untouched"
    assert calls(world)[0].error == "ValueError"
    assert b"ada" not in written(world)


def test_a_hedge_is_told_and_its_loser_too() -> None:
    world = World(seed=5, decisions=DecisionSettings(every=1, kept=10_000))
    replicas = world.add("users", 3)
    request = Request("users", b"GET", b"/v1/thing", hedge=0.95, operation="fetch")
    for _ in range(200):
        world.call(request=request)
        world.run(0.01)
    frozen = replicas[0]
    frozen.behaviour = Answer(after_s=0.2)
    while frozen.in_flight == 0:
        world.call(request=request)
        world.run(0.0005)
    world.settle()
    hedged = [call for call in calls(world) if len(call.attempts) == 2]
    assert hedged
    own, hedge = hedged[0].attempts
    assert (own.kind, own.error, own.status) == ("first", "cancelled", 0)
    assert (hedge.kind, hedge.error, hedge.status) == ("hedge", "", 200)
    assert hedge.why.startswith(f"hedge: {name(own)} has not answered yet; ")
    assert own.at_s + own.latency_s == pytest.approx(hedge.at_s + hedge.latency_s)
    assert hedged[0].status == 200


@pytest.mark.parametrize(
    ("script", "ends", "error"),
    [
        ([Answer(after_s=0.05), Silent()], [("", 200), ("cancelled", 0)], ""),
        ([Silent(), Answer(status=404)], [("cancelled", 0), ("", 404)], ""),
        ([Silent(), Silent()], [("deadline", 0), ("deadline", 0)], "deadline"),
        # It ends with the only answer that it got, but not because that was faster.
        (
            [Answer(status=500), Silent(connected=False), Silent(connected=False)],
            [("", 500), ("deadline", 0), ("deadline", 0)],
            "service-failed",
        ),
    ],
)
def test_how_each_attempt_of_a_hedged_call_ended_is_told(
    script: list[Behaviour], ends: list[tuple[str, int]], error: str
) -> None:
    world = World(seed=5, decisions=DecisionSettings(every=1, kept=10_000))
    replicas = world.add("users", 3)
    request = Request("users", b"GET", b"/v1/thing", hedge=0.95, operation="fetch")
    for _ in range(100):
        world.call(request=request)
        world.run(0.01)
    left = list(script)
    for replica in replicas:
        replica.behaviour = lambda replica: left.pop(0)
    world.call(request=request, deadline_s=0.12)  # too short to be shared out
    world.settle()
    call = calls(world)[-1]
    assert [(attempt.error, attempt.status) for attempt in call.attempts] == ends
    assert call.attempts[-1].kind == "hedge"
    assert call.error == error


def test_a_call_that_is_given_up_is_told_with_all_its_attempts() -> None:
    world = World(seed=5, decisions=DecisionSettings(every=1, kept=10_000))
    replicas = world.add("users", 2)
    request = Request("users", b"GET", b"/v1/thing", hedge=0.95, operation="fetch")
    for _ in range(100):
        world.call(request=request)
        world.run(0.01)
    for replica in replicas:
        replica.behaviour = Silent()
    outcome = world.call(request=request)
    world.run(0.05)
    outcome.deferred.cancel()
    call = calls(world)[-1]
    assert [attempt.error for attempt in call.attempts] == ["cancelled", "cancelled"]
    assert call.error == "cancelled"


def test_an_attempt_that_had_its_share_is_told_with_the_time_that_it_had() -> None:
    world = World(seed=2, decisions=ALL)
    one, two = world.add("users", 2)
    one.behaviour = two.behaviour = lambda replica: (
        Silent() if one.attempts + two.attempts == 1 else Answer()
    )
    world.call(deadline_s=1.0)
    world.settle()
    first, second = calls(world)[0].attempts
    assert first.error == "attempt-timeout"
    assert first.latency_s == pytest.approx(0.4, abs=0.02)
    assert second.status == 200
    assert calls(world)[0].error == ""


# Health.


def test_an_ejection_and_its_probe_are_told() -> None:
    settings = DispatchSettings(balancing=BalancingSettings(policy="random"))
    world = World(seed=1, settings=settings, decisions=ALL)
    bad = world.add("users", 3)[0]
    bad.behaviour = Refuses()
    world.load(50, 3.0)
    bad.behaviour = Answer()
    world.load(50, 3.0)
    changes = [(each.change, each.reason, each.why) for each in health(world)]
    assert changes[0] == ("ejected", "connect", "2 failed connects in a row")
    assert changes[1] == ("ejected", "connect", "its probe failed")
    assert changes[-1] == ("restored", "connect", "its probe was answered")
    assert {each.address for each in health(world)} == {bad.endpoint.address}
    assert 0.7 < health(world)[0].ejected_s < 1.3
    probes = [each for call in calls(world) for each in call.attempts if "probe" in each.why]
    assert len(probes) == len(changes) - 1
    for probe in probes:
        assert probe.picked == bad.endpoint.address
        assert probe.why == "probe: it was ejected (connect) until just now"
        assert probe.candidates[0].state == "probing"
        assert probe.compared == 1
    ejected = [
        each.state
        for call in calls(world)
        for each in call.attempts[0].candidates
        if each.address == bad.endpoint.address
    ]
    assert Counter(ejected)["ejected"] > 50


def test_an_ejection_that_is_refused_is_told_once_a_second() -> None:
    world = World(seed=1, decisions=ALL)
    for replica in world.add("users", 2):
        replica.behaviour = Answer(status=500)
    world.load(100, 4.5)
    kept = [each for each in health(world) if each.change == "kept"]
    assert 1 <= len(kept) <= 10
    assert kept[0].why.endswith("failures in a row; but too few would be left")
    assert kept[0].ejected_s == 0.0


@pytest.mark.parametrize(
    ("count", "why"), [(1, "the only one"), (2, "the only one that may be picked")]
)
def test_a_pick_without_a_choice_says_so(count: int, why: str) -> None:
    world = World(seed=1, decisions=ALL)
    for replica in world.add("users", count)[1:]:
        replica.behaviour = Refuses()
    world.load(100, 0.5)
    assert calls(world)[-1].attempts[0].why == why


def test_a_panic_is_told() -> None:
    world = World(seed=1, decisions=ALL)
    replicas = world.add("users", 3)
    for replica in replicas[:2]:
        replica.behaviour = Refuses()
    world.load(100, 0.5)
    assert [each.change for each in health(world)] == ["ejected", "ejected"]
    world.announce("users", replicas[:2])
    restored = health(world)[2:]
    assert [each.change for each in restored] == ["restored", "restored"]
    assert {each.why for each in restored} == {"too few well ones were left"}


def test_all_are_leaving() -> None:
    world = World(seed=1, decisions=ALL)
    for replica in world.add("users", 3):
        replica.behaviour = Answer.draining()
    world.load(100, 0.5)
    attempt = calls(world)[-1].attempts[0]
    assert attempt.why.startswith("all are leaving; ")
    assert {each.state for each in attempt.candidates} == {"draining"}


# Each policy.


@pytest.mark.parametrize("policy", POLICIES)
def test_each_policy_s_reason_fits_what_it_compared(policy: str) -> None:
    settings = DispatchSettings(balancing=msgspec.convert({"policy": policy}, BalancingSettings))
    world = World(seed=4, settings=settings, decisions=ALL)
    for number, replica in enumerate(world.add("users", 5)):
        replica.behaviour = reporting(in_flight=number, latency_ms=1.0 + number)
    world.load(200, 1.0)
    for call in calls(world):
        (attempt,) = call.attempts
        compared = [each for each in attempt.candidates if each.compared]
        assert attempt.picked == compared[0].address
        assert len(attempt.candidates) == 5
        loads = [each.load for each in compared]
        if attempt.why.startswith(("lowest", "fewest in flight of 2", "fewest in flight of 5")):
            assert compared[0].load == min(loads)
        if "look alike" in attempt.why:
            assert min(loads) == max(loads)
        assert (
            f"of {len(compared)} " in attempt.why
            or "compared" not in attempt.why
            or (f" {len(compared)} compared" in attempt.why)
        )
    said = {call.attempts[0].why for call in calls(world)}
    expected = {
        "fresh": "lowest expected latency of 3 compared",
        "hot-cold": "fastest of those not busy, of 5 heard of lately",
        "two-choices": "a draw: the 2 compared look alike",
        "least-loaded": "a draw: the 5 compared look alike",
        "weighted": "drawn at random, by weight and speed",
        "round-robin": "its turn",
        "random": "drawn at random",
        "hashing": "a draw: the 2 compared look alike",
    }
    assert expected[policy] in said


def test_the_group_that_a_call_was_given_to_is_told() -> None:
    balancing = BalancingSettings(versions={"2": 0.2}, zone="a")
    world = World(seed=1, settings=DispatchSettings(balancing=balancing), decisions=ALL)
    endpoints = [
        Endpoint(
            service="users",
            replica=replica.endpoint.replica,
            address=replica.endpoint.address,
            pid=replica.endpoint.pid,
            version=version,
            zone=zone,
        )
        for replica, version, zone in zip(world.add("users", 4), "1112", "aaba", strict=True)
    ]
    world.registry.set("users", endpoints)
    world.load(100, 1.0)
    whys: dict[str, set[str]] = {}
    for call in calls(world):
        picked = call.attempts[0].candidates[0]
        whys.setdefault(picked.version, set()).add(call.attempts[0].why)
        assert picked.zone == "a"
    assert whys["2"] == {"version 2 by its share, in this zone; the only one that may be picked"}
    start = "the other versions by their share, in this zone; "
    assert all(why.startswith(start) for why in whys["1"])


def test_a_key_is_told_as_a_digest_and_its_place_as_the_reason() -> None:
    world = World(seed=1, decisions=ALL)
    world.add("users", 4)
    for key in ("ada@example.com", "ada@example.com", "bo@example.com"):
        world.call(request=Request("users", b"GET", b"/v1/secret?q=1", key=key))
        world.run(0.01)
    one, again, other = calls(world)
    assert one.attempts[0].why == "the call's key belongs there"
    assert one.key == again.key != other.key
    assert len(one.key) == 8
    assert one.attempts[0].picked == again.attempts[0].picked
    for told in (b"ada", b"secret", b"/v1"):
        assert told not in written(world)


def test_a_key_whose_replica_is_full_goes_to_the_next() -> None:
    world = World(seed=1, decisions=ALL)
    for replica in world.add("users", 4):
        replica.behaviour = Answer(after_s=0.1)
    for _ in range(8):
        world.call(request=Request("users", b"GET", b"/v1/thing", key="k"))
    world.settle()
    said = {call.attempts[0].why for call in calls(world)}
    assert any("which has its share; this one comes next" in why for why in said)


# Sampling and bounds.


def test_one_call_in_so_many_is_sampled_and_the_newest_are_kept() -> None:
    world = World(seed=1, decisions=DecisionSettings(every=10, kept=20))
    world.add("users", 2)
    world.call()
    world.run(0.01)
    assert len(calls(world)) == 1, "the first always"
    world.load(100, 1.0)
    assert len(calls(world)) == pytest.approx(11, abs=1)
    world.load(100, 9.0)
    assert len(calls(world)) == 20
    assert calls(world)[0].at_s > 5


def test_sampling_does_not_march_in_step_with_turns() -> None:
    settings = DispatchSettings(balancing=BalancingSettings(policy="round-robin"))
    world = World(seed=1, settings=settings, decisions=DecisionSettings(every=10))
    world.add("users", 5)
    world.load(1000, 5.0)
    shares = Counter(call.attempts[0].picked for call in calls(world))
    assert len(shares) == 5
    assert max(shares.values()) < 2 * min(shares.values())


@given(st.integers(1, 50))
def test_each_stretch_of_calls_has_one_sample(every: int) -> None:
    log = World(decisions=DecisionSettings(every=every)).dispatcher.decisions
    due = [log.due() for _ in range(every * 20)]
    assert [sum(due[start : start + every]) for start in range(0, len(due), every)] == [1] * 20


def test_nothing_is_kept_when_it_is_off() -> None:
    world = World(seed=1, decisions=DecisionSettings(every=0))
    world.add("users", 2)[0].behaviour = Refuses()
    world.load(100, 1.0)
    assert world.dispatcher.decisions.entries() == []
    assert written(world).count(b"\n") == 1


def test_sampling_changes_nothing() -> None:
    def history(decisions: DecisionSettings) -> list[tuple[str, float | None]]:
        world = World(seed=9, decisions=decisions)
        replicas = world.add("users", 4)
        replicas[0].behaviour = Answer(status=500)
        replicas[1].behaviour = lambda replica: Answer(after_s=0.01 * world.rng.random())
        outcomes = world.load(200, 3.0)
        return [(outcome.kind, outcome.ended_at) for outcome in outcomes]

    assert history(ALL) == history(DecisionSettings(every=0))


def test_a_large_fleet_is_told_of_in_parts() -> None:
    world = World(seed=1, decisions=ALL)
    world.add("users", 80)
    world.load(100, 1.0)
    seen: set[str] = set()
    for call in calls(world):
        (attempt,) = call.attempts
        assert attempt.known == 80
        addresses = [each.address for each in attempt.candidates]
        assert len(set(addresses)) == len(addresses) == 50
        assert attempt.picked == addresses[0]
        seen.update(addresses)
    assert len(seen) == 80


@pytest.mark.parametrize("settings", ["every = -1", "kept = 0", "kept = 100001"])
def test_settings_are_checked(settings: str) -> None:
    with pytest.raises(ValueError, match=settings.partition(" ")[0]):
        msgspec.toml.decode(settings, type=DecisionSettings)


# The file.


def test_what_is_written_is_read_again_by_its_description() -> None:
    world = World(seed=1, decisions=ALL)
    replicas = world.add("users", 3)
    replicas[0].behaviour = Refuses()
    world.load(50, 2.0)
    first, *lines = written(world).splitlines()
    header = msgspec.json.decode(first, type=DecisionHeader)
    assert (header.format, header.version, header.caller) == ("txmesh-decisions", 1, "test")
    assert header.every == 1
    read = [msgspec.json.decode(line, type=DecisionEntry) for line in lines]
    assert read == world.dispatcher.decisions.entries()
    assert [entry.at_s for entry in read] == sorted(entry.at_s for entry in read)
    assert {type(entry) for entry in read} == {CallEntry, HealthEntry}


def test_calls_that_run_are_not_told_yet() -> None:
    world = World(seed=1, decisions=ALL)
    world.add("users", 1)[0].behaviour = Answer(after_s=0.5)
    world.call()
    assert calls(world) == []
    world.run(1.0)
    assert len(calls(world)) == 1


def test_a_retry_on_the_same_replica_after_a_wait_says_so() -> None:
    settings = DispatchSettings(budget=BudgetSettings(ratio=1.0, per_s=10.0))
    world = World(seed=1, settings=settings, decisions=ALL)
    (replica,) = world.add("users", 1)

    def behave(self: FakeReplica) -> Answer:
        return Answer(status=503 if self.attempts == 1 else 200)

    replica.behaviour = behave
    world.call()
    world.settle()
    first, second = calls(world)[0].attempts
    assert first.status == 503
    assert second.why == "another try after a wait: all were tried; the only one"
