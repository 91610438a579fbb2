"""The last decisions of this process, in memory; `balancer.telemetry.decisions` has their form."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import BinaryIO

import msgspec

from ..clock import Clock
from ..config import Settings
from ..policy import BalancingSettings, Fleet, Replica, RetryBudget
from .decisions import CallEntry, DecisionEntry, DecisionHeader, HealthEntry
from .reasons import health_reason
from .sampled import SampledCall

_ENCODER = msgspec.json.Encoder()
_DIGEST_BYTES = 4
# Steps of the golden ratio fill the stretch from 0 to 1 evenly, however many there are.
_GOLDEN = 0.618034
# A replica that most of the fleet's illness keeps from being ejected would be told of at every
# failure: once in so long (seconds) is enough.
_QUIET_S = 1.0
# Of so many replicas it is remembered what was told last; most of them have long left.
_TOLD_MOST = 1000
# So many calls fill a gigabyte, and nobody reads them.
_KEPT_MOST = 100_000


class DecisionSettings(Settings, frozen=True, kw_only=True):
    """Which decisions are kept, to answer "why this replica?".

    Attributes:
        every: one call in so many is sampled; 1 for all, 0 for none and no changes of health
            either. At 1,000 it costs nothing that can be measured.
        kept: how many sampled calls are kept, 100,000 at most, and as many changes of health; the
            oldest go first. Each holds 1 to 15 kB, by the number of replicas.
    """

    every: int = 1000
    kept: int = 1000

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.every < 0:
            raise ValueError("every must not be below 0")
        if not 1 <= self.kept <= _KEPT_MOST:
            raise ValueError(f"kept must be from 1 to {_KEPT_MOST}")


class DecisionLog:
    """See the module."""

    __slots__ = (
        "_caller",
        "_calls",
        "_clock",
        "_every",
        "_health",
        "_left",
        "_opened",
        "_opened_at",
        "_place",
        "_salt",
        "_told",
    )

    def __init__(
        self,
        settings: DecisionSettings,
        *,
        caller: str,
        clock: Clock,
        wall: float = 0.0,
        salt: bytes = b"",
    ) -> None:
        """Begin empty.

        Args:
            settings: what is kept.
            caller: this process's name.
            clock: monotonic; what it says now is the log's instant 0.
            wall: the same instant in seconds since the epoch; 0.0 in virtual time.
            salt: what digests of keys are made with, at most 64 bytes; of a secret source, so
                that nobody finds a key by trying.
        """
        self._caller = caller
        self._every = settings.every
        self._clock = clock
        self._opened = clock.seconds()
        self._opened_at = wall
        self._salt = salt
        # The first call is sampled: a process that makes few would else have nothing to show.
        self._left = 1 if settings.every else 0
        self._place = 0.0
        self._calls: deque[CallEntry] = deque(maxlen=settings.kept)
        self._health: deque[HealthEntry] = deque(maxlen=settings.kept)
        # By address: the change that was told last, and when.
        self._told: dict[str, tuple[str, float]] = {}

    def due(self) -> bool:
        """Whether the call that begins now is sampled. Cost: a subtraction."""
        self._left -= 1
        if self._left:
            return False
        # One in each stretch of so many, at a place that goes about: were it each N-th, a policy
        # that goes round would be seen at one and the same replica.
        place = (self._place + _GOLDEN) % 1.0
        every = self._every
        self._left = every + int(place * every) - int(self._place * every)
        self._place = place
        return True

    def sample(
        self,
        service: str,
        fleet: Fleet,
        budget: RetryBudget,
        balancing: BalancingSettings,
        *,
        now: float,
        deadline: float,
        retryable: bool,
        key: str | None,
    ) -> SampledCall:
        """Begin to follow a call that is `due`.

        Args:
            service: whom it calls.
            fleet: the service's replicas.
            budget: what its retries are paid from.
            balancing: how its replicas are picked.
            now: when it begins, in monotonic seconds.
            deadline: the call's own, in monotonic seconds.
            retryable: whether doing it twice is harmless.
            key: what its answer depends on, or None.
        """
        return SampledCall(
            self._calls.append,
            service,
            fleet,
            budget,
            balancing,
            clock=self._clock,
            opened=self._opened,
            now=now,
            deadline=deadline,
            retryable=retryable,
            key="" if key is None else self._digest(key),
        )

    def health(self, service: str, replica: Replica, change: str, reason: str) -> None:
        """Take note of a change of health.

        Args:
            service: the replica's.
            replica: whose, its record as it is after the change.
            change: "ejected", "restored" or "kept".
            reason: as the policies say it.
        """
        if not self._every:
            return
        now = self._clock.seconds()
        address = replica.endpoint.address
        before, at = self._told.get(address, ("", 0.0))
        if change == before == "kept" and now < at + _QUIET_S:
            return
        if len(self._told) >= _TOLD_MOST:
            self._told.clear()
        self._told[address] = change, now
        self._health.append(
            HealthEntry(
                at_s=round(now - self._opened, 6),
                service=service,
                replica=replica.endpoint.replica,
                address=address,
                change=change,
                reason=reason,
                why=health_reason(replica, change, reason, again=change == before),
                ejected_s=round(replica.ejected_until - now, 3) if change == "ejected" else 0.0,
            )
        )

    def entries(self) -> list[DecisionEntry]:
        """What is kept, in the order of beginning; calls that still run are not among them."""
        every: list[DecisionEntry] = [*self._calls, *self._health]
        every.sort(key=lambda entry: entry.at_s)
        return every

    def write(self, file: BinaryIO) -> None:
        """Write all as JSON lines; the first is the header."""
        header = DecisionHeader(
            caller=self._caller, began=round(self._opened_at, 3), every=self._every
        )
        file.write(_ENCODER.encode_lines([header, *self.entries()]))

    def _digest(self, key: str) -> str:
        text = key.encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=_DIGEST_BYTES, key=self._salt).hexdigest()
