"""What is counted of jobs, and how Prometheus is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


class JobStats:
    """What one process counts of one job.

    Attributes:
        job: ``SERVICE.NAME``.
        runs: ended runs by outcome: "finished", "failed" (also: took too long; a daemon that
            ended), "lost" (cut off because the lock was lost), "stopped" (because the process
            leaves).
        running: whether one is under way.
        blocked: whether its lock cannot even be asked for.
        succeeded_at: the end of the last good run in this process, in seconds since 1970 UTC;
            None: there was none yet.
    """

    __slots__ = ("blocked", "job", "running", "runs", "succeeded_at")

    def __init__(self, job: str) -> None:
        """Begin at nothing."""
        self.job = job
        self.runs: Counter[str] = Counter()
        self.running = False
        self.blocked = False
        self.succeeded_at: float | None = None


class JobCollector:
    """Reads the counters of jobs at a scrape; see `services.kit.metrics`."""

    def __init__(self, stats: Sequence[JobStats]) -> None:
        """Take the counters, a job each."""
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """All metrics as of now."""
        if not self._stats:
            return
        runs = CounterMetricFamily("mesh_job_runs", "Ended runs.", labels=["job", "outcome"])
        running = GaugeMetricFamily("mesh_job_running", "1 while it runs here.", labels=["job"])
        blocked = GaugeMetricFamily(
            "mesh_job_blocked", "1 while the registry gives no locks.", labels=["job"]
        )
        succeeded = GaugeMetricFamily(
            "mesh_job_last_success_timestamp_seconds",
            "The end of the last good run here; of all replicas the greatest counts.",
            labels=["job"],
        )
        for stats in self._stats:
            for outcome, count in sorted(stats.runs.items()):
                runs.add_metric([stats.job, outcome], count)
            running.add_metric([stats.job], int(stats.running))
            blocked.add_metric([stats.job], int(stats.blocked))
            if stats.succeeded_at is not None:
                succeeded.add_metric([stats.job], stats.succeeded_at)
        yield from (runs, running, blocked, succeeded)
