"""Deferreds that must have fired already."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def now(deferred: Deferred[T]) -> T:
    """The result of a Deferred that has fired; what it failed with is raised."""
    results: list[T | Failure] = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
    return result
