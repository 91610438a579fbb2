"""A driver with what it builds, seen through a registry."""

from __future__ import annotations

from pathlib import Path

from balancer import Endpoint, MonotonicClock, read_config
from clients import Mesh
from services.ops.fleet.drivers import make_driver
from services.ops.fleet.drivers.interface import Built, Driver
from tests.processes import sleep


class Driven:
    """One folder with a ``mesh.toml``, the driver in it, and a caller.

    Attributes:
        folder: where it is.
        mesh: the caller.
        driver: the driver.
    """

    def __init__(self, folder: Path, name: str) -> None:
        from twisted.internet import reactor

        self.folder = folder
        self.mesh = Mesh(folder / "mesh.toml")
        self.driver: Driver = make_driver(
            name,
            read_config(folder / "mesh.toml"),
            reactor=reactor,
            clock=MonotonicClock(reactor),
        )

    async def built(self) -> dict[str, Built]:
        """What the driver knows, by replica."""
        return {built.replica: built for built in await self.driver.built("users")}

    async def endpoint(self, replica: str, *, pid: int = 0) -> Endpoint:
        """Wait until one is in the registry, as another process than one that was."""
        for _ in range(500):
            for endpoint in await self.mesh.registry.endpoints():
                if endpoint.replica == replica and endpoint.pid != pid:
                    return endpoint
            await sleep(0.05)
        raise AssertionError(f"{replica} did not appear: {await self.driver.tail(replica)}")
