"""Routes that answer with a page of their own, rather than with a call of a contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred

from .answer import Answer, answer_head
from .problem import Problem
from .server import Incoming, RouteStats

Made: TypeAlias = bytes | tuple[int, bytes]


class Page:
    """A route whose body is made by a function; see `services.kit.server.Route`."""

    def __init__(
        self, name: str, content_type: str, make: Callable[[], Made | Deferred[bytes]]
    ) -> None:
        """Serve what a function makes.

        Args:
            name: for metrics.
            content_type: its media type.
            make: returns the body, now or later, or status and body.
        """
        self.name = name
        self.body_limit: int | None = 0
        self.stats = RouteStats()
        self._content_type = content_type
        self._make = make

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        """Make the page."""
        return self._run()

    async def _run(self) -> Made:
        return await _settled(self._make())

    def finish(self, result: Made) -> Answer:
        """Make the answer of it."""
        status, body = (200, result) if isinstance(result, bytes) else result
        return Answer(status, answer_head(status, self._content_type), body)


class Form(Page):
    """A page that is made from fields of the query; one of them that is given twice is refused.

    Whoever checks a field must check the one that holds, and of two nobody knows which that is.
    """

    def __init__(
        self,
        name: str,
        content_type: str,
        make: Callable[[Mapping[str, str]], Made | Deferred[bytes]],
        fields: Collection[str],
    ) -> None:
        """Serve what a function makes of the fields, now or later; see `Page`.

        Args:
            name: for metrics.
            content_type: its media type.
            make: gets those fields that were given.
            fields: the names of those that it knows; whatever else is given is passed over.
        """
        super().__init__(name, content_type, lambda: make({}))
        self._make_of = make
        self._fields = fields

    def begin(self, incoming: Incoming) -> Coroutine[Any, Any, Any]:
        """Make the page."""
        query = incoming.request.query.decode("latin-1")
        return self._run_with(parse_qsl(query, keep_blank_values=True))

    async def _run_with(self, given: list[tuple[str, str]]) -> Made:
        fields: dict[str, str] = {}
        for name, value in given:
            if name in fields:
                raise Problem(422, "invalid", detail=f"{name} is given twice.", field=name)
            if name in self._fields:
                fields[name] = value
        return await _settled(self._make_of(fields))


async def _settled(made: Made | Deferred[bytes]) -> Made:
    return await made if isinstance(made, Deferred) else made
