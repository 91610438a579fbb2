"""Calls of all three services at a constant rate, writes among them, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from balancer import DeadlineExceeded, Rejected
from balancer.telemetry import Histogram
from clients import Mesh
from clients.greetings import Greetings, Recipient
from clients.products import Products
from clients.users import User, Users

SKU = "BDAY-00007"
SITE = "greetwell"
# One round of 50. Those of the last line write to the store, which all replicas of a service share:
# 40 a second at 500 calls a second, POSTs among them as opening a card is one.
ROUND = (
    *("fetch", "product", "fetch", "search", "fetch", "open", "find", "fetch", "popular", "fetch"),
    *("fetch", "product", "fetch", "search", "fetch", "open", "find", "fetch", "product", "fetch"),
    *("fetch", "product", "fetch", "search", "fetch", "open", "find", "fetch", "product", "fetch"),
    *("fetch", "product", "fetch", "search", "fetch", "open", "find", "fetch", "product", "fetch"),
    *("fetch", "update", "fetch", "send", "fetch", "open", "contact", "fetch", "create", "fetch"),
)


class MixedLoad:
    """Calls that start on time whatever the answers do.

    Attributes:
        failed: calls without the service's own answer, by kind of error.
        missed: those of them whose deadline passed.
        rejected: the service's own 4xx; there should be none.
        made: calls by operation.
        latency_s: of all calls that ended, from when each was due.
    """

    def __init__(self, mesh: Mesh, rate: float = 500.0) -> None:
        self.mesh = mesh
        self.failed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.made: Counter[str] = Counter()
        self.missed = 0
        self.latency_s = Histogram()
        self._rate = rate
        self._users = mesh.client(Users)
        self._products = mesh.client(Products)
        self._greetings = mesh.client(Greetings)
        self._own: list[User] = []
        self._busy: set[str] = set()
        self._token = ""
        self._sender = ""
        self._next = 0
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)

    async def prepare(self) -> None:
        """Make what is called: users of its own, and a card to open."""
        for number in range(20):
            user = await self._users.create(
                name=f"Load {number}", email=f"load{id(self)}-{number}@example.com", site=SITE
            )
            self._own.append(user)
        self._sender = self._own[0].id
        self._token = (await self._send()).token

    def start(self) -> None:
        self._loop.start(1 / self._rate)

    async def stop(self) -> None:
        """Start no more, and wait for those that run."""
        if self._loop.running:
            self._loop.stop()
        await gatherResults(list(self._open))

    def p99_ms(self) -> float:
        """The latency below which 99 % of the calls since the last question lie."""
        latency_s, self.latency_s = self.latency_s, Histogram()
        return 1000 * latency_s.percentile(0.99)

    def _tick(self, due: int) -> None:
        # When the machine was busy the calls that are due are made up for: the rate stays.
        for _ in range(due):
            operation = ROUND[self._next % len(ROUND)]
            self._next += 1
            self.made[operation] += 1
            began = self.mesh.clock.seconds()
            call = self._call(operation)
            self._open.add(call)
            call.addBoth(self._ended, call, operation, began)

    def _ended(self, result: Any, call: Deferred[Any], operation: str, began: float) -> None:
        self._open.discard(call)
        error = result.value if isinstance(result, Failure) else None
        self.latency_s.add(self.mesh.clock.seconds() - began)
        if isinstance(error, Rejected):
            self.rejected[f"{operation}: {error}"] += 1
        elif error is not None:
            self.failed[f"{operation}: {type(error).__name__}: {error}"] += 1
            self.missed += isinstance(error, DeadlineExceeded)

    def _call(self, operation: str) -> Deferred[Any]:
        own = self._own[self._next % len(self._own)]
        calls: dict[str, Callable[[], Deferred[Any]]] = {
            "fetch": lambda: self._users.fetch(id=own.id),
            "find": lambda: self._users.find(email=own.email),
            "update": lambda: Deferred.fromCoroutine(self._update()),
            "create": lambda: self._users.create(
                name="New", email=f"{id(self)}-{self._next}@example.com", site=SITE
            ),
            "contact": lambda: self._users.add_contact(
                user_id=own.id, name="Bo", email="bo@example.com"
            ),
            "product": lambda: self._products.fetch(sku=SKU),
            "search": lambda: self._products.search(text="sun", limit=5),
            "open": lambda: self._greetings.open(token=self._token),
            "popular": lambda: self._greetings.popular(limit=5),
            "send": self._send,
        }
        return calls[operation]()

    def _send(self) -> Deferred[Any]:
        return self._greetings.send(
            sender=self._sender,
            recipients=[Recipient(name="Bo", email="bo@example.com")],
            sku=SKU,
            message="Hello",
            site=SITE,
        )

    async def _update(self) -> None:
        """Change a user of whom no other change runs: a stale version would be our own fault."""
        index = next(i for i, user in enumerate(self._own) if user.id not in self._busy)
        user = self._own.pop(index)
        self._busy.add(user.id)
        try:
            user = await self._users.update(
                id=user.id, version=user.version, name=f"Load {self._next}", email=user.email
            )
        finally:
            self._busy.discard(user.id)
            self._own.append(user)
