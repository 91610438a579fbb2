r"""The kinds of value that more than one contract uses, each declared once.

A pattern ends in ``$(?!\n)``: in Python ``$`` alone also matches before a trailing newline, and
ECMAScript, which reads the same pattern in the OpenAPI document, has no ``\Z``. Digits are
``[0-9]``: ``\d`` would let other scripts' digits in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

Site = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{0,31}$(?!\n)",
        description="The co-branded site, such as greetwell.",
        examples=["greetwell"],
    ),
]

# 254 is what an SMTP path has room for (RFC 5321, 4.5.3.1.3, less the angle brackets).
Email = Annotated[
    str,
    Meta(min_length=3, max_length=254, description="An e-mail address.", examples=["a@b.org"]),
]

PersonName = Annotated[
    str, Meta(min_length=1, max_length=200, description="A person's name, as they write it.")
]

Moment = Annotated[datetime, Meta(tz=True, description="An instant, with its offset from UTC.")]

Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=512,
        description="The `next` of the page before; leave it out for the first page.",
    ),
]

# 100 keeps the longest page well below the answer that a caller would rather not wait for.
Limit = Annotated[int, Meta(ge=1, le=100, description="The most entries that a page may have.")]
