"""A call's path: filled in by the client, cut into segments by the server's routing.

One template serves both ends, so that what the client sends is what the server reads.
"""

from __future__ import annotations

import re
from urllib.parse import quote

_FIELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9._~:-]+")
# What needs no quoting (RFC 3986 unreserved): nearly every id, so quoting is the rare branch.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+").fullmatch


class PathTemplate:
    """A path such as ``/v1/users/{user_id}/contacts``.

    Attributes:
        text: the template as declared.
        fields: names of the placeholders, in order.
        segments: the parts between slashes; None where a placeholder stands.
    """

    __slots__ = ("_pieces", "fields", "segments", "text")

    def __init__(self, text: str) -> None:
        """Compile a template.

        Args:
            text: begins with "/"; each segment is plain text or one ``{field}``.

        Raises:
            ValueError: the template has an empty or mixed segment, or repeats a field.
        """
        if not text.startswith("/") or text.endswith("/"):
            raise ValueError(f"path {text!r} must begin with '/' and must not end with one")
        segments: list[str | None] = []
        fields: list[str] = []
        for segment in text[1:].split("/"):
            if field := _FIELD.fullmatch(segment):
                fields.append(field[1])
                segments.append(None)
            elif _LITERAL.fullmatch(segment):
                segments.append(segment)
            else:
                raise ValueError(
                    f"path {text!r}: segment {segment!r} must be plain text or one {{field}}"
                )
        if len(set(fields)) != len(fields):
            raise ValueError(f"path {text!r} names a field twice")
        self.text = text
        self.fields = tuple(fields)
        self.segments = tuple(segments)
        self._pieces = tuple(_FIELD.split(text)[::2])

    def fill(self, values: list[str]) -> str:
        """Put values in the placeholders, quoted.

        Args:
            values: one text a field, in the order of `fields`.

        Raises:
            ValueError: a value is empty or would be a dot segment: another path would be reached.
        """
        pieces = self._pieces
        path = pieces[0]
        for index, value in enumerate(values, 1):
            if not _UNRESERVED(value):
                value = quote(value, safe="")  # noqa: PLW2901
            if value in ("", ".", ".."):
                raise ValueError(
                    f"{self.fields[index - 1]} is {value!r}, which cannot stand in {self.text}"
                )
            path += value + pieces[index]
        return path
