"""The report: every scenario under every policy, beside the figures that others published.

::

    figures = Figures(measure(plan(), jobs=2, tell=print))
    write_report(Files(Path("docs/reference/balancing-report.md")), figures)

A `plan` of cells is measured on several processes, each cell a run that can be repeated alone. What
they come to is kept (`Figures`), and page and plots are made of that and nothing else.
"""

from .cell import Cell, Outcome, outcome
from .contenders import CONTENDERS, POLICIES, SIGNALS, Contender
from .faults import faults
from .figures import Figures, read_figures
from .measuring import measure, run_cell
from .page import page
from .pictures import pictures
from .plan import plan
from .writing import Files, check_drawing, write_report

__all__ = [
    "CONTENDERS",
    "POLICIES",
    "SIGNALS",
    "Cell",
    "Contender",
    "Figures",
    "Files",
    "Outcome",
    "check_drawing",
    "faults",
    "measure",
    "outcome",
    "page",
    "pictures",
    "plan",
    "read_figures",
    "run_cell",
    "write_report",
]
