"""What a scrape finds of the plain counters."""

from __future__ import annotations

from datetime import UTC, datetime

from twisted.internet.task import Clock

from balancer.testing import World
from clients.testing import mesh_in
from services.kit.metrics import Exposition, ReplicaCollector
from services.kit.server import Server, ServerSettings, Site


def test_calls_and_what_was_done_for_them_are_told_apart() -> None:
    world = World()
    world.add("users")
    world.call()
    world.settle()
    (stats,) = world.dispatcher.stats()
    stats.attempts, stats.hedges, stats.throttled, stats.probes = 7, 2, 3, 4
    server = Server(Site(), ServerSettings(), clock=Clock(), wall=lambda: datetime.now(UTC))
    server.serving.probes = 5
    text = Exposition(ReplicaCollector(server, mesh_in(world))).text().decode().splitlines()
    for line in (
        'mesh_calls_total{service="users"} 1.0',
        'mesh_attempts_total{service="users"} 7.0',
        'mesh_hedges_total{service="users"} 2.0',
        'mesh_calls_throttled_total{service="users"} 3.0',
        'mesh_load_probes_total{service="users"} 4.0',
        "mesh_load_probes_answered_total 5.0",
        "mesh_registry_age_seconds 0.0",
    ):
        assert line in text
