"""A replica that follows a script, and the channel that leads to it.

The channel is as strict as its interface: an attempt that is started twice, or abandoned although
it is not here, is an `AssertionError`, because on sockets it would be a leak.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from twisted.internet.interfaces import IDelayedCall

from ..clock import Clock
from ..dispatch.probe import LoadProbe
from ..errors import BadReply, CallError, ConnectFailed, ReplyLost
from ..transport import Attempt
from ..values import Endpoint, Reply
from .behaviour import QUICK_S, Answer, Behaviour, Breaks, Garbled, Refuses, Scripted, Silent

_DEADLINE = re.compile(rb"\r\nMesh-Deadline: ([0-9]+)\r\n").search
_ATTEMPT = re.compile(rb"\r\nMesh-Attempt: ([0-9]+)\r\n").search


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a replica got it.

    Attributes:
        at: when, in the clock's seconds.
        data: the raw bytes.
    """

    at: float
    data: bytes

    @property
    def deadline_ms(self) -> int:
        """Its ``Mesh-Deadline``, in milliseconds left."""
        found = _DEADLINE(self.data)
        assert found is not None, "a request without Mesh-Deadline"
        return int(found[1])

    @property
    def attempt(self) -> int:
        """Its ``Mesh-Attempt``; 1 when it has none."""
        found = _ATTEMPT(self.data)
        return int(found[1]) if found is not None else 1


class FakeReplica:
    """One replica of a `balancer.testing.World`.

    Attributes:
        endpoint: where it is.
        behaviour: what it does with attempts from now on: a `Behaviour`, or a function that is
            given the replica and decides for each attempt.
        in_flight: attempts that it has now.
        attempts: attempts that it was given, refused connects included.
        abandoned: attempts that were taken back.
        probes: load probes that it was given. They are no attempts: unless it is silent or dead,
            it answers them at once, whatever it does with calls, and with the headers of its
            `Answer`, if that is what it does; and like calls, if it is another service's.
        received: the requests that were sent to it, if ``keeps`` is set.
        keeps: whether requests are kept; off for long simulations.
    """

    def __init__(self, clock: Clock, endpoint: Endpoint) -> None:
        """Make a good and quick one.

        Args:
            clock: virtual.
            endpoint: where it is.
        """
        self.endpoint = endpoint
        self.behaviour: Scripted = Answer()
        self.in_flight = 0
        self.attempts = 0
        self.abandoned = 0
        self.probes = 0
        self.received: list[Received] = []
        self.keeps = True
        self._clock = clock
        self._running: dict[int, _Running] = {}
        self._frozen = False

    def freeze(self) -> None:
        """Stop, as by SIGSTOP: connections and requests are taken in, nothing comes out."""
        self._frozen = True

    def thaw(self) -> None:
        """Go on, as by SIGCONT: what fell due meanwhile is answered now."""
        self._frozen = False
        for running in [each for each in self._running.values() if each.held is not None]:
            held = running.held
            if held is not None:  # an earlier answer may have had this one abandoned
                held()

    def kill(self) -> None:
        """Die, as by SIGKILL: what runs is lost, and connects are refused."""
        self.behaviour = Refuses()
        self._frozen = False
        for running in list(self._running.values()):
            self.finish(running.attempt, ReplyLost(f"{self.endpoint.address} died", sent=True))

    def start(self, attempt: Attempt) -> None:
        """Take an attempt; `FakeChannel` calls it."""
        assert id(attempt) not in self._running, "an attempt was started twice"
        if isinstance(attempt, LoadProbe):
            self._start_probe(attempt)
            return
        self.attempts += 1
        behaviour = self.behaviour
        decided: Behaviour = behaviour(self) if callable(behaviour) else behaviour
        self.in_flight += 1
        running = self._running[id(attempt)] = _Running(attempt)
        address = self.endpoint.address
        if isinstance(decided, Refuses):
            why = ConnectFailed(f"no connection to {address}: refused")
            self._later(running, decided.after_s, why, freezes=False)
            return
        if isinstance(decided, Silent) and not decided.connected:
            return
        attempt.carrier = self
        data = attempt.payload()
        if self.keeps:
            self.received.append(Received(at=self._clock.seconds(), data=data))
        if isinstance(decided, Silent):
            return
        outcome: Reply | CallError
        after_s: float
        if isinstance(decided, Answer):
            outcome = Reply(decided.status, list(decided.headers), decided.body)
            after_s = decided.after_s
        elif isinstance(decided, Breaks):
            outcome = ReplyLost(f"{address} closed the connection", sent=True)
            after_s = decided.after_s
        else:
            assert isinstance(decided, Garbled), f"{decided!r} is no behaviour"
            outcome = BadReply(f"{address} sent what is no HTTP", sent=True)
            after_s = decided.after_s
        self._later(running, after_s, outcome)

    def abandon(self, attempt: Attempt) -> None:
        """Forget an attempt; `FakeChannel` calls it."""
        assert id(attempt) in self._running, "an attempt was abandoned that is not here"
        if not isinstance(attempt, LoadProbe):
            self.abandoned += 1
        self._forget(attempt)

    def finish(self, attempt: Attempt, outcome: Reply | CallError) -> None:
        """End an attempt that is here now, with this outcome."""
        self._forget(attempt)
        if isinstance(outcome, Reply):
            attempt.replied(outcome)
        else:
            attempt.failed(outcome)

    def _start_probe(self, probe: LoadProbe) -> None:
        self.probes += 1
        running = self._running[id(probe)] = _Running(probe)
        behaviour = self.behaviour
        if isinstance(behaviour, Refuses):
            why = ConnectFailed(f"no connection to {self.endpoint.address}: refused")
            self._later(running, behaviour.after_s, why, freezes=False)
        elif isinstance(behaviour, Silent):
            probe.carrier = self if behaviour.connected else None
        else:
            probe.carrier = self
            headers = list(behaviour.headers) if isinstance(behaviour, Answer) else []
            misdirected = isinstance(behaviour, Answer) and behaviour.status == 421
            self._later(running, QUICK_S, Reply(421 if misdirected else 204, headers, b""))

    def _later(
        self,
        running: _Running,
        after_s: float,
        outcome: Reply | CallError,
        *,
        freezes: bool = True,
    ) -> None:
        def end() -> None:
            running.timer = None
            if self._frozen and freezes:
                running.held = end
            else:
                self.finish(running.attempt, outcome)

        if after_s > 0:
            running.timer = self._clock.callLater(after_s, end)
        else:
            end()

    def _forget(self, attempt: Attempt) -> None:
        running = self._running.pop(id(attempt))
        running.held = None
        if running.timer is not None:
            running.timer.cancel()
        attempt.carrier = None
        if not isinstance(attempt, LoadProbe):
            self.in_flight -= 1


class _Running:
    """An attempt at a replica: its timer, or what is held back while the replica is frozen."""

    __slots__ = ("attempt", "held", "timer")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.timer: IDelayedCall | None = None
        self.held: Callable[[], None] | None = None


class FakeChannel:
    """A `balancer.transport.Channel` to a `FakeReplica`.

    Attributes:
        replica: where it leads.
        closed: whether it was closed.
    """

    def __init__(self, replica: FakeReplica) -> None:
        """Lead to a replica."""
        self.replica = replica
        self.closed = False

    def start(self, attempt: Attempt, *, bodiless: bool = False) -> None:
        """Hand an attempt over."""
        assert not self.closed, "an attempt was started on a closed channel"
        assert attempt.carrier is None, "an attempt was started that another channel carries"
        self.replica.start(attempt)

    def abandon(self, attempt: Attempt) -> None:
        """Take an attempt back."""
        self.replica.abandon(attempt)

    def close(self) -> None:
        """Take nothing new."""
        self.closed = True
