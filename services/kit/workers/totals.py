"""The counters of all workers as those of one replica. Pure.

Our counters are plain numbers that are read at each scrape, so each worker tells what a scrape of
it would show, and the master adds that up. The library's own way for several processes, counters in
files that are mapped into memory, would put a labelled counter and a lock on every request, and
asks for a folder that somebody empties; and it knows nothing of collectors.

The names and labels are those of a replica without workers, so that dashboards need not know. What
a worker had counted when it died stays in the sums: a counter never goes back. Its gauges vanish
with it. If a reload changes a histogram's bounds, what old workers counted stays under theirs.

A number that is none (NaN, or beyond all bounds) is not told: JSON has no word for it, and a sum
that it has once got into would never be a number again.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Annotated, Literal, cast

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

# Gauges that count things: the replica has as many as its workers together. Of any other the
# greatest is told, such as the oldest view of the registry.
_SUMMED_GAUGES = frozenset(
    {
        "mesh_requests_in_flight",
        "mesh_connections",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
    }
)
# These say something of one process only: the master's stand for the replica.
_OWN = frozenset({"process_start_time_seconds", "process_max_fds", "python_info"})

# The library takes no others, and raises when it is to show one.
Kind = Literal[
    "counter",
    "gauge",
    "summary",
    "histogram",
    "gaugehistogram",
    "unknown",
    "info",
    "stateset",
]
_Key = tuple[str, tuple[tuple[str, str], ...]]


class Family(msgspec.Struct, array_like=True):
    """One metric of one process at one instant.

    Attributes:
        name: without the endings that its samples have.
        text: its help.
        kind: how its samples are to be read.
        samples: name, labels and value of each.
    """

    name: Annotated[str, msgspec.Meta(min_length=1)]
    text: str
    kind: Kind
    samples: list[tuple[str, dict[str, str], float]]


def families_of(collectors: Iterable[Collector], *, of_master: bool = False) -> list[Family]:
    """What a process counts: all that a scrape of it would find.

    Args:
        collectors: what it counts with.
        of_master: whether it stands for the replica, with what means one process only.
    """
    return [
        Family(
            metric.name,
            metric.documentation,
            cast("Kind", metric.type),
            [
                (sample.name, dict(sample.labels), float(sample.value))
                for sample in metric.samples
                if isfinite(sample.value)
            ],
        )
        for collector in collectors
        for metric in collector.collect()
        if of_master or metric.name not in _OWN
    ]


class _Sum:
    """One metric, added up."""

    def __init__(self, family: Family) -> None:
        self._name = family.name
        self._text = family.text
        self._kind = family.kind
        self._greatest = family.kind == "gauge" and family.name not in _SUMMED_GAUGES
        # In the order in which they came: a histogram's buckets must stay together.
        self._values: dict[_Key, float] = {}

    def add(self, family: Family) -> None:
        for name, labels, value in family.samples:
            key = (name, tuple(labels.items()))
            before = self._values.get(key)
            if before is None:
                self._values[key] = value
            else:
                self._values[key] = max(before, value) if self._greatest else before + value

    def family(self) -> Family:
        samples = [(name, dict(labels), value) for (name, labels), value in self._values.items()]
        return Family(self._name, self._text, self._kind, samples)

    def metric(self) -> Metric:
        metric = Metric(self._name, self._text, self._kind)
        for (name, labels), value in self._values.items():
            metric.add_sample(name, dict(labels), value)
        return metric


class Totals:
    """What dead workers had counted, and with it the sums of all."""

    def __init__(self) -> None:
        """Begin with nobody dead."""
        self._kept: list[Family] = []

    def retire(self, families: Iterable[Family]) -> None:
        """Keep the counters of a worker that has ended.

        Args:
            families: what it told last.
        """
        lasting = [family for family in families if family.kind != "gauge"]
        self._kept = [each.family() for each in _sums([self._kept, lasting])]

    def metrics(self, living: Iterable[list[Family]]) -> list[Metric]:
        """The sums as of now.

        Args:
            living: what each living process last told.
        """
        return [each.metric() for each in _sums([self._kept, *living])]


def _sums(every: Iterable[list[Family]]) -> list[_Sum]:
    sums: dict[str, _Sum] = {}
    for families in every:
        for family in families:
            if family.name not in sums:
                sums[family.name] = _Sum(family)
            sums[family.name].add(family)
    return list(sums.values())
