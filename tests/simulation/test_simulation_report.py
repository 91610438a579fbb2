"""The checked-in report on balancing still says what the code does."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from balancer.simulation.report import (
    CONTENDERS,
    Cell,
    Figures,
    Files,
    faults,
    page,
    pictures,
    plan,
    read_figures,
    run_cell,
)
from tests.processes import ROOT

FILES = Files(ROOT / "docs" / "reference" / "balancing-report.md")
AGAIN = "write the report anew with `.venv/bin/txmesh simulate report`, and look at what changed"
# Short ones, under every policy; the others under the default, as long as they are short too.
EVERY_POLICY = {"black-hole", "drastic-slowdown", "one-big-spike", "slow-503"}
DEFAULT = next(contender for contender in CONTENDERS if contender.standard)
DEFAULT_ALONE = {"all-failing", "all-slow-then-recover", "fairness", "fast-400", "registry-loss"}


@pytest.fixture(scope="module")
def figures() -> Figures:
    return read_figures(FILES.figures)


def is_short(cell: Cell) -> bool:
    if cell.options.seed != 1:
        return False
    return (
        cell.scenario in EVERY_POLICY
        or (cell.scenario in DEFAULT_ALONE and cell.options.policy == DEFAULT.policy)
        or (cell.scenario == "antagonists" and cell.options.replicas == 8)
    )


SHORT = [cell for cell in plan() if is_short(cell)]


def changes(cell: Cell, figures: Figures) -> Iterator[str]:
    """What a run no longer comes to, a line each."""
    before, now = figures.outcomes[cell.command], run_cell(cell)
    for name in sorted(before.figures.keys() | now.figures.keys()):
        was, is_now = before.figures.get(name), now.figures.get(name)
        if was != is_now:
            yield f"{cell.command}: {name} was {was} and is {is_now}"
    if before.series != now.series:
        yield f"{cell.command}: {', '.join(before.series)} went another course"


@pytest.mark.parametrize("cell", SHORT, ids=lambda cell: cell.command)
def test_a_run_comes_out_as_the_report_has_it(figures: Figures, cell: Cell) -> None:
    changed = list(changes(cell, figures))
    assert not changed, "\n".join(["the report no longer holds:", *changed, AGAIN])


def test_each_policy_is_run_again() -> None:
    assert {cell.options.policy for cell in SHORT} == {each.policy for each in CONTENDERS}


def test_the_report_has_the_runs_of_the_plan(figures: Figures) -> None:
    assert set(figures.outcomes) == {cell.command for cell in plan()}, AGAIN


def test_the_page_is_made_of_the_figures(figures: Figures) -> None:
    assert FILES.figures.read_text("utf-8") == figures.text(), AGAIN
    assert FILES.page.read_text("utf-8") == page(figures, FILES.plots.name), AGAIN
    drawn = {path.name for path in FILES.plots.iterdir()}
    assert drawn == {f"{picture.name}.svg" for picture in pictures(figures)}, AGAIN


def test_every_bound_that_is_missed_has_its_reason_and_no_other_has_one(figures: Figures) -> None:
    assert faults(figures) == [], "say why, or no longer, in balancer/simulation/report/reasons.py"


def test_a_change_is_told_by_its_figure(figures: Figures) -> None:
    cell = SHORT[0]
    outcome = figures.outcomes[cell.command]
    other = msgspec.structs.replace(outcome, figures={**outcome.figures, "mean_s": 7.0})
    changed = Figures({**figures.outcomes, cell.command: other})
    (line,) = changes(cell, changed)
    assert line.startswith(f"{cell.command}: mean_s was 7.0 and is ")
