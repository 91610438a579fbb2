"""The report as people read it: Markdown, made of the figures alone."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill

from .. import scenarios
from .claims import Section
from .contenders import CONTENDERS, Contender, standard
from .family import family
from .figures import Figures
from .markdown import bound_text, bullets, number, percent, table
from .papers import ANTAGONISTS_P99_S, LOADS, sections
from .pictures import pictures
from .reasons import REASONS
from .trying import NEAR, Measure, Trying

# As wide as the project's other text.
_WIDTH = 100

_HEAD = """\
# Balancing report

How every way to pick fares in the laboratory: production code in virtual time, beside what others
published and among failures. This page is made, not written. `txmesh simulate report` makes it, its
plots and its [figures](balancing-report.json) anew; the same code makes the same files, byte for
byte. A test repeats its quickest runs and fails when they no longer come out as they stand here. So
a change to balancing shows what it does as a change to this page.

- *Published* stands in the source; *computed* was worked out, or simulated by another program, for
  the very model that is run here; *here* is what this code did.
- ✓ and ✗ say whether a bound holds. Where it does not, a sentence says why.
- Times are virtual. Latencies are those of all calls, failed ones too.
- Each run can be repeated alone: the keys of the figures are what to type behind `txmesh simulate`.
  Where there are three seeds, the mean stands here.
- A policy is named by how it picks and what it goes by. The default is **{default}**.
"""

_BEST = """\
## The default against the best

The default should be the best policy in every scenario, or within {near} of it. A difference that
nobody would notice (a millisecond, one call in two thousand, a tenth of a per cent of slow calls)
does not count; and whoever is worse by a scenario's first measure is left out by its second, for to
fail calls quickly is no merit.
"""

_ANTAGONISTS = """\
### antagonists

p99 in ms (failed calls), and in brackets what was computed for that policy; under hot-cold stands
what was computed for Prequal with its three probes a call. One seed, three of the last two.
"""


def page(figures: Figures, folder: str) -> str:
    """Write the report.

    Args:
        figures: of all its runs.
        folder: of its plots, from where it stands.
    """
    return "\n".join(_parts(figures, folder))


def _parts(figures: Figures, folder: str) -> Iterator[str]:
    plots = {
        picture.name: f"![{picture.words}]({folder}/{picture.name}.svg)\n"
        for picture in pictures(figures)
    }
    yield _HEAD.format(default=standard().label)
    yield "## Beside what others found\n"
    for section in sections():
        yield f"### {section.title}\n\n{fill(section.text, _WIDTH)}\n"
        yield _claims(section, figures)
        yield from (plots[name] for name in section.plots)
    yield _BEST.format(near=f"{100 * NEAR:g} %")
    yield _verdicts(figures)
    yield "## Every policy in every scenario\n"
    yield _ANTAGONISTS
    yield _antagonists(figures)
    summaries = {scenario.name: scenario.summary for scenario in scenarios()}
    for trying in family():
        if trying.scenario not in _TOGETHER:
            summary = summaries[trying.scenario]
            yield f"### {trying.name}\n\n{summary[0].upper()}{summary[1:]}.\n"
            yield _contest(trying, figures)
            yield from (plots[name] for name in trying.plots)


# Scenarios whose runs stand in one table.
_TOGETHER = frozenset({"antagonists"})


def _claims(section: Section, figures: Figures) -> str:
    rows = []
    reasons = []
    for claim in section.claims:
        value = claim.value(figures)
        against = claim.computed if claim.computed is not None else claim.published
        holds = claim.holds(figures)
        rows.append(
            (
                claim.case,
                number(claim.published, claim.unit),
                number(claim.computed, claim.unit),
                number(value, claim.unit),
                percent(value / against - 1, signed=True) if against else "",
                bound_text(claim.bound, claim.unit) if claim.bound else "",
                _MARKS[holds],
            )
        )
        if holds is False:
            reasons.append(_reason(claim.case, f"{section.name}: {claim.case}"))
    heads = ("", ">published", ">computed", ">here", ">off", ">bound", "")
    return table(heads, rows) + bullets(reasons)


def _verdicts(figures: Figures) -> str:
    rows = []
    reasons = []
    for trying in family():
        for verdict in trying.verdicts(figures):
            measure = verdict.measure
            rows.append(
                (
                    verdict.name,
                    measure.words,
                    verdict.best.label,
                    number(verdict.best_value, measure.unit),
                    number(verdict.value, measure.unit),
                    percent(verdict.off, signed=False),
                    _MARKS[verdict.holds],
                )
            )
            if not verdict.holds:
                reasons.append(_reason(f"{verdict.name}, {measure.words}", verdict.key))
    heads = ("scenario", "by", "best", ">its", ">the default's", ">worse by", "")
    return table(heads, rows) + bullets(reasons)


def _contest(trying: Trying, figures: Figures) -> str:
    measures = (*trying.measures, *trying.shown)
    rows = [
        (
            _name(contender),
            *(_value(trying, contender, measure, figures) for measure in measures),
        )
        for contender in CONTENDERS
    ]
    return table(("policy", *(f">{measure.words}" for measure in measures)), rows)


def _antagonists(figures: Figures) -> str:
    tried = [trying for trying in family() if trying.scenario == "antagonists"]
    rows = []
    for contender in CONTENDERS:
        cells = []
        for place, trying in enumerate(tried):
            p99, failed = (
                _value(trying, contender, measure, figures)
                for measure in (*trying.measures, *trying.shown)
            )
            computed = ANTAGONISTS_P99_S.get(contender)
            beside = f" [{number(computed[place], 'ms')}]" if computed else ""
            cells.append(f"{p99} ({failed}){beside}")
        rows.append((_name(contender), *cells))
    return table(("policy", *(f">load {load:g}" for load in LOADS)), rows)


def _value(trying: Trying, contender: Contender, measure: Measure, figures: Figures) -> str:
    return number(figures.mean(trying.cells(contender), measure.figure), measure.unit)


def _name(contender: Contender) -> str:
    return f"**{contender.label}**" if contender.standard else contender.label


def _reason(what: str, key: str) -> str:
    return f"{what}: {REASONS.get(key, 'no reason is given.')}"


_MARKS = {True: "✓", False: "✗", None: ""}
