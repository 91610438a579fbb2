"""An API server, or whatever answers in its place, that says what nobody understands."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted

from balancer import MonotonicClock, RegistryError
from balancer.discovery.kubernetes import KubernetesRegistry, Place
from tests.kubernetes_api import KubernetesApiServer

BODIES = {
    "no JSON": b"<html>busy</html>",
    "no UTF-8": b'{"message":"\xff","metadata":{"name":"\xff"},"items":[{"\xff":1}]}',
    "deep nesting": b'{"more":' + b"[" * 100_000,
}


class Nonsense(KubernetesApiServer):
    """It answers every request with the same bytes."""

    status = 200
    body = b""

    def answer(self, request: Any) -> bytes:
        request.setResponseCode(self.status)
        return self.body


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[Nonsense]:
    from twisted.internet import reactor

    server = Nonsense(reactor)
    server.start()
    yield server
    await server.stop()


@pytest.mark.parametrize("status", [200, 403, 500])
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
async def test_it_is_an_error_of_the_registry(server: Nonsense, status: int, body: bytes) -> None:
    server.status, server.body = status, body
    registry = KubernetesRegistry(
        Place(server=server.address, tls=False, namespace="mesh"),
        reactor=server.reactor,
        clock=MonotonicClock(server.reactor),
        rng=random.Random(1),
        ttl_s=10,
    )
    said = "is not understood" if status == 200 else str(status)
    with pytest.raises(RegistryError, match=said):
        await registry.endpoints()
    with pytest.raises(RegistryError, match=said):
        await registry.lock("replace.users", "me")
