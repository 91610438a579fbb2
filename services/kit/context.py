"""What a handler may know of a request beyond its message."""

from __future__ import annotations

import re
from typing import Generic

from typing_extensions import TypeVar

from .problem import Problem
from .server import Incoming

# A service without state of its own says nothing of it.
State = TypeVar("State", default=None)

_KEY = re.compile(rb"[\x21-\x7e]{1,255}").fullmatch


class Context(Generic[State]):
    """The circumstances of one request.

    Attributes:
        state: what the service opened at its start.
        deadline: when the caller stops waiting, in the kit's clock's seconds.
    """

    __slots__ = ("_headers", "deadline", "state")

    def __init__(self, state: State, incoming: Incoming) -> None:
        """Make it of what the server has."""
        self.state = state
        self.deadline = incoming.deadline
        self._headers = incoming.request.headers

    @property
    def idempotency_key(self) -> str | None:
        """The request's Idempotency-Key, if it has one.

        Raises:
            Problem: it is no key of 1 to 255 visible characters.
        """
        value = self._headers.get(b"idempotency-key")
        if value is None:
            return None
        if not _KEY(value):
            raise Problem(
                400, "bad-key", detail="Idempotency-Key must be 1 to 255 visible ASCII characters."
            )
        return value.decode("ascii")

    @property
    def caller(self) -> str:
        """The caller's name, or ""; it is not proof of who called."""
        return self._headers.get(b"mesh-caller", b"").decode("latin-1")

    @property
    def site(self) -> str:
        """The co-branded site it is for, or ""."""
        return self._headers.get(b"mesh-site", b"").decode("latin-1")

    @property
    def attempt(self) -> int:
        """1 for a call's first attempt."""
        value = self._headers.get(b"mesh-attempt", b"1")
        return int(value) if value.isdigit() and len(value) < 4 else 1

    @property
    def priority(self) -> int:
        """0 (dropped last) to 3."""
        value = self._headers.get(b"mesh-priority", b"1")
        return int(value) if value in (b"0", b"1", b"2", b"3") else 1
