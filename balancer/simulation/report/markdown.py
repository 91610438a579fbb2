"""Numbers and tables as the report writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .claims import Bound

_SCALES = {"%": 100.0, "ms": 1000.0, "s": 1.0, "": 1.0}


def number(value: float | None, unit: str) -> str:
    """A figure to four digits, with its unit.

    Args:
        value: in seconds where it is a time, in parts of one where it is a share; None for nothing.
        unit: "s", "ms", "%" or "".
    """
    if value is None:
        return ""
    scaled = value * _SCALES[unit]
    text = f"{scaled:,.0f}" if abs(scaled) >= 1000 else f"{scaled:.4g}"
    return f"{text} {unit}".rstrip()


def percent(value: float, *, signed: bool = False) -> str:
    """A share as people read it; to a tenth of a per cent."""
    text = f"{100 * value:{'+' if signed else ''}.1f} %"
    # There is no "-0.0 %".
    return text[1:] if signed and not float(text[:-2]) else text


def bound_text(bound: Bound, unit: str) -> str:
    """A bound in a few signs."""
    if bound.within is not None:
        return f"± {100 * bound.within:g} %"
    if bound.times is not None:
        return f"≤ {bound.times:g} x"
    if bound.least is not None and bound.most is not None:
        return f"{number(bound.least, unit)} to {number(bound.most, unit)}"
    if bound.least is not None:
        return f"≥ {number(bound.least, unit)}"
    return f"≤ {number(bound.most, unit)}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    Args:
        heads: the headings; one that begins with ">" has its cells to the right.
        rows: as many cells each.
    """
    lines = [
        _row(head.lstrip(">") for head in heads),
        _row("--:" if head.startswith(">") else "---" for head in heads),
        *(_row(row) for row in rows),
    ]
    return "".join(f"{line}\n" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A list, set off from what it follows; nothing for none."""
    text = "".join(f"- {line}\n" for line in lines)
    return f"\n{text}" if text else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
