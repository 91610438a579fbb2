"""What the admin port makes of a query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from balancer.wire import IncomingRequest
from services.kit.admin import admin_site
from services.kit.server import Answer, Server, ServerSettings
from services.kit.server.exchange import Exchange


def nothing() -> Deferred[bytes]:
    return succeed(b"")


class Replica:
    """The admin port of a replica called "users-1".

    Attributes:
        done: what it was told to do.
    """

    def __init__(self) -> None:
        self.done: list[object] = []
        site = admin_site(
            replica="users-1",
            metrics=nothing,
            decisions=nothing,
            state=lambda: "ready",
            announce=self.done.append,
            drain=lambda: self.done.append("drain"),
        )
        self._server = Server(
            site, ServerSettings(), clock=Clock(), wall=lambda: datetime.now(UTC), service=""
        )

    def post(self, path: bytes, query: bytes) -> tuple[int, dict[str, Any]]:
        return self.ask(b"POST", path, query)

    def ask(self, method: bytes, path: bytes, query: bytes) -> tuple[int, Any]:
        Exchange(self._server.serving, self, IncomingRequest(method, path, query, {})).begin()
        body = self._answered.body
        return self._answered.status, msgspec.json.decode(body) if body else None

    def answer(self, request: IncomingRequest, answer: Answer, now: float) -> None:
        self._answered = answer


@pytest.mark.parametrize(
    "query",
    [
        b"replica=users-2&replica=users-1",
        b"replica=users-1&replica=users-2",
        b"replica=users-1&replica=users-1",
        b"replica=users-2&%72eplica=users-1",
        b"replica=&replica=users-1",
    ],
)
@pytest.mark.parametrize("path", [b"/drain", b"/announce"])
def test_two_names_are_refused_and_nothing_is_done(path: bytes, query: bytes) -> None:
    replica = Replica()
    status, problem = replica.post(path, query)
    assert status == 422
    assert problem["type"] == "invalid"
    assert problem["field"] == "replica"
    assert problem["detail"] == "replica is given twice."
    assert replica.done == []


def test_one_name_of_each_is_taken() -> None:
    replica = Replica()
    assert replica.post(b"/announce", b"replica=users-1&weight=2")[0] == 200
    assert replica.post(b"/drain", b"replica=users-1")[0] == 202
    assert replica.done == [2.0, "drain"]


EVERY = [
    (b"GET", b"/health/live", 200),
    (b"GET", b"/health/ready", 200),
    (b"GET", b"/metrics", 200),
    (b"GET", b"/decisions", 200),
    (b"POST", b"/announce", 200),
    (b"POST", b"/drain", 202),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERY)
def test_every_path_takes_the_name_of_who_is_meant(method: bytes, path: bytes, status: int) -> None:
    replica = Replica()
    for query in (b"", b"replica=users-1"):
        assert replica.ask(method, path, query)[0] == status
    done = list(replica.done)
    refused, problem = replica.ask(method, path, b"replica=users-2")
    assert (refused, problem["type"], problem["replica"]) == (421, "misdirected", "users-1")
    assert replica.done == done


def test_what_a_page_does_not_know_may_be_given_often() -> None:
    """As Prometheus does with parameters of a scrape."""
    assert Replica().ask(b"GET", b"/metrics", b"collect[]=a&collect[]=b&replica=users-1")[0] == 200
