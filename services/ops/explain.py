"""Why this replica? A call's decisions, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from balancer.telemetry import AttemptEntry, CallEntry, CandidateEntry, DecisionLog, HealthEntry

from .output import table
from .reports import ExplainReport

# So many replicas of an attempt are shown; --json has them all.
_ROWS = 12
# Signals whose values are times; the others' are numbers of requests.
_TIMES = frozenset({"expected", "latency", "peak-ewma"})
# With more columns than this the space between them goes, so that they fit into 80 characters.
_WIDE = 8
# Signals that go by what this process has seen itself, and so never lack a value.
_OWN = frozenset({"in-flight", "peak-ewma"})
_WORDS = frozenset({"state", "version", "zone"})
_PICKED, _COMPARED = ">", "*"


def explain(log: DecisionLog) -> ExplainReport:
    """Find in a log why the latest call went where it did; at least one was sampled."""
    entries = log.entries()
    call = [entry for entry in entries if isinstance(entry, CallEntry)][-1]
    first = call.attempts[0].candidates if call.attempts else []
    return ExplainReport(
        call=call,
        health=[entry for entry in entries if isinstance(entry, HealthEntry)],
        unheard=bool(first) and all(candidate.heard_s is None for candidate in first),
    )


def show(report: ExplainReport, screen: Console, *, may_warm: bool) -> None:
    """Print an explanation.

    Args:
        report: the explanation.
        screen: where.
        may_warm: whether ``--warm`` may be used with the call.
    """
    call = report.call
    screen.print(Text("Why this replica?", style="bold"))
    screen.print(
        f"Policy {call.policy}, signal {call.signal}. "
        f"The retry budget holds {call.balance:g} attempts."
    )
    if report.unheard:
        warm = "; --warm 50 makes 50 calls before it" if may_warm else ""
        screen.print(
            f"This process is new and had heard of no replica's load before this call{warm}."
        )
    for number, attempt in enumerate(call.attempts, 1):
        screen.print()
        _show_attempt(number, attempt, call, screen)
    if not call.attempts:
        screen.print(f"No replica was picked: {call.error}.")
    if report.health:
        screen.print()
    for change in report.health:
        lasting = f" for {span(change.ejected_s)}" if change.ejected_s else ""
        screen.print(f"{change.replica} was {change.change}{lasting}: {change.why}")


def _show_attempt(number: int, attempt: AttemptEntry, call: CallEntry, screen: Console) -> None:
    picked = next(each for each in attempt.candidates if each.address == attempt.picked)
    screen.print(
        f"Attempt {number} ({attempt.kind}) at {span(attempt.at_s - call.at_s)}: "
        f"{picked.replica}, {picked.address}"
    )
    told = Table.grid(padding=(0, 2, 0, 0))
    told.add_row("", "because", attempt.why)
    told.add_row("", "outcome", _outcome(attempt, call))
    screen.print(told)
    # Those that were left out come before those that just were not drawn.
    rows = sorted(attempt.candidates, key=lambda each: (not each.compared, each.state == "up"))
    screen.print(_candidates(rows[:_ROWS], attempt.picked, call.signal))
    hidden = attempt.known - min(_ROWS, len(attempt.candidates))
    more = f" {hidden} more replicas are not shown." if hidden else ""
    screen.print(f"{_PICKED} picked, {_COMPARED} compared.{more}")


def _outcome(attempt: AttemptEntry, call: CallEntry) -> str:
    after = f"after {span(attempt.latency_s)}"
    if attempt.status:
        return f"{attempt.status} {after}"
    if attempt.error == "cancelled" and call.error != "cancelled":
        return f"given up {after}: another attempt was faster"
    return f"no answer {after}: {attempt.error}"


def _candidates(seen: Sequence[CandidateEntry], picked: str, signal: str) -> Table:
    """A table of replicas; what is the same nothing for all of them has no column."""

    def load(each: CandidateEntry) -> str:
        return span(each.load) if signal in _TIMES else f"{each.load:.1f}"

    def heard(value: Callable[[CandidateEntry], str]) -> Callable[[CandidateEntry], str]:
        return lambda each: "-" if each.heard_s is None else value(each)

    cells: dict[str, Callable[[CandidateEntry], str]] = {
        "load": load if signal in _OWN else heard(load),
        "own": lambda each: str(each.in_flight),
        "others": heard(lambda each: f"{each.others:.3g}"),
        "cost": heard(lambda each: span(each.cost_s)),
        "latency": heard(lambda each: span(each.reported_s)),
        "heard": heard(lambda each: span(each.heard_s or 0.0)),
    }
    if any(each.refusals for each in seen):
        cells["faults"] = lambda each: f"{each.refusals:.2g}"
    if any(each.weight < 1.0 for each in seen):
        cells["weight"] = lambda each: f"{each.weight:.2f}"
    if any(each.state != "up" for each in seen):
        cells["state"] = lambda each: each.state
    for name in ("version", "zone"):
        if len({getattr(each, name) for each in seen}) > 1:
            cells[name] = attrgetter(name)
    made = table("", "replica", *cells, numbers=tuple(cells.keys() - _WORDS))
    made.padding = (0, 1 if len(made.columns) > _WIDE else 2, 0, 0)
    for column in made.columns:
        # Numbers and states are no more when they are broken.
        column.no_wrap = column.header not in ("replica", "version", "zone")
    for each in seen:
        mark = _PICKED if each.address == picked else _COMPARED if each.compared else ""
        made.add_row(mark, each.replica, *(cell(each) for cell in cells.values()))
    return made


def span(seconds: float) -> str:
    """A time span in three digits: "0.42 ms", "12.3 ms", "4.56 s", "89 s"."""
    if seconds < 1.0:
        value, unit = seconds * 1000, "ms"
    else:
        value, unit = seconds, "s"
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"
