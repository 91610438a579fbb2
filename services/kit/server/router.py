"""From a path to what serves it: a tree of segments."""

from __future__ import annotations

from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from clients.contract import PathTemplate

Target = TypeVar("Target")


class _Node(Generic[Target]):
    __slots__ = ("field", "literals", "targets")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[Target]] = {}
        self.field: _Node[Target] | None = None
        self.targets: dict[bytes, Target] = {}


class Router(Generic[Target]):
    """Finds the target of a method and path.

    At each segment a literal wins over a field, without coming back: ``/v1/users/search`` is never
    looked up as the user "search".
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        """Begin without routes."""
        self._root: _Node[Target] = _Node()

    def add(self, method: str, path: PathTemplate, target: Target) -> None:
        """Add a route.

        Raises:
            ValueError: there is one with that method and path.
        """
        node = self._root
        for segment in path.segments:
            if segment is None:
                node.field = node.field or _Node()
                node = node.field
            else:
                node = node.literals.setdefault(segment, _Node())
        if method.encode("ascii") in node.targets:
            raise ValueError(f"{method} {path.text} is served twice")
        node.targets[method.encode("ascii")] = target

    def find(self, path: bytes) -> tuple[dict[bytes, Target], list[str]] | None:
        """Find what a path serves. Cost: a look-up a segment.

        Args:
            path: as received, quoted.

        Returns:
            The targets by method and the values of the path's fields, still quoted; None when
            nothing is there.
        """
        node = self._root
        values: list[str] = []
        for segment in path[1:].decode("latin-1").split("/"):
            child = node.literals.get(segment)
            if child is None:
                child = node.field
                if child is None or not segment:
                    return None
                values.append(segment)
            node = child
        return (node.targets, values) if node.targets else None


def unquote_values(values: list[str]) -> list[str]:
    """The values of a path's fields as text.

    Args:
        values: as `Router.find` gives them.

    Raises:
        UnicodeDecodeError: one is not UTF-8.
    """
    return [unquote_to_bytes(value.encode("latin-1")).decode("utf-8") for value in values]
