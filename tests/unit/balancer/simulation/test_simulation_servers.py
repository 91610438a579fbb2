"""Simulated servers: how they work off attempts, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from balancer.errors import CallError
from balancer.simulation.scheduler import START_S, Scheduler
from balancer.simulation.servers import (
    Apart,
    BlackHole,
    Failing,
    Fifo,
    Server,
    ServerChannel,
    Sharing,
    Work,
)
from balancer.values import Endpoint, Reply
from balancer.wire import parse_load


class Asked:
    """An attempt that only remembers."""

    def __init__(self, scheduler: Scheduler, data: bytes) -> None:
        self.carrier: Any = None
        self.reply: Reply | None = None
        self.error: CallError | None = None
        self.ended_s: float | None = None
        self._scheduler = scheduler
        self._data = data

    def payload(self) -> bytes:
        return self._data

    def replied(self, reply: Reply) -> None:
        self.reply = reply
        self._end()

    def failed(self, error: CallError) -> None:
        self.error = error
        self._end()

    @property
    def status(self) -> int:
        assert self.reply is not None
        return self.reply.status

    def header(self, name: bytes) -> bytes | None:
        assert self.reply is not None
        return self.reply.header(name)

    def _end(self) -> None:
        assert self.ended_s is None, "an attempt ended twice"
        assert self.carrier is None
        self.ended_s = self._scheduler.now - START_S


class Bench:
    """One server, and attempts on it."""

    def __init__(self, make: Callable[[Scheduler], Work], **options: Any) -> None:
        self.scheduler = Scheduler()
        self.sizes_s: list[float] = []
        endpoint = Endpoint(service="lab", replica="lab-1", address="10.0.0.1:80", pid=7)
        self.server = Server(
            self.scheduler,
            endpoint,
            make(self.scheduler),
            lambda: self.sizes_s.pop(0) if self.sizes_s else 1.0,
            **options,
        )
        self.channel = ServerChannel(self.scheduler, self.server)

    def ask(self, *, at_s: float = 0.0, size_s: float = 1.0, deadline_ms: int = 60_000) -> Asked:
        head = b"GET /v1/thing HTTP/1.1\r\nHost: lab\r\nMesh-Deadline: %d\r\n\r\n" % deadline_ms
        asked = Asked(self.scheduler, head)

        def start() -> None:
            self.sizes_s.append(size_s)
            self.channel.start(asked)

        self.scheduler.at(START_S + at_s, start)
        return asked

    def probe(self, *, at_s: float = 0.0) -> Asked:
        asked = Asked(self.scheduler, b"OPTIONS * HTTP/1.1\r\nHost: lab\r\n\r\n")
        self.scheduler.at(START_S + at_s, self.channel.start, asked)
        return asked

    def after(self, seconds: float, function: Callable[..., object], *args: object) -> None:
        self.scheduler.at(START_S + seconds, function, *args)

    def run(self) -> None:
        self.scheduler.run()
        assert self.server.meter.in_flight == 0


def ends(*asked: Asked) -> list[Any]:
    return [None if one.ended_s is None else pytest.approx(one.ended_s) for one in asked]


# One at a time.


def test_a_queue_is_worked_off_in_its_order() -> None:
    bench = Bench(Fifo)
    asked = [bench.ask(size_s=2.0), bench.ask(at_s=0.5), bench.ask(at_s=0.5, size_s=0.5)]
    idle = bench.ask(at_s=10.0)
    bench.run()
    assert ends(*asked, idle) == [2.0, 3.0, 3.5, 11.0]


def test_a_cancelled_job_makes_room_at_once_whether_it_runs_or_waits() -> None:
    bench = Bench(Fifo)
    running, waiting, last = bench.ask(size_s=5.0), bench.ask(size_s=5.0), bench.ask()
    bench.after(1.0, bench.channel.abandon, waiting)
    bench.after(2.0, bench.channel.abandon, running)
    bench.run()
    assert ends(running, waiting, last) == [None, None, 3.0]


def test_a_job_whose_time_is_over_at_its_turn_is_refused_if_the_server_looks() -> None:
    bench = Bench(Fifo, drops_late=True)
    first = bench.ask(size_s=2.0)
    late, good = bench.ask(deadline_ms=1500), bench.ask()
    bench.run()
    assert ends(first, late, good) == [2.0, 2.0, 3.0]
    assert (late.status, late.header(b"mesh-nack")) == (504, b"1")
    assert good.status == 200


# All at once.


def test_jobs_share_the_capacity() -> None:
    bench = Bench(lambda scheduler: Sharing(scheduler, 2.0))
    # Alone until 1 s (2 of 4 done), then half each: 2 and 3 are left.
    one, other = bench.ask(size_s=4.0), bench.ask(at_s=1.0, size_s=3.0)
    bench.run()
    assert ends(one, other) == [3.0, 3.5]


def test_a_cancelled_job_leaves_its_share_to_the_others() -> None:
    bench = Bench(Sharing)
    one, other = bench.ask(size_s=2.0), bench.ask(size_s=2.0)
    bench.after(1.0, bench.channel.abandon, other)
    bench.run()
    assert ends(one, other) == [2.5, None]


def test_the_capacity_can_change_under_way() -> None:
    bench = Bench(Sharing)
    work = bench.server.work
    assert isinstance(work, Sharing)
    one = bench.ask(size_s=2.0)
    bench.after(1.0, lambda: setattr(work, "capacity", 0.5))
    bench.run()
    assert work.capacity == 0.5
    assert ends(one) == [3.0]


def test_a_server_that_was_idle_begins_anew() -> None:
    bench = Bench(Sharing)
    asked = [bench.ask(at_s=at_s, size_s=0.5) for at_s in (0.0, 10.0, 10.25)]
    bench.run()
    assert ends(*asked) == [0.5, 10.75, 11.0]


# Each by itself.


def test_latency_doubles_when_the_capacity_is_in_flight() -> None:
    bench = Bench(lambda scheduler: Apart(scheduler, 2.0))
    asked = [bench.ask(), bench.ask(), bench.ask(at_s=10.0)]
    bench.run()
    assert ends(*asked) == [1.5, 2.0, 11.5]


def test_without_a_capacity_nobody_waits() -> None:
    bench = Bench(Apart)
    asked = [bench.ask() for _ in range(50)]
    bench.run()
    assert ends(*asked) == [1.0] * 50


def test_a_slowed_server_takes_longer_for_what_comes_then() -> None:
    bench = Bench(Apart)
    before, after = bench.ask(), bench.ask(at_s=0.5)
    bench.after(0.25, lambda: setattr(bench.server, "slowness", 10.0))
    bench.run()
    assert ends(before, after) == [1.0, 10.5]


# What a server says of itself.


def test_every_answer_tells_the_load_without_the_request_that_it_ends() -> None:
    bench = Bench(Apart, age_s=100.0)
    for _ in range(3):  # the first requests of a process are no measure
        bench.ask(size_s=0.01)
    bench.run()
    first = bench.ask(size_s=1.0)
    for _ in range(3):
        bench.ask(size_s=5.0)
    bench.run()
    value = first.header(b"mesh-load")
    assert value is not None
    load = parse_load(value)
    assert load is not None
    assert (load.in_flight, load.age_s, load.draining) == (3, 101, False)
    assert load.latency_ms == pytest.approx(1000.0)


def test_a_load_probe_is_answered_at_once_and_adds_no_load() -> None:
    bench = Bench(Fifo)
    bench.ask(size_s=5.0)
    bench.ask(size_s=5.0)
    probe = bench.probe(at_s=1.0)
    bench.run()
    assert (ends(probe), probe.status) == ([1.0], 204)
    value = probe.header(b"mesh-load")
    assert value is not None
    assert value.startswith(b"in-flight=2,")
    assert (bench.server.probes, bench.server.attempts) == (1, 2)


def test_a_draining_server_says_so_and_still_answers() -> None:
    bench = Bench(Apart)
    before, after = bench.ask(), bench.ask(at_s=2.0)
    bench.after(1.5, bench.server.drain)
    bench.run()
    for asked, draining in ((before, False), (after, True)):
        value = asked.header(b"mesh-load")
        assert value is not None
        assert value.endswith(b"draining") is draining


# What can be wrong with it.


def test_a_full_server_refuses_at_once_and_promises_that_nothing_was_begun() -> None:
    bench = Bench(Apart, limit=1)
    taken, refused, later = bench.ask(), bench.ask(at_s=0.5), bench.ask(at_s=1.5)
    bench.run()
    assert ends(taken, refused, later) == [1.0, 0.5, 2.5]
    assert [one.status for one in (taken, refused, later)] == [200, 503, 200]
    assert refused.header(b"mesh-nack") == b"1"
    assert taken.header(b"mesh-nack") is None


def test_a_black_hole_takes_everything_and_says_nothing() -> None:
    bench = Bench(Apart)
    bench.server.fault = BlackHole()
    asked, probe = bench.ask(), bench.probe()
    bench.scheduler.run()
    assert asked.carrier is not None, "it was sent"
    assert ends(asked, probe) == [None, None]
    bench.channel.abandon(asked)
    bench.channel.abandon(probe)
    assert asked.carrier is None
    assert bench.server.meter.in_flight == 0


@pytest.mark.parametrize("status", [400, 429, 500, 503])
@pytest.mark.parametrize("nack", [False, True])
def test_a_server_that_fails_fast(status: int, nack: bool) -> None:
    bench = Bench(Apart)
    bench.server.fault = Failing(status=status, nack=nack, after_s=0.25)
    asked = bench.ask()
    bench.run()
    assert (ends(asked), asked.status) == ([0.25], status)
    assert (asked.header(b"mesh-nack") == b"1") is nack


def test_a_server_that_fails_slowly_does_the_work_first() -> None:
    bench = Bench(Fifo)
    bench.server.fault = Failing(status=503, after_s=None)
    one, other = bench.ask(), bench.ask()
    bench.run()
    assert (ends(one, other), one.status) == ([1.0, 2.0], 503)


def test_what_came_before_a_fault_is_answered_well() -> None:
    bench = Bench(Apart)
    before, after = bench.ask(), bench.ask(at_s=0.75)
    bench.after(0.5, lambda: setattr(bench.server, "fault", Failing()))
    bench.run()
    assert [before.status, after.status] == [200, 500]


# Its end and its return.


def test_a_killed_server_loses_what_runs_and_refuses_connects() -> None:
    bench = Bench(Sharing)
    running, late = bench.ask(size_s=5.0), bench.ask(at_s=2.0)
    bench.after(1.0, bench.server.kill)
    bench.scheduler.run()
    assert running.error is not None
    assert (running.error.kind, running.error.sent) == ("reply-lost", True)
    assert ends(running) == [1.0]
    assert late.error is not None
    assert (late.error.kind, late.error.sent) == ("connect", False)
    assert bench.server.lost == 1


def test_a_connect_that_is_being_refused_can_be_abandoned() -> None:
    bench = Bench(Apart)
    bench.server.kill()
    asked = bench.ask()
    bench.after(0.0001, bench.channel.abandon, asked)
    bench.scheduler.run()
    assert ends(asked) == [None]


def test_a_restarted_server_is_a_new_process_young_and_cold() -> None:
    bench = Bench(Apart, age_s=1000.0)
    lost = bench.ask(size_s=5.0)
    bench.after(1.0, bench.server.kill)
    bench.after(2.0, lambda: bench.server.restart(8, cold_s=4.0, coldness=3.0))
    # Three times as long at first, twice when half of the cold time is over, then as ever.
    cold, warmer, warm = (bench.ask(at_s=at_s) for at_s in (2.0, 4.0, 6.0))
    bench.run()
    assert lost.error is not None
    assert ends(cold, warmer, warm) == [5.0, 6.0, 7.0]
    assert (bench.server.endpoint.pid, bench.server.endpoint.started) == (8, START_S + 2)
    value = warm.header(b"mesh-load")
    assert value is not None
    load = parse_load(value)
    assert load is not None
    assert (load.age_s, load.in_flight) == (5, 0)


# The network.


def test_the_network_takes_its_time_both_ways() -> None:
    bench = Bench(Apart, delay_s=0.1)
    asked, probe = bench.ask(), bench.probe()
    bench.run()
    assert ends(asked, probe) == [1.2, 0.2]


def test_an_attempt_can_be_abandoned_on_its_way_there_and_back() -> None:
    bench = Bench(Apart, delay_s=0.1)
    there, back = bench.ask(), bench.ask()
    bench.after(0.05, bench.channel.abandon, there)
    bench.after(1.15, bench.channel.abandon, back)
    bench.run()
    assert ends(there, back) == [None, None]
    assert bench.server.answered == 1


def test_mistakes_of_the_caller_are_found() -> None:
    bench = Bench(Apart)
    asked = bench.ask()
    bench.scheduler.run_until(START_S)
    with pytest.raises(AssertionError, match="another channel carries"):
        bench.channel.start(asked)
    bench.channel.close()
    with pytest.raises(AssertionError, match="closed channel"):
        bench.channel.start(Asked(bench.scheduler, b""))
