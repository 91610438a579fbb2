"""Replicas as servers of a cloud, each built for one replica and deleted after it.

A server is known by its name, which says the service and the replica. That it runs says nothing of
the replica: that is asked of the replica itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from libcloud.compute.base import Node, NodeDriver, NodeImage, NodeSize
from libcloud.compute.types import NodeState
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IDelayedCall

from balancer import Clock
from services.kit.driver_settings import CloudSettings

from .firstboot import first_boot
from .interface import Build, Built, DriverError
from .names import checked_build, checked_replica, checked_service
from .provider import Provider

_PREFIX = "txmesh"
# No service's name has two dashes in a row.
_SEPARATOR = "--"
_ENDED = (NodeState.STOPPED, NodeState.SUSPENDED, NodeState.PAUSED)

Named = TypeVar("Named", NodeImage, NodeSize)


class CloudDriver:
    """See the module, and `services.ops.fleet.drivers.interface.Driver`."""

    name = "cloud"

    def __init__(
        self, settings: CloudSettings, provider: Provider, *, registry: str, clock: Clock
    ) -> None:
        """Take where servers come from.

        Args:
            settings: what a server is made of.
            provider: makes and deletes them.
            registry: the URL of the replicas' registry.
            clock: monotonic.
        """
        self._settings = settings
        self._provider = provider
        self._registry = registry
        self._clock = clock
        self._looks: dict[str, IDelayedCall] = {}
        self._failed: dict[str, Built] = {}
        self._deleted: set[str] = set()
        self._closed = False

    def built(self, service: str) -> Deferred[list[Built]]:
        """See `Driver`; the version is not known."""
        return ensureDeferred(self._built(service))

    def build(self, build: Build) -> Deferred[None]:
        """See `Driver`; a server that does not run in time is deleted, and has failed."""
        return ensureDeferred(self._build(build))

    def retire(self, replica: str) -> Deferred[None]:
        """See `Driver`: a replica is started again after a failure only, and a drain is none."""
        return succeed(None)

    def remove(self, replica: str) -> Deferred[None]:
        """See `Driver`; fires when the provider has taken the deletion."""
        return ensureDeferred(self._remove(replica))

    def tail(self, replica: str) -> Deferred[list[str]]:
        """See `Driver`: providers have no common way to a server's log, so there is none."""
        return succeed([])

    def close(self) -> None:
        """See `Driver`; a server that hangs is deleted by nobody then."""
        self._closed = True
        for look in self._looks.values():
            look.cancel()
        self._looks.clear()
        self._provider.close()

    async def _built(self, service: str) -> list[Built]:
        checked_service(service)
        there = [_built(node) for node in await self._nodes()]
        found = [self._failed.get(b.replica, b) for b in there if b.service == service]
        names = {built.replica for built in found}
        failed = [built for built in self._failed.values() if built.service == service]
        return found + [built for built in failed if built.replica not in names]

    async def _build(self, build: Build) -> None:
        checked_build(build)
        if build.code:
            raise DriverError(
                "a server runs what its image holds; say --image for the new version, not --code"
            )
        if await self._find(build.replica) is not None or build.replica in self._failed:
            return
        settings = self._settings
        wanted = build.image or settings.image
        given: dict[str, Any] = dict(settings.create)
        if settings.user_data:
            given[settings.user_data] = first_boot(build, settings, self._registry)

        def create(nodes: NodeDriver) -> None:
            image = _named("image", wanted, nodes.list_images())
            size = _named("size", settings.size, nodes.list_sizes())
            nodes.create_node(name=_server(build), size=size, image=image, **given)

        await self._provider.call("create a server", create)
        until = self._clock.seconds() + settings.build_s
        self._look_later(build, until)

    def _look_later(self, build: Build, until: float) -> None:
        if self._closed:
            return
        self._looks[build.replica] = self._clock.callLater(
            self._settings.look_s, lambda: ensureDeferred(self._look(build, until))
        )

    async def _look(self, build: Build, until: float) -> None:
        """See a server come to run, or delete it."""
        self._looks.pop(build.replica, None)
        late = self._clock.seconds() >= until
        try:
            node = await self._find(build.replica)
            if node is None or node.state == NodeState.RUNNING:
                return
            if late or node.state == NodeState.ERROR:
                why = f"its server is {node.state}"
                why += f" after {self._settings.build_s:g} s" if late else ""
                self._failed[build.replica] = Built(
                    replica=build.replica, service=build.service, state="failed", why=why
                )
                await self._delete(node)
                return
        except DriverError:
            pass  # asked again
        self._look_later(build, until)

    async def _remove(self, replica: str) -> None:
        node = await self._find(checked_replica(replica))
        if node is not None:
            await self._delete(node)
        if look := self._looks.pop(replica, None):
            look.cancel()
        self._failed.pop(replica, None)

    async def _delete(self, node: Node) -> None:
        if not await self._provider.call("delete a server", lambda nodes: nodes.destroy_node(node)):
            raise DriverError(
                f"the provider {self._settings.provider!r} does not delete {node.name}; do it there"
            )
        # Some show it for an hour as something that still shuts down.
        self._deleted.add(str(node.id))

    async def _nodes(self) -> list[Node]:
        nodes = await self._provider.call("list the servers", lambda nodes: nodes.list_nodes())
        return [
            node
            for node in nodes
            if _is_ours(node)
            and node.state != NodeState.TERMINATED
            and str(node.id) not in self._deleted
        ]

    async def _find(self, replica: str) -> Node | None:
        nodes = await self._nodes()
        return next((node for node in nodes if _built(node).replica == replica), None)


def _server(build: Build) -> str:
    return _SEPARATOR.join((_PREFIX, build.service, build.replica))


def _is_ours(node: Node) -> bool:
    parts = str(node.name).split(_SEPARATOR, 2)
    return len(parts) == 3 and parts[0] == _PREFIX


def _built(node: Node) -> Built:
    _, service, replica = str(node.name).split(_SEPARATOR, 2)
    if node.state == NodeState.ERROR:
        return Built(replica=replica, service=service, state="failed", why="its server is in error")
    state: Literal["running", "ended"] = "ended" if node.state in _ENDED else "running"
    return Built(replica=replica, service=service, state=state)


def _named(kind: str, wanted: str, there: Sequence[Named]) -> Named:
    """The image or size that is meant.

    Raises:
        DriverError: there is none, or there are several of that name.
    """
    found = [each for each in there if wanted in (str(each.id), each.name)]
    if len(found) != 1:
        names = ", ".join(sorted({str(each.name) for each in there})[:10])
        what = f"{len(found)} servers' {kind}s are" if found else f"no server {kind} is"
        raise DriverError(
            f"{what} called {wanted!r}; name one by its id or name as {kind} in [fleet.cloud]; "
            f"the provider has {names or 'none'}"
        )
    return found[0]
