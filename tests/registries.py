"""Registries for tests: opened, followed, and what goes into them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from balancer import Endpoint, MonotonicClock
from balancer.discovery import Registry, RegistrySettings, open_registry
from tests.processes import until

# Registries of one place, each as another process would have it.
Opener = Callable[..., Registry]


def connected(
    url: str, folder: Path, *, ttl_s: float = 10.0, reread_s: float = 15.0, seed: int = 1
) -> Registry:
    """A registry as a process of its own would open it."""
    from twisted.internet import reactor

    return open_registry(
        RegistrySettings(url=url, ttl_s=ttl_s, reread_s=reread_s),
        folder,
        reactor=reactor,
        clock=MonotonicClock(reactor),
        rng=random.Random(seed),
    )


class Told:
    """Everything that a watcher was told."""

    def __init__(self, registry: Registry, service: str = "users") -> None:
        self.lists: list[list[Endpoint]] = []
        self.end = registry.watch(service, self._listen)

    def _listen(self, endpoints: Sequence[Endpoint]) -> None:
        self.lists.append(list(endpoints))

    @property
    def names(self) -> list[str] | None:
        return sorted(each.replica for each in self.lists[-1]) if self.lists else None

    async def until(self, *names: str) -> None:
        await until(lambda: self.names == sorted(names), f"{names}, not {self.names}", 5.0)


def endpoint(replica: str = "users-1", service: str = "users", **more: object) -> Endpoint:
    return Endpoint(service=service, replica=replica, address="127.0.0.1:8001", **more)  # type: ignore[arg-type]
