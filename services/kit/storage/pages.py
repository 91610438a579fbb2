"""Cursors: where a page ended, in a form that callers hand back and do not look into.

A cursor is the sort key of the page's last entry. Unlike an offset it neither skips nor repeats
entries when others come and go between two pages, and the page at the end costs what the first
one does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec

from ..problem import Problem

# An integer of a cursor goes into SQL, which has 64 bits for it.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

Key = TypeVar("Key")
Row = TypeVar("Row")


def write_cursor(key: object) -> str:
    """Make the cursor of an entry.

    Args:
        key: its sort key, a tuple of texts and integers.
    """
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode("ascii")


def read_cursor(cursor: str | None, shape: type[Key]) -> Key | None:
    """Read a cursor back.

    Args:
        cursor: what the caller sent; None for the first page.
        shape: the key's type, such as ``tuple[str, str]``; take `Int64` for integers.

    Returns:
        The key after which the page begins; None for the first page.

    Raises:
        Problem: 400 bad-cursor: it is none, or that of another list.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return msgspec.json.decode(
            base64.b64decode(padded, altchars=b"-_", validate=True), type=shape
        )
    except (UnicodeEncodeError, UnicodeDecodeError, binascii.Error, msgspec.DecodeError):
        raise Problem(
            400,
            "bad-cursor",
            detail="The cursor is not one of this list. Send back the `next` of the page before, "
            "or none to begin again.",
        ) from None


def cut(
    rows: Sequence[Row], limit: int, key: Callable[[Row], object]
) -> tuple[list[Row], str | None]:
    """Make a page of rows that were asked for with one more than the limit.

    Args:
        rows: at most limit + 1 rows; the one too many only says that there are more.
        limit: the page's size.
        key: the sort key of a row.

    Returns:
        The page, and the cursor of the page after; None at the end.
    """
    page = list(rows[:limit])
    return page, write_cursor(key(page[-1])) if len(rows) > limit else None
