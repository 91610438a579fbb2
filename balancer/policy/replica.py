"""What the balancer knows of one replica: a record without behaviour of its own.

The policies read and write it, each its own part, so that one replica is one object however many
policies look at it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from ..values import Endpoint

# Why a replica is ejected: failures in a row, failed connects in a row, more failures than the
# others have, slower than the others are, more 4xx than the others answer, no sign of life, that it
# said it leaves, or that it said it is no replica of the service; "" for never.
Reason: TypeAlias = Literal[
    "",
    "failures",
    "connect",
    "success-rate",
    "latency",
    "rejections",
    "silence",
    "draining",
    "misdirected",
]
# Before anything was heard of any replica all seem alike (seconds per request in flight).
UNHEARD_COST_S = 1.0


class Replica:
    """The live record of an endpoint.

    Attributes:
        endpoint: what discovery tells of it; replaced when discovery tells more.
        position: its place in the fleet, nought for the first; for policies that go round.
        in_flight: this process's attempts on it that have not ended.
        attempts: attempts begun on it since the process started.
        failures: consecutive failed attempts.
        connect_failures: consecutive failed connects.
        ejections: ejections in the current spell of trouble; each doubles the next one's time.
        ejected_until: monotonic seconds; 0.0 while it is not ejected.
        ejected_for: why it was ejected when it last was well; "" for never.
        probing: whether a probe is out.
        settled: attempts up to this number (counted by ``attempts``) say nothing more of its
            health: they began before it was ejected, or before its probe.
        refusals: recent refusals and failures, each as heavy as an attempt in flight; fading.
        restored_at: when it last came back, in monotonic seconds.
        draining: whether it said that it is leaving.
        gone: whether nobody of the service is there any more, as calls have found.
        share: its announced weight, or what of it this process may use; above 0, at most 1.
        weight: what it should take of the calls beside others: ``share``, less while it is young;
            above 0, at most 1.
        born: when it started, in monotonic seconds; minus infinity when it is not young.
        answered_at: when it last gave this process a good answer, in monotonic seconds; 0.0 for
            never.
        heard_at: when it last reported its load, in monotonic seconds; 0.0 for never.
        others: requests of other callers in it, as it last reported; fading when that is long ago.
        report_latency_s: how long requests take in it of late, as it last reported; likewise.
        cost_s: how slow it is, whatever its load: seconds that a request takes, by the square root
            of those in flight; see `balancer.policy.signals`.
        latency_s: how long our own attempts took of late, in seconds; 0.0 when none has ended.
        peak_s: the same, rising at once and falling slowly; kept for peak EWMA only.
        peak_at: when that was last worked out, in monotonic seconds.
        answers: recent attempts with an answer that says nothing bad of it; fading, likewise below.
        faults: recent attempts that failed.
        rejections: those of ``answers`` that rejected the call (4xx).
        slow: those of ``answers`` that took far longer than is usual in the fleet.
        silent: looks in a row at which calls waited and nothing had come from it; see
            `balancer.policy.silence`.
    """

    __slots__ = (
        "answered_at",
        "answers",
        "attempts",
        "born",
        "connect_failures",
        "cost_s",
        "draining",
        "ejected_for",
        "ejected_until",
        "ejections",
        "endpoint",
        "failures",
        "faults",
        "gone",
        "heard_at",
        "in_flight",
        "latency_s",
        "others",
        "peak_at",
        "peak_s",
        "position",
        "probing",
        "refusals",
        "rejections",
        "report_latency_s",
        "restored_at",
        "settled",
        "share",
        "silent",
        "slow",
        "weight",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin a record: idle and healthy."""
        self.endpoint = endpoint
        self.position = 0
        self.in_flight = 0
        self.attempts = 0
        self.answers = 0.0
        self.faults = 0.0
        self.slow = 0.0
        self.rejections = 0.0
        self.silent = 0
        self.failures = 0
        self.connect_failures = 0
        self.ejections = 0
        self.ejected_until = 0.0
        self.ejected_for: Reason = ""
        self.probing = False
        self.settled = 0
        self.refusals: float = 0
        self.restored_at = 0.0
        self.draining = False
        self.gone = False
        self.share = 1.0
        self.weight = 1.0
        self.born = float("-inf")
        self.answered_at = 0.0
        self.heard_at = 0.0
        self.others: float = 0
        self.report_latency_s = 0.0
        self.cost_s = UNHEARD_COST_S
        self.latency_s = 0.0
        self.peak_s = 0.0
        self.peak_at = 0.0

    def __repr__(self) -> str:
        state = "ejected" if self.ejected_until else "draining" if self.draining else "up"
        return f"<Replica {self.endpoint.replica} {self.endpoint.address} {state}>"
