"""One operation of a service, declared once for both ends.

A `Call` says what is asked, what is answered, where, and how the mesh may treat it: how long it
may take, whether a second try is harmless, how big a body may be, how much it matters. The
declaration is data: the client's encoding, the server's routing and validation, the OpenAPI page
and the command line all read it, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from .flat import check_as_key, check_in_path, check_in_query
from .message import Message
from .path import PathTemplate
from .smoke import Smoke, check_smoke

if TYPE_CHECKING:
    from .client import BoundCall
    from .contract import Contract

Arguments = ParamSpec("Arguments")
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

_WITHOUT_BODY = frozenset({"GET", "DELETE"})


def check_hedge(share: float) -> None:
    """Check that a share of the calls can be what is not hedged.

    Raises:
        ValueError: more than half of the calls would be sent twice, or more than none.
    """
    if share and not 0.5 <= share < 1:
        raise ValueError(f"hedge is {share}; it goes from 0.5 to below 1, or is 0 for never")


class Call(Generic[Arguments, Request, Answer]):
    """A declared operation; see the module for why.

    Read on the class it is the declaration (``Users.fetch``); read on a client it is the typed
    function that makes the call (``users.fetch(id=...)``).

    Attributes:
        name: the attribute's name in its contract, such as "fetch".
        service: the contract's name, such as "users".
        method: "GET", "PUT", ...
        path: the template of the path.
        request: the message that is asked.
        answer: the message that is answered.
        idempotent: whether doing it twice is the same as doing it once; only such calls are tried
            again after they may have reached a replica.
        keyed: whether it takes an Idempotency-Key, which makes a retry safe as well.
        deadline_s: how long a caller waits when it does not say otherwise, in seconds.
        body_limit: greatest request body, in bytes.
        priority: 0 is dropped last under overload, 3 first.
        hedge: the share of the measured latencies after which a second replica is asked as well; 0
            for never.
        affinity: the field that decides which replica is asked, so that it finds what it needs in
            its cache; "" for any.
        smoke: the request that shows whether a new replica works; None when another call's does, or
            none.
        status: the HTTP status of a good answer.
        summary: one line for the documentation.
        has_body: whether the method carries a JSON body.
        body_fields: the fields that travel in the JSON body.
        query_fields: the fields that travel in the query string.
    """

    name: str
    service: str

    def __init__(
        self,
        request: Callable[Arguments, Request],
        answer: type[Answer],
        *,
        get: str | None = None,
        post: str | None = None,
        put: str | None = None,
        patch: str | None = None,
        delete: str | None = None,
        idempotent: bool | None = None,
        keyed: bool = False,
        deadline_s: float = 1.0,
        body_limit: int = 65_536,
        priority: int = 1,
        hedge: float = 0.0,
        affinity: str = "",
        smoke: Smoke[Request] | None = None,
        status: int = 200,
        summary: str = "",
    ) -> None:
        """Declare an operation: exactly one of get, post, put, patch and delete names its path.

        Args:
            request: the message class that is asked.
            answer: the message class that is answered.
            get: the path, when the method is GET; likewise the other four.
            post: see get.
            put: see get.
            patch: see get.
            delete: see get.
            idempotent: None means True for GET (a safe method), False for the others.
            keyed: takes an Idempotency-Key; the client makes one when the caller gives none.
            deadline_s: default 1 s: beyond what a person waits for without noticing.
            body_limit: default 64 KiB: every message here is far below; raise it where needed.
            priority: 0 to 3, default 1.
            hedge: such as 0.95: one call in twenty, the slowest, is sent to a second replica too,
                paid for like a retry; the first answer is taken. Only for idempotent calls.
            affinity: a field of the request, a text or a whole number, such as "sku". Calls with
                one value go to one replica as long as it has room, whatever the caller's policy is.
            smoke: made on a new replica before it is announced; declare the one that goes through
                the most and changes nothing.
            status: 200 to 299.
            summary: one line for the documentation.

        Raises:
            ValueError: the declaration contradicts itself; the text says how.
        """
        given = {"GET": get, "POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}
        paths = [(method, path) for method, path in given.items() if path is not None]
        if len(paths) != 1:
            raise ValueError("a Call takes exactly one of get=, post=, put=, patch= and delete=")
        self.method, template = paths[0]
        self.path = PathTemplate(template)
        self.request = cast("type[Request]", request)
        self.answer = answer
        self.idempotent = self.method == "GET" if idempotent is None else idempotent
        self.keyed = keyed
        self.deadline_s = deadline_s
        self.body_limit = body_limit
        self.priority = priority
        self.hedge = hedge
        self.affinity = affinity
        self.smoke = smoke
        self.status = status
        self.summary = summary
        fields = msgspec.structs.fields(self.request)
        names = tuple(field.name for field in fields)
        self._check(names)
        rest = tuple(name for name in names if name not in self.path.fields)
        self.has_body = self.method not in _WITHOUT_BODY
        self.body_fields = rest if self.has_body else ()
        self.query_fields = () if self.has_body else rest
        for field in fields:
            if field.name in self.path.fields:
                check_in_path(field)
            elif field.name in self.query_fields:
                check_in_query(field)
            if field.name == affinity:
                check_as_key(field)

    def _check(self, names: tuple[str, ...]) -> None:
        unknown = set(self.path.fields) - set(names)
        if unknown:
            raise ValueError(
                f"path {self.path.text!r} names {', '.join(sorted(unknown))}, "
                f"which {self.request.__name__} has not"
            )
        if self.affinity and self.affinity not in names:
            raise ValueError(
                f"affinity names {self.affinity}, which {self.request.__name__} has not"
            )
        if self.smoke is not None:
            check_smoke(self.smoke, self.request)
        check_hedge(self.hedge)
        if self.hedge and not self.idempotent:
            # An Idempotency-Key is not enough: it orders two attempts that come one after the
            # other, while these run at once.
            raise ValueError("only an idempotent call can be hedged: it is done twice")
        if self.keyed and self.method == "GET":
            raise ValueError("a GET changes nothing and takes no Idempotency-Key")
        if not (self.deadline_s > 0 and isfinite(self.deadline_s)):
            raise ValueError(f"deadline_s is {self.deadline_s}; it must be above 0, and end")
        if self.body_limit < 0:
            raise ValueError(f"body_limit is {self.body_limit}; it must not be below 0")
        if not 0 <= self.priority <= 3:
            raise ValueError(f"priority is {self.priority}; it goes from 0 to 3")
        if not 200 <= self.status <= 299:
            raise ValueError(f"status is {self.status}; a good answer has 200 to 299")

    def __set_name__(self, owner: type[Contract], name: str) -> None:
        self.name = name

    @overload
    def __get__(
        self, instance: None, owner: type[Contract]
    ) -> Call[Arguments, Request, Answer]: ...
    @overload
    def __get__(
        self, instance: Contract, owner: type[Contract]
    ) -> BoundCall[Arguments, Answer]: ...
    def __get__(self, instance: Contract | None, owner: type[Contract]) -> Any:
        # A client keeps its bound calls in its own __dict__, which Python looks at before this
        # (there is no __set__): so this runs for the class alone.
        return self

    @property
    def retryable(self) -> bool:
        """Whether it may be tried again after a replica may have begun it."""
        return self.idempotent or self.keyed

    def __repr__(self) -> str:
        return f"<Call {getattr(self, 'service', '?')}.{getattr(self, 'name', '?')}>"
