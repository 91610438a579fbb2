from __future__ import annotations

import random

import pytest

from balancer import Endpoint
from balancer.policy import EjectionSettings, Ejector, Replica


def ejector(*, seed: int = 1, **settings: float) -> Ejector:
    return Ejector(EjectionSettings(**settings), random.Random(seed).random)  # type: ignore[arg-type]


@pytest.fixture
def replica() -> Replica:
    return Replica(Endpoint(service="users", replica="users-1", address="10.0.0.1:80"))


def test_failures_in_a_row_eject(replica: Replica) -> None:
    policy = ejector()
    found = [policy.failed(replica, connecting=False) for _ in range(5)]
    assert found == [None] * 4 + ["failures"]


def test_a_good_answer_begins_the_row_anew(replica: Replica) -> None:
    policy = ejector()
    for _ in range(20):
        assert not any(policy.failed(replica, connecting=False) for _ in range(4))
        assert policy.succeeded(replica, 1.0) is False


def test_two_failed_connects_eject(replica: Replica) -> None:
    policy = ejector()
    assert [policy.failed(replica, connecting=True) for _ in range(2)] == [None, "connect"]


def test_ejections_grow_to_their_limit(replica: Replica) -> None:
    policy = ejector(jitter=0.0)
    now = 1000.0
    lengths = []
    for _ in range(9):
        until = policy.eject(replica, now, "failures")
        lengths.append(until - now)
        now = until
        replica.probing = True
    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_many_ejections_do_not_overflow(replica: Replica) -> None:
    policy = ejector(jitter=0.0)
    for _ in range(5000):
        until = policy.eject(replica, 0.0, "failures")
    assert until == 60.0


@pytest.mark.parametrize("seed", range(20))
def test_jitter_stays_within_its_bounds(replica: Replica, seed: int) -> None:
    until = ejector(seed=seed).eject(replica, 100.0, "failures")
    assert 100.75 <= until <= 101.25


def test_jitter_spreads(replica: Replica) -> None:
    lengths = {
        round(ejector(seed=seed).eject(Replica(replica.endpoint), 0.0, "failures"), 3)
        for seed in range(20)
    }
    assert len(lengths) > 15


def test_a_spell_of_trouble_ends_when_it_stayed_well_for_long(replica: Replica) -> None:
    policy = ejector(jitter=0.0)
    policy.eject(replica, 1000.0, "failures")
    policy.eject(replica, 1001.0, "failures")
    assert policy.succeeded(replica, 1010.0) is True
    assert policy.eject(replica, 1060.0, "failures") - 1060.0 == 4.0, (
        "back too soon: it goes on growing"
    )
    policy.succeeded(replica, 1070.0)
    assert policy.eject(replica, 1131.0, "failures") - 1131.0 == 1.0


def test_the_reason_is_that_of_the_time_when_it_last_was_well(replica: Replica) -> None:
    policy = ejector()
    policy.eject(replica, 1000.0, "latency")
    policy.eject(replica, 1002.0, "failures")  # its probe failed
    reasons = [replica.ejected_for]
    policy.succeeded(replica, 1005.0)
    policy.eject(replica, 1010.0, "connect")
    reasons.append(replica.ejected_for)
    assert reasons == ["latency", "connect"]


def test_what_was_counted_before_is_forgotten_when_it_comes_back(replica: Replica) -> None:
    policy = ejector()
    replica.answers, replica.faults, replica.slow, replica.silent = 100.0, 7.0, 50.0, 5
    policy.eject(replica, 1000.0, "latency")
    policy.succeeded(replica, 1002.0)
    assert (replica.answers, replica.faults, replica.slow, replica.silent) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"failures": 0},
        {"connect_failures": 0},
        {"base_s": 0.0},
        {"base_s": 61.0},
        {"max_s": 0.5},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"outlier_share": 0.0},
        {"outlier_share": float("nan")},
        {"slow_ratio": 1.0},
        {"slow_least_s": -0.1},
        {"silence_s": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EjectionSettings(**wrong)  # type: ignore[arg-type]
