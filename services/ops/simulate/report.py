"""``txmesh simulate report``: every scenario under every policy, written down."""

from __future__ import annotations

import os
from concurrent.futures import BrokenExecutor
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from balancer.simulation import scenarios
from balancer.simulation.report import (
    Cell,
    Figures,
    Files,
    Outcome,
    check_drawing,
    faults,
    measure,
    plan,
    read_figures,
    write_report,
)

from ..faults import FAILED, Failed, say
from ..output import console
from .names import Known

_PAGE = Path("docs", "reference", "balancing-report.md")
# Without a terminal a line for every tenth part of the runs.
_LINES = 10


@click.command("report", short_help="Run all of it, and write the report on balancing.")
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=f"Where to; without it {_PAGE}, in the working directory.",
)
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Processes that run at once; as many as there are processors.",
)
@click.option(
    "--only",
    type=Known("scenario", (scenario.name for scenario in scenarios())),
    multiple=True,
    metavar="SCENARIO",
    help="Run this one anew and keep the other figures; may be repeated.",
)
def report(output: Path | None, jobs: int | None, only: tuple[str, ...]) -> int:
    """Run every scenario under every policy, and write the report.

    It is a Markdown file; beside it go its figures (.json) and a folder of plots. Nothing in them
    depends on the machine, on the time or on the number of processes, so what is checked in
    changes only when balancing does. All of it takes a few minutes, and needs matplotlib
    (pip install 'txmesh[report]').

    \b
    Examples:
      txmesh simulate report
      txmesh simulate report --only metastable --only fast-503
      txmesh simulate report --output report.md --jobs 1

    Exits with 1 when a bound is missed for which no reason is written down, or the other way round:
    the report is written all the same.
    """
    files = Files(output or _PAGE)
    if not files.page.parent.is_dir():
        raise Failed(
            f"there is no folder {str(files.page.parent)!r} to write to; run this in the project's "
            "own folder, or say where with --output FILE"
        )
    check_drawing()
    cells = plan()
    kept = dict(read_figures(files.figures).outcomes) if only else {}
    # What the plan no longer has is dropped, what it has new is run.
    wanted = [cell for cell in cells if cell.scenario in only or cell.command not in kept]
    outcomes = kept | _measure(wanted, jobs or os.cpu_count() or 1)
    figures = Figures({cell.command: outcomes[cell.command] for cell in cells})
    write_report(files, figures)
    say(f"{len(wanted)} runs; wrote {files.page}, {files.figures} and {files.plots}{os.sep}")
    wrong = faults(figures)
    for line in wrong:
        say(f"{line} (balancer/simulation/report/reasons.py)")
    return FAILED if wrong else 0


def _measure(cells: list[Cell], jobs: int) -> dict[str, Outcome]:
    """Run cells, and show how far it is."""
    screen = console(errors=True)
    columns = (
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=len(cells))
        done = 0
        step = max(1, len(cells) // _LINES)

        def tell(cell: Cell) -> None:
            nonlocal done
            done += 1
            bar.update(task, advance=1, description=cell.scenario)
            if not screen.is_terminal and (done % step == 0 or done == len(cells)):
                say(f"{done} of {len(cells)} runs")

        try:
            return measure(cells, jobs, tell)
        except BrokenExecutor as error:
            raise Failed(
                "a process that ran scenarios was ended from outside, for want of memory perhaps; "
                "try fewer at once, with --jobs"
            ) from error
