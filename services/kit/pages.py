"""Routes that answer with a page of their own, rather than with a call of a contract."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from .answer import Answer, answer_head
from .server import Incoming, RouteStats


class Page:
    """A route whose body is made by a function; see `services.kit.server.Route`."""

    def __init__(
        self, name: str, content_type: str, make: Callable[[], bytes | tuple[int, bytes]]
    ) -> None:
        """Serve what a function makes.

        Args:
            name: for metrics.
            content_type: its media type.
            make: returns the body, or status and body.
        """
        self.name = name
        self.body_limit: int | None = 0
        self.stats = RouteStats()
        self._content_type = content_type
        self._make = make

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        """Make the page."""
        return self._run()

    async def _run(self) -> bytes | tuple[int, bytes]:
        return self._make()

    def finish(self, result: bytes | tuple[int, bytes]) -> Answer:
        """Make the answer of it."""
        status, body = (200, result) if isinstance(result, bytes) else result
        return Answer(status, answer_head(status, self._content_type), body)
