"""Ranges that sections of the configuration have in common; each is checked where one is built."""

from __future__ import annotations

from balancer import Settings


def check_above_zero(settings: Settings, *names: str) -> None:
    """Check that numbers are above 0.

    Args:
        settings: a section.
        *names: which keys; without any, all that are numbers. A yes or no is none.

    Raises:
        ValueError: one is not, or is no number at all (NaN).
    """
    for name in names or settings.__struct_fields__:
        value = getattr(settings, name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and not value > 0:
            raise ValueError(f"{name} must be above 0")


def check_at_least(settings: Settings, name: str, least: str) -> None:
    """Check that one number is not below another.

    Args:
        settings: a section.
        name: the key of the one.
        least: the key of the other.

    Raises:
        ValueError: it is.
    """
    if getattr(settings, name) < getattr(settings, least):
        raise ValueError(f"{name} must be at least {least}")
