"""Draws the plots as SVG; the one room that needs matplotlib.

The background is transparent and the letters are of a grey that stands out from white and from
black alike; the colours are those of Okabe and Ito without the two that vanish on one of them, and
markers and dashes tell apart what colours do not. Letters stay letters, and nothing of the time or
of the machine goes into the file: the same figures make the same bytes.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .pictures import Line, Picture

_GREY = "#7d7d7d"
# The default has a colour and a width of its own; the others go round these, and when they come
# round again they are dotted.
_DEFAULT, _WIDE, _USUAL = "#D55E00", 2.6, 1.5
_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C8C8C")
_DASHES = ("-", ":")
_MARKERS = "osD^vPX*<>"
_INCHES = (8.0, 4.2)
_RULES: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "txmesh",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "text.color": _GREY,
    "axes.labelcolor": _GREY,
    "axes.edgecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}


def draw(picture: Picture) -> str:
    """Draw a plot.

    Args:
        picture: what it shows.

    Returns:
        The text of its SVG file.
    """
    with rc_context(_RULES):
        figure = Figure(figsize=_INCHES, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        if picture.steep:
            _make_steep(axes)
        if picture.band is not None:
            axes.axvspan(*picture.band, color=_GREY, alpha=0.15, linewidth=0)
        for line in picture.lines:
            _draw_line(axes, line)
        axes.set_xlabel(picture.across)
        axes.set_ylabel(picture.up)
        if not picture.steep:
            axes.set_ylim(bottom=0)
        axes.grid(visible=True, color=_GREY, alpha=0.3, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside right upper", frameon=False)
        text = StringIO()
        figure.savefig(
            text,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Title": picture.words},
        )
    # It leaves blanks at the ends of lines, which no file of a repository should have.
    return "".join(line.rstrip() + "\n" for line in text.getvalue().splitlines())


def _draw_line(axes: Axes, line: Line) -> None:
    across, up = zip(*line.points, strict=True)
    standard = not line.style
    again, number = divmod(line.style - 1, len(_COLOURS))
    dashes = _DASHES[0 if standard else again]
    axes.plot(
        across,
        up,
        label=line.label,
        color=_DEFAULT if standard else _COLOURS[number],
        marker=_MARKERS[line.style] if line.kind in ("measured", "points") else "",
        markersize=6,
        linestyle={"points": "", "computed": "--"}.get(line.kind, dashes),
        linewidth=_WIDE if standard else _USUAL,
        zorder=3 if standard else 2,
    )


def _make_steep(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
