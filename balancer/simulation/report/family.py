"""The scenarios that all contenders are tried in, and what decides each."""

from __future__ import annotations

from .contenders import CONTENDERS
from .papers import LOADS
from .runs import SEEDS
from .trying import Measure, Trying

# One call in two thousand, and a millisecond, are below what anybody would choose a policy by.
_SUCCESS = Measure(figure="success", unit="%", words="good answers", more=True, slack=0.0005)
_MEAN = Measure(figure="mean_s", unit="ms", words="mean", slack=0.001)
_P99 = Measure(figure="p99_s", unit="ms", words="p99", slack=0.001)
_P999 = Measure(figure="p999_s", unit="ms", words="p99.9")
_TRIES = Measure(figure="attempts_per_call", unit="", words="attempts/call")
_PROBES = Measure(figure="probes_per_call", unit="", words="probes/call")

# Among antagonists those that do not look at what replicas report of their latency are off by far
# more than chance; and these runs take long.
_FAR_OFF = tuple(
    contender
    for contender in CONTENDERS
    if not contender.standard and contender.policy != "hot-cold"
)


def family() -> tuple[Trying, ...]:
    """All of them, in the order of the report."""
    return (
        Trying(
            name="supermarket",
            scenario="supermarket",
            seeds=(1,),
            measures=(Measure(figure="mean_s", unit="s", words="mean"),),
            shown=(Measure(figure="p99_s", unit="s", words="p99"), _PROBES),
        ),
        *(
            Trying(
                name=f"antagonists at {load:g}",
                scenario="antagonists",
                load=load,
                seeds=SEEDS,
                once=_FAR_OFF,
                measures=(_P99,),
                shown=(Measure(figure="error_ratio", unit="%", words="failed"),),
            )
            for load in LOADS
        ),
        Trying(
            name="slow-server",
            scenario="slow-server",
            seeds=(1,),
            # A tenth of a per cent of slow calls is what the default is held to.
            measures=(
                Measure(figure="slow_share", unit="%", words="over 1 s", slack=0.001),
                _P99,
            ),
            shown=(_MEAN, _P999),
        ),
        *(
            Trying(
                name=name, scenario=name, measures=(_SUCCESS, _MEAN), shown=(_P99, _TRIES, _PROBES)
            )
            for name in (
                "drastic-slowdown",
                "black-hole",
                "fast-503",
                "slow-503",
                "all-slow-then-recover",
            )
        ),
        *(
            # Failing fast is no merit: what a failed call takes does not count.
            Trying(name=name, scenario=name, measures=(_SUCCESS,), shown=(_TRIES, _PROBES))
            for name in ("fast-400", "one-big-spike")
        ),
        Trying(
            name="rolling-restart",
            scenario="rolling-restart",
            measures=(_SUCCESS, _P99),
            shown=(_MEAN, _TRIES, _PROBES),
            plots=("rolling-restart",),
        ),
        Trying(
            name="registry-loss",
            scenario="registry-loss",
            measures=(_SUCCESS, _P99),
            shown=(_MEAN, _TRIES, _PROBES),
        ),
        Trying(
            name="metastable",
            scenario="metastable",
            measures=(
                Measure(figure="goodput_5s_after", unit="%", words="goodput 5 s after", more=True),
                Measure(figure="goodput_during", unit="%", words="goodput during", more=True),
            ),
            shown=(_TRIES, _PROBES),
            plots=("metastable",),
        ),
        Trying(
            name="all-failing",
            scenario="all-failing",
            measures=(
                Measure(
                    figure="failing_attempts_per_call", unit="", words="attempts while failing"
                ),
                Measure(
                    figure="good_first_second", unit="%", words="good at once after", more=True
                ),
            ),
            shown=(_PROBES,),
        ),
    )
