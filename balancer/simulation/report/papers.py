"""What the papers say: their figures, and the runs that are held against them.

"Published" stands in the source; "computed" was worked out, or simulated by another program, for
the very model that is run here, and so is the closer measure where both are known.
"""

from __future__ import annotations

from types import MappingProxyType

from .cell import Cell
from .claims import Bound, Claim, Section
from .contenders import Contender
from .runs import SEEDS, runs

# Supermarket model: the mean time in the system, published and computed, by load and choices.
# With one choice each server is a queue of its own, whose time is 1 / (1 - load).
SUPERMARKET = (
    (0.5, 1, None, 2.0),
    (0.5, 2, 1.2673, 1.266),
    (0.5, 3, 1.1277, 1.128),
    (0.7, 1, None, 1 / 0.3),
    (0.7, 2, 1.6202, 1.615),
    (0.7, 3, 1.3634, 1.363),
    (0.9, 1, None, 10.0),
    (0.9, 2, 2.6454, 2.648),
    (0.9, 3, 2.0614, 2.051),
    (0.95, 1, None, 20.0),
    (0.95, 2, 3.4610, 3.446),
    (0.95, 3, 2.6137, 2.597),
    (0.99, 2, 5.9275, 5.94),
    (0.99, 3, 4.4080, 4.28),
)
# The nearer to 1 the load, the longer the queues remember: so many calls keep chance under half of
# the bound. A queue without choice forgets the slowest; at .99 it would take 10**8 calls.
_SUPERMARKET_CALLS = MappingProxyType(
    {0.5: 500_000, 0.7: 500_000, 0.9: 2_000_000, 0.95: 3_000_000, 0.99: 5_000_000}
)
_ONE_CHOICE_CALLS = MappingProxyType({0.9: 2_000_000, 0.95: 6_000_000})
# Ten servers in turn.
_TURNS = (
    (0.5, 1.325, 500_000),
    (0.7, 2.020, 500_000),
    (0.9, 5.660, 2_000_000),
    (0.95, 11.15, 12_000_000),
)

_CLOSE = Bound(within=0.02)
_NEAR_FULL = Bound(within=0.05)
_NEAR = Bound(within=0.03)

# Antagonists: p99 in seconds by load, as computed, by who picks.
LOADS = (0.75, 1.03, 1.27, 1.74)
PREQUAL_P99_S = (0.328, 0.409, 0.562, 1.102)
ANTAGONISTS_P99_S = MappingProxyType(
    {
        Contender("round-robin"): (1.272, 5.0, 5.0, 5.0),
        Contender("two-choices", "in-flight"): (1.595, 4.257, 5.0, 5.0),
        Contender("two-choices", "peak-ewma"): (0.808, 1.148, 2.404, 5.0),
        Contender("hot-cold"): PREQUAL_P99_S,
    }
)


def sections() -> tuple[Section, ...]:
    """All sources, in the order of the report."""
    return (
        _supermarket(),
        _slow_server(),
        _hedging(),
        _throttle(),
        _amplification(),
        _antagonists(),
        _failures(),
        _fairness(),
    )


def supermarket_cells(load: float, choices: int) -> tuple[Cell, ...]:
    """The run for one figure of the supermarket model."""
    few = _SUPERMARKET_CALLS[load]
    return runs(
        "supermarket",
        Contender("two-choices", "in-flight"),
        (1,),
        choices=choices,
        load=load,
        calls=_ONE_CHOICE_CALLS.get(load, few) if choices == 1 else few,
    )


def _supermarket() -> Section:
    claims = [
        Claim(
            case=f"load {load:g}, d = {choices}",
            cells=supermarket_cells(load, choices),
            figure="mean_s",
            unit="s",
            published=published,
            computed=computed,
            bound=_NEAR_FULL if load > 0.95 else _CLOSE,
        )
        for load, choices, published, computed in SUPERMARKET
    ]
    claims += [
        Claim(
            case=f"load {load:g}, 10 servers in turn",
            cells=runs(
                "supermarket", Contender("round-robin"), (1,), replicas=10, load=load, calls=calls
            ),
            figure="mean_s",
            unit="s",
            computed=computed,
            bound=_CLOSE,
        )
        for load, computed, calls in _TURNS
    ]
    return Section(
        name="supermarket",
        title="The supermarket model",
        text=(
            "A hundred servers with a queue each, unit service time, and one dispatcher that joins "
            "the shortest of d queues drawn at random (Mitzenmacher 1996/2001). The figure is the "
            "mean time in the system. Two choices do not beat everything everywhere: at a load of "
            "one half they are no better than taking turns."
        ),
        claims=tuple(claims),
        plots=("supermarket",),
    )


def _slow_server() -> Section:
    def claim(
        case: str,
        contender: Contender | None,
        computed: float | None,
        bound: Bound,
        figure: str = "slow_share",
    ) -> Claim:
        return Claim(
            case=case,
            cells=runs("slow-server", contender, (1,)),
            figure=figure,
            unit="%",
            computed=computed,
            bound=bound,
        )

    return Section(
        name="slow-server",
        title="One slow server",
        text=(
            "One of eleven servers takes 2 s instead of 167 ms for half a minute (Buoyant 2016). "
            "The figure is the share of all calls that took over 1 s. The source has it as about "
            "5 % in turn, 1 % by least loaded and 0.1 % by peak EWMA. It is about picks alone, so "
            "nobody is ejected, but in the last row."
        ),
        claims=(
            claim("round robin", Contender("round-robin"), 0.04545, Bound(within=0.001)),
            claim(
                "two choices, in flight",
                Contender("two-choices", "in-flight"),
                0.005,
                Bound(least=0.003, most=0.007),
            ),
            claim(
                "two choices, peak EWMA",
                Contender("two-choices", "peak-ewma"),
                0.0007,
                Bound(most=0.001),
            ),
            claim("the default", None, None, Bound(most=0.001)),
            claim(
                "the default, with ejection", None, None, Bound(most=0.001), "product_slow_share"
            ),
        ),
        plots=("slow-server",),
    )


def _hedging() -> Section:
    return Section(
        name="hedging",
        title="Hedging",
        text=(
            "A second attempt for calls that take longer than a share of all do (Dean and Barroso "
            "2013). First exponential latencies with a mean of 1 s, hedged after their 95th "
            "percentile, which the client has to learn; then requests of a hundred calls each, one "
            "call in a hundred slow. Chance decides on a dozen of the slow requests that are left: "
            "their bound is three standard deviations wide."
        ),
        claims=tuple(
            Claim(
                case=case,
                cells=runs("hedging", seeds=SEEDS[:2]),
                figure=figure,
                unit=unit,
                computed=computed,
                bound=bound,
            )
            for case, figure, unit, computed, bound in (
                ("p99, not hedged", "unhedged_p99_s", "s", 4.605, _NEAR),
                ("p99, hedged", "p99_s", "s", 3.800, _NEAR),
                ("p99.9, not hedged", "unhedged_p999_s", "s", 6.908, _NEAR),
                ("p99.9, hedged", "p999_s", "s", 4.952, _NEAR),
                ("attempts a call", "attempts_per_call", "", 1.05, _NEAR),
                ("slow requests, not hedged", "fan_out_slow", "%", 0.6340, _NEAR),
                (
                    "slow requests, hedged",
                    "fan_out_slow_hedged",
                    "%",
                    0.00995,
                    Bound(least=0.0045, most=0.0155),
                ),
                ("more attempts for it", "fan_out_extra", "%", 0.01, _NEAR),
            )
        ),
    )


def _throttle() -> Section:
    return Section(
        name="throttle",
        title="Calls held back",
        text=(
            "A service accepts 100 calls a second and refuses the rest; its client fails calls by "
            "itself, with K = 2 (Google, Site Reliability Engineering, chapter 21). The figure is "
            "the share of calls that never leave the client."
        ),
        claims=tuple(
            Claim(
                case=f"{wanted} a second are wanted",
                cells=runs("throttle"),
                figure=f"held_back_{wanted}",
                unit="%",
                computed=computed,
                bound=bound,
            )
            for wanted, computed, bound in (
                (150, 0.0, Bound(most=0.0)),
                (300, 1 / 3, _NEAR),
                (1000, 0.8, _NEAR),
            )
        ),
    )


def _amplification() -> Section:
    def claim(case: str, figure: str, computed: float, bound: Bound) -> Claim:
        return Claim(
            case=case,
            cells=runs("amplification", seeds=(1,)),
            figure=figure,
            unit="",
            computed=computed,
            bound=bound,
        )

    return Section(
        name="amplification",
        title="Retries of retries",
        text=(
            "Three tiers call each other, each with retries of its own, and everything at the "
            "bottom fails (Google, Site Reliability Engineering, chapter 22). The figure is the "
            "attempts at the bottom for each call at the top."
        ),
        claims=(
            claim("3 attempts, no budget", "three_attempts", 27.0, _NEAR),
            claim("a budget of 10 %", "budget_10", 1.331, _NEAR),
            claim("a budget of 20 %", "budget_20", 1.728, _NEAR),
        ),
    )


def _antagonists() -> Section:
    claims = [
        Claim(
            case=f"load {load:g}: p99",
            cells=runs("antagonists", load=load),
            figure="p99_s",
            unit="ms",
            computed=computed,
            bound=Bound(times=1.1),
        )
        for load, computed in zip(LOADS, PREQUAL_P99_S, strict=True)
    ]
    claims += [
        Claim(
            case=f"load {load:g}: failed calls",
            cells=runs("antagonists", load=load),
            figure="failed",
            unit="",
            published=0.0,
            bound=Bound(most=0.0),
        )
        for load in (*LOADS[:-1], 1.57)
    ]
    claims += [
        Claim(
            case=case,
            cells=runs("antagonists", load=1.03, replicas=replicas, clients=clients),
            figure=figure,
            unit=unit,
            bound=bound,
        )
        for case, replicas, clients, figure, unit, bound in (
            ("sparse: p99", 8, 40, "p99_s", "ms", Bound(most=0.6)),
            ("sparse: probes a call", 8, 40, "probes_per_call", "", Bound(most=1.0)),
            ("dense: p99", 100, 1, "p99_s", "ms", None),
            ("dense: probes a call", 100, 1, "probes_per_call", "", Bound(most=0.05)),
        )
    ]
    return Section(
        name="antagonists",
        title="Antagonists",
        text=(
            "A hundred servers, every second one with a third of the others' capacity, and a "
            "hundred clients, each of which sends little (Prequal, NSDI 2024). Computed is Prequal "
            "with three probes a call; the default is held to 1.1 times that, as the mean of three "
            "seeds. Sparse is 8 servers with 40 clients, dense a hundred with one client, both at "
            "a load of 1.03."
        ),
        claims=tuple(claims),
        plots=("antagonists",),
    )


def _failures() -> Section:
    claims = [
        Claim(
            case=f"{scenario}: {words}",
            cells=runs(scenario),
            figure=figure,
            unit=unit,
            published=published,
            bound=bound,
        )
        for scenario, words, figure, unit, published, bound in (
            ("drastic-slowdown", "mean", "mean_s", "ms", 0.252, Bound(most=0.252)),
            ("black-hole", "good answers", "success", "%", 0.915, Bound(least=0.915)),
            ("fast-503", "good answers", "success", "%", 1.0, Bound(least=1.0)),
            ("fast-503", "extra tries", "extra_tries", "", 40.0, Bound(most=40.0)),
            # 1.2 for each call and ten a second, at 200 calls a second.
            (
                "all-failing",
                "attempts a call",
                "failing_attempts_per_call",
                "",
                None,
                Bound(most=1.25),
            ),
            ("metastable", "goodput 5 s after", "goodput_5s_after", "%", None, Bound(least=0.95)),
        )
    ]
    return Section(
        name="failures",
        title="Failures",
        text=(
            "The default in scenarios after palantir/dialogue's simulation, whose balanced figures "
            "are given as published; and two bounds of this project's own: what everything that "
            "fails may cost, and how soon an overload is over when its cause is."
        ),
        claims=tuple(claims),
    )


def _fairness() -> Section:
    two = Contender("two-choices", "in-flight")
    claims = []
    for case, contender in (("two choices, in flight", two), ("the default", None)):
        for what, figure, computed, bound in (
            ("farthest from the mean", "spread", None, Bound(most=10.0)),
            ("a restored one's share", "restored_share", 2.0, Bound(within=0.1)),
            ("most at once, of its part", "highest_share", None, Bound(most=2.0)),
        ):
            claims.append(
                Claim(
                    case=f"{case}: {what}",
                    cells=runs("fairness", contender, (1,)),
                    figure=figure,
                    unit="",
                    computed=computed,
                    bound=bound,
                )
            )
    return Section(
        name="fairness",
        title="Fairness",
        text=(
            "A hundred replicas and 100,000 picks at equal load (after the test of Finagle's own "
            "balancers): each replica's count should be within 10 of the mean, one that is "
            "restored should get twice its share at first, and none should hold more than twice "
            "its part while all are replaced and half of them leave."
        ),
        claims=tuple(claims),
    )
