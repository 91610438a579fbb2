from __future__ import annotations

import re

import msgspec

from balancer.discovery.kubernetes.lease import SLACK_S, Lease, lease_name
from balancer.discovery.kubernetes.objects import Metadata

NOW = 1_795_262_400.25  # 2026-11-21T12:00:00.25Z


def test_a_lease_is_held_until_its_time_is_over() -> None:
    lease = Lease(Metadata("txmesh.replace.users"))
    assert not lease.is_held(NOW)
    taken = lease.taken("me 1", 10, NOW)
    assert taken.is_held(NOW)
    assert taken.is_held(NOW + 10 + SLACK_S - 0.01)
    assert not taken.is_held(NOW + 10 + SLACK_S)
    renewed = taken.renewed(NOW + 9)
    assert renewed.is_held(NOW + 19)
    assert renewed.spec.acquire_time == "2026-11-21T12:00:00.250000Z"
    assert renewed.spec.renew_time == "2026-11-21T12:00:09.250000Z"
    assert not renewed.released(None).is_held(NOW)


def test_it_names_its_holder_in_the_words_that_were_given() -> None:
    lease = Lease(Metadata("x"))
    assert lease.holder == ""
    assert lease.taken("web-1, process 7 0123abcd", 10, NOW).holder == "web-1, process 7"
    assert lease.taken("web-1_5c0f", 10, NOW).holder == "web-1_5c0f", "another program's"
    assert lease.taken("by hand, today", 10, NOW).holder == "by hand, today"
    assert lease.taken("me 0123abcd", 10, NOW).released(None).holder == ""


def test_the_note_goes_from_holder_to_holder() -> None:
    lease = Lease(Metadata("x", annotations={"other": "stays"}))
    assert lease.note == ""
    left = lease.taken("a", 10, NOW).released("half done")
    assert left.taken("b", 10, NOW).note == "half done"
    assert left.taken("b", 10, NOW).released(None).note == "half done"
    assert left.metadata.annotations == {"other": "stays", "txmesh/note": "half done"}
    assert left.taken("b", 10, NOW).spec.lease_transitions == 2


def test_it_is_written_as_the_api_server_takes_it() -> None:
    taken = Lease(Metadata("x", "7")).taken("me", 10, 1_795_262_400.0)
    written = msgspec.json.decode(msgspec.json.encode(taken))
    assert written["apiVersion"] == "coordination.k8s.io/v1"
    assert written["kind"] == "Lease"
    assert written["metadata"]["resourceVersion"] == "7"
    assert written["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 10,
        "acquireTime": "2026-11-21T12:00:00.000000Z",
        "renewTime": "2026-11-21T12:00:00.000000Z",
        "leaseTransitions": 1,
    }
    read = msgspec.json.decode(msgspec.json.encode(written | {"status": {}}), type=Lease)
    assert read == taken


def test_any_lock_has_a_name_that_the_cluster_takes_and_no_other_lock_has() -> None:
    assert lease_name("replace.users") == "txmesh.replace.users"
    made = lease_name("job.greetings.deliver_due")
    assert made.startswith("txmesh.job-greetings-deliver-due-")
    locks = [
        "job.a_b",
        "job.a-b",
        "job.A-b",
        "job.a__b",
        "a..b",
        "a.-b",
        "a-",
        "A" * 200,
        "a" * 200,
    ]
    locks.append(made.removeprefix("txmesh."))
    names = [lease_name(lock) for lock in locks]
    assert len(set(names)) == len(locks)
    for name in names:
        assert re.fullmatch(
            r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", name
        )
        assert len(name) <= 253
