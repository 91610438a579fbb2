"""How a service declares its scheduled work, tries it, and what is counted of it."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from clients.contract import Call, Contract, Message
from services.kit import Run, Service
from services.kit.schedule import JobCollector, JobStats
from services.kit.testing import InProcessMesh


class Ask(Message):
    pass


class Told(Message):
    pass


class Shop(Contract, name="shop"):
    ask = Call(Ask, Told, get="/v1/ask")


async def tidy(run: Run[list[str]]) -> None:
    run.state.append(f"{run.slot:%d %H:%M:%S}")


def make() -> Service[list[str]]:
    return Service(Shop)


def test_a_job_is_declared_by_its_function_and_stays_one() -> None:
    service = make()
    assert service.every(60.0)(tidy) is tidy
    assert service.at("03:30", zone="Europe/Berlin", on="each", name="night")(tidy) is tidy
    assert service.daemon(name="watch")(tidy) is tidy
    assert [(job.name, job.on, job.limit_s, job.is_daemon) for job in service.jobs] == [
        ("tidy", "one", 3600.0, False),
        ("night", "each", 3600.0, False),
        ("watch", "one", None, True),
    ]


def test_what_cannot_be_a_job() -> None:
    service = make()
    service.every(60.0)(tidy)

    def plain() -> None: ...

    async def other() -> None: ...

    wrong: list[tuple[Any, str]] = [
        (lambda: service.every(5.0)(tidy), "two jobs named tidy"),
        (lambda: service.every(5.0)(plain), "plain must be an async function"),  # type: ignore[arg-type]
        (lambda: service.every(0.0), "period goes from"),
        (lambda: service.every(1.0, name="a b")(other), "job name 'a b'"),
        (lambda: service.every(1.0, on="all")(other), "not on 'all'"),  # type: ignore[arg-type]
        (lambda: service.every(1.0, limit_s=0.0)(other), "limit_s must be above 0"),
        (lambda: service.at("half past three"), "not a time such as 03:30"),
        (lambda: service.at("03:30", zone="Mars"), "time zone 'Mars'"),
    ]
    for declare, why in wrong:
        with pytest.raises(ValueError, match=why):
            declare()
    assert [job.name for job in service.jobs] == ["tidy"]


async def test_a_test_sees_jobs_run_in_their_time() -> None:
    mesh, service, seen = InProcessMesh(), make(), list[str]()
    service.at("12:30")(tidy)
    schedules = [mesh.schedule(service, seen) for _ in range(3)]
    mesh.advance(3600.0)
    assert seen == ["20 12:30:00"]
    mesh.advance(86_400.0)
    assert seen == ["20 12:30:00", "21 12:30:00"]
    for schedule in schedules:
        await schedule.stop(0.0)
    mesh.advance(86_400.0)
    assert len(seen) == 2
    assert mesh.clock.getDelayedCalls() == []


def test_what_is_counted_is_told() -> None:
    one, other = JobStats("shop.tidy"), JobStats("shop.watch")
    one.runs.update(finished=3, failed=1)
    one.succeeded_at = 1763.5
    other.running = other.blocked = True
    registry = CollectorRegistry()
    registry.register(JobCollector([one, other]))
    text = generate_latest(registry).decode().splitlines()
    for line in (
        'mesh_job_runs_total{job="shop.tidy",outcome="finished"} 3.0',
        'mesh_job_runs_total{job="shop.tidy",outcome="failed"} 1.0',
        'mesh_job_running{job="shop.tidy"} 0.0',
        'mesh_job_running{job="shop.watch"} 1.0',
        'mesh_job_blocked{job="shop.watch"} 1.0',
        'mesh_job_last_success_timestamp_seconds{job="shop.tidy"} 1763.5',
    ):
        assert line in text
    assert not any("last_success" in line and "watch" in line for line in text)
    assert list(JobCollector([]).collect()) == []
