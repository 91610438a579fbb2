"""Migrated databases in files, one a test; and calls without sockets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
import sqlalchemy as sa
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from balancer import Rejected
from clients.contract import (
    AnswerDecoder,
    BadRequest,
    Call,
    CallOptions,
    Contract,
    Message,
    RequestEncoder,
)
from services.greetings import tables as greetings_tables
from services.kit import Kit, Problem, Service
from services.kit.storage import make_engine, migrate
from services.products import tables as products_tables
from services.users import tables as users_tables

Client = TypeVar("Client", bound=Contract)
Answer = TypeVar("Answer", bound=Message)
State = TypeVar("State")
MakeEngine = Callable[[str], sa.Engine]
MetadataOf = Mapping[str, sa.MetaData]


@pytest.fixture
def metadata_of() -> MetadataOf:
    """Each service's tables."""
    return {
        "users": users_tables.metadata,
        "products": products_tables.metadata,
        "greetings": greetings_tables.metadata,
    }


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def open_engine(tmp_path: Path, metadata_of: MetadataOf) -> Iterator[MakeEngine]:
    """Another engine on the named service's file: what another replica would have."""
    engines = []

    def open_one(service: str) -> sa.Engine:
        path = tmp_path / f"{service}.sqlite"
        engine = make_engine(path)
        engines.append(engine)
        migrate(engine, path, f"services.{service}.migrations", metadata_of[service])
        return engine

    yield open_one
    for engine in engines:
        engine.dispose()


class Bridge:
    """Carries calls straight to services' handlers: all of a call but the sockets."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.wall = datetime(2026, 11, 20, 12, tzinfo=UTC)
        self.clock = Clock()
        self._routes: dict[Call[Any, Any, Any], Any] = {}

    def kit(self, folder: Path, *, sample_data: bool = False) -> Kit:
        return Kit(
            clock=cast("Any", self.clock),
            wall=lambda: self.wall,
            rng=random.Random(7),
            mesh=cast("Any", self),
            storage_folder=folder,
            sample_data=sample_data,
            log=Logger("test"),
        )

    def client(self, contract: type[Client]) -> Client:
        return contract(self)

    def serve(self, service: Service[State], state: State) -> None:
        self._routes.update(service.routes(state))

    def carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Deferred[Answer]:
        self.calls.append(f"{call.service}.{call.name}")
        return Deferred.fromCoroutine(self._carry(call, message, options))

    async def _carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Answer:
        target, body = RequestEncoder(call).encode(message)
        path, _, query = target.partition(b"?")
        parts = zip(call.path.segments, path.split(b"/")[1:], strict=True)
        headers = {b"mesh-caller": b"test"}
        if options is not None and options.idempotency_key is not None:
            headers[b"idempotency-key"] = options.idempotency_key.encode("ascii")
        incoming = SimpleNamespace(
            request=SimpleNamespace(headers=headers, query=query, body=body),
            values=[value for segment, value in parts if segment is None],
            deadline=self.clock.seconds() + 1,
        )
        route = self._routes[call]
        try:
            answer = route.finish(await route.begin(incoming))
        except (Problem, BadRequest) as error:
            raise Rejected(
                str(error), status=error.status, type=error.type, detail=str(error)
            ) from None
        assert answer.status == call.status
        return AnswerDecoder(call).decode(answer.body)


@pytest.fixture
def bridge() -> Bridge:
    return Bridge()
