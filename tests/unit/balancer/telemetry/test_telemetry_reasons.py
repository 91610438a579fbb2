"""Reasons that hardly ever come up in a world, made by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from balancer import Endpoint
from balancer.policy import Replica
from balancer.telemetry import CandidateEntry
from balancer.telemetry.reasons import Choice, health_reason, pick_reason


def seen(name: str, **fields: Any) -> CandidateEntry:
    document = {"replica": name, "address": f"{name}:80", "compared": True, **fields}
    return msgspec.convert(document, CandidateEntry)


PLAIN = Choice(
    policy="two-choices",
    signal="in-flight",
    group="",
    compared=(seen("a", load=1.0), seen("b", load=2.0)),
    keyed=False,
    tried=(),
    hedge=False,
    left=3,
    known=3,
    again=False,
    panic=False,
    probe=None,
    ejected_for="",
)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "fewest in flight of 2 compared"),
        (
            {"panic": True, "compared": (seen("a", state="ejected"),)},
            "all are ejected (panic); drawn at random, twice the same",
        ),
        (
            {"tried": ["b", "c"], "left": 0, "compared": (seen("a", state="ejected"),)},
            "another try: b, c were tried; only ejected ones are left; drawn at random, twice the same",
        ),
        (
            {"tried": list("abcde"), "left": 0},
            "another try: c, d, e and 2 more were tried; all were; fewest in flight of 2 compared",
        ),
        (
            {"probe": 3.21, "ejected_for": "latency"},
            "probe: it was ejected (latency) until 3.2 s ago",
        ),
        (
            {"compared": (seen("a", load=1.0), seen("b", load=1.0), seen("c", load=3.0))},
            "fewest in flight of 3 compared (a tie)",
        ),
        (
            {"policy": "fresh", "compared": (seen("a", load=1.05), seen("b", load=1.0))},
            "drawn by speed: no other of the 2 compared is better by enough",
        ),
        (
            {
                "policy": "hot-cold",
                "signal": "reported",
                "compared": (
                    seen("a", heard_s=0.1, others=5.0, reported_s=0.3),
                    seen("b", heard_s=0.1, others=5.0, reported_s=0.2),
                    seen("c", heard_s=0.1, others=9.0, reported_s=0.1),
                ),
            },
            "fewest in flight of 3 heard of lately, all of which are busy",
        ),
        (
            {
                "policy": "hot-cold",
                "compared": (
                    seen("a", heard_s=0.1, reported_s=0.3, weight=0.5),
                    seen("b", heard_s=0.1, reported_s=0.4),
                ),
            },
            "fastest of those not busy, of 2 heard of lately",
        ),
        ({"policy": "of the future", "signal": "unheard of"}, "lowest load of 2 compared"),
    ],
)
def test_a_reason_states_what_the_numbers_show(changes: dict[str, Any], why: str) -> None:
    assert pick_reason(msgspec.structs.replace(PLAIN, **changes)) == why


def test_a_replica_that_rejects_is_told_of_in_words() -> None:
    replica = Replica(Endpoint(service="users", replica="users-1", address="x:1"))
    replica.answers, replica.rejections = 10.0, 9.0
    why = "90% of its answers of late were 4xx, and far fewer of the others'"
    assert health_reason(replica, "ejected", "rejections", again=False) == why
    assert health_reason(replica, "ejected", "rejections", again=True) == "its probe was rejected"
