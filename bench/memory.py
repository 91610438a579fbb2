"""What it costs a caller to know replicas and to stay connected to them, calls apart.

Python objects are weighed as they are allocated (`tracemalloc`), by making many and dividing. A
connection is more than Python sees (the parser's own memory, the kernel's), so it is weighed from
outside: the resident memory of both processes before and after many were made and left idle.
`docs/explanation/scale.md` multiplies these figures.
"""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from twisted.internet.task import Clock

from balancer import Dispatcher, DispatchSettings, Endpoint
from balancer.policy import BalancingSettings, EjectionSettings, Ejector, Fleet, Replica
from balancer.policy.subset import SubsetSettings
from balancer.testing import FakeRegistry
from balancer.transport import Sweep
from balancer.values import LoadReport

from .cpu import cores
from .process import Child
from .window import Order

SIZES = (100, 1000, 10_000)
# Enough that what a process takes in advance is small beside them, and few enough for usual limits
# of file descriptors.
CONNECTIONS = 2000
_SERVICES = 100
_ROUNDS = 10
_WAIT_S = 60.0

Made = TypeVar("Made")


class Weight(NamedTuple):
    """What one replica of a service weighs in one caller, in bytes.

    Attributes:
        replicas: how many the service has.
        entry: of the registry's text.
        endpoint: `Endpoint`, decoded from that.
        record: `Replica`, without its endpoint.
        whole: all that the fleet makes of it, the record too, when the fleet is used whole.
        part: the same for each of the service's replicas when the fleet is used in part.
        update_us: CPU microseconds in which a whole fleet takes one change of discovery's.
        update_part_us: the same when it is used in part.
    """

    replicas: int
    entry: float
    endpoint: float
    record: float
    whole: float
    part: float
    update_us: float
    update_part_us: float


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection weighs that was used and is idle now, and what making one costs.

    Attributes:
        caller_bytes: of the caller's process; the replica's pool is in it.
        server_bytes: of the server's process.
        kernel_bytes: of the kernel, for both ends.
        cold_caller_us: CPU microseconds of the caller for a call that had to connect.
        cold_server_us: of the server.
        warm_caller_us: of the caller for the same call on the connection that is there.
        warm_server_us: of the server.
        probe_caller_us: of the caller for a load probe there.
        probe_server_us: of the server.
    """

    caller_bytes: float
    server_bytes: float
    kernel_bytes: float
    cold_caller_us: float
    cold_server_us: float
    warm_caller_us: float
    warm_server_us: float
    probe_caller_us: float
    probe_server_us: float


class Memory(NamedTuple):
    """All of it.

    Attributes:
        weights: one for each of `SIZES`.
        service: bytes of a followed service that has no replica.
        connected: a connection.
    """

    weights: list[Weight]
    service: float
    connected: Connected


def measure_memory(progress: Callable[[str], None]) -> Memory:
    """Measure everything once: sizes hardly change from run to run.

    Args:
        progress: told before each step.

    Raises:
        PeerFailed: the server or the caller broke.
    """
    weights = []
    for size in SIZES:
        progress(f"memory, {size} replicas")
        weights.append(_weigh_replicas(size))
    progress("memory, a service")
    service = _weigh_service()
    progress("memory, a connection")
    return Memory(weights, service, _weigh_connection())


def _weigh(make: Callable[[], Made]) -> tuple[Made, int]:
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def _weigh_replicas(size: int) -> Weight:
    texts = [_entry(size, number) for number in range(size)]
    decode = msgspec.json.Decoder(Endpoint).decode
    endpoints, endpoint_bytes = _weigh(lambda: [decode(text) for text in texts])
    _, record_bytes = _weigh(lambda: [Replica(endpoint) for endpoint in endpoints])
    empty = _weigh(lambda: _follow([], 0))[1]
    part = SubsetSettings().size
    whole_fleet, whole_bytes = _weigh(lambda: _follow(endpoints, 0))
    part_fleet, part_bytes = _weigh(lambda: _follow(endpoints, part))
    return Weight(
        replicas=size,
        entry=sum(map(len, texts)) / size,
        endpoint=endpoint_bytes / size,
        record=record_bytes / size,
        whole=(whole_bytes - empty) / size,
        part=(part_bytes - empty) / size,
        update_us=_time_update(whole_fleet, endpoints),
        update_part_us=_time_update(part_fleet, endpoints),
    )


def _time_update(fleet: Fleet, endpoints: list[Endpoint]) -> float:
    """Have one replica leave and come back; the quickest, as nothing makes work quicker."""
    taken = []
    for _ in range(_ROUNDS):
        for listed in (endpoints[1:], endpoints):
            began = time.process_time_ns()
            fleet.update(listed, 1e6)
            taken.append(time.process_time_ns() - began)
    return min(taken) / 1000


def _entry(size: int, number: int) -> bytes:
    # Names differ from size to size: what is remembered by name is remembered by the process.
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return msgspec.json.encode(
        Endpoint(
            service="items",
            replica=f"items-7d9f{size:05d}-{number:05d}",
            address=f"{host}:8080",
            admin=f"{host}:8081",
            pid=number + 1,
            version="2026.11.20",
            zone="eu-1a",
            started=1_795_000_000.25 + number,
        )
    )


def _follow(endpoints: list[Endpoint], subset: int) -> Fleet:
    """A fleet that has heard of every replica that it uses."""
    settings = BalancingSettings(subset=SubsetSettings(size=subset))
    draw = random.Random(1).random
    fleet = Fleet(settings, Ejector(EjectionSettings(), draw), draw)
    fleet.update(endpoints, 1.0)
    for now, replica in enumerate(fleet.replicas.values(), 2):
        fleet.succeeded(replica, now, 1, 0.005, LoadReport(3, 5.0, 1000))
    fleet.pick(now=1e6)
    return fleet


def _weigh_service() -> float:
    clock = Clock()
    dispatcher = Dispatcher(
        clock=clock,
        rng=random.Random(1),
        registry=FakeRegistry(),
        open_channel=_no_channel,
        sweep=Sweep(clock),
        settings=DispatchSettings(),
        caller="bench",
    )
    names = [f"service-{number}" for number in range(_SERVICES)]
    return _weigh(lambda: [dispatcher.fleet(name) for name in names])[1] / _SERVICES


def _no_channel(address: str) -> Any:
    raise AssertionError(f"nothing is sent to {address}")


def _weigh_connection() -> Connected:
    server_core, caller_core = cores()
    with Child(server_core, "servers", "ours") as server:
        address = server.hear(_WAIT_S).decode("ascii")
        with Child(caller_core, "callers", "idle") as caller:
            caller.hear(_WAIT_S)
            order = Order(addresses=[address], pids=[server.pid], warm_up_s=0.0, seconds=0.0)
            caller.tell(msgspec.json.encode(order))
            return msgspec.json.decode(caller.hear(_WAIT_S), type=Connected)
