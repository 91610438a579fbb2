"""Replicas as servers, with the driver that Libcloud has for trying things out."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from libcloud.common.types import InvalidCredsError
from libcloud.compute.base import Node, NodeImage
from libcloud.compute.drivers.dummy import DummyNodeDriver
from libcloud.compute.types import NodeState
from twisted.internet.task import Clock

from services.kit.driver_settings import CloudSettings
from services.ops.fleet.drivers.cloud import CloudDriver
from services.ops.fleet.drivers.interface import Build, Built, DriverError
from services.ops.fleet.drivers.provider import Credentials, Provider
from tests.processes import until

ENVIRON = {"THE_KEY": "AKIA-hush", "THE_SECRET": "hush-hush"}
BUILD = Build(service="users", replica="users-2.k3f-1", version="2")
BUILT = Built(replica=BUILD.replica, service="users")
NAME = "txmesh--users--users-2.k3f-1"


_Dummy: Any = DummyNodeDriver  # it has no annotations


class Cloud(_Dummy):  # type: ignore[misc]
    """The dummy's servers, with the names and states that they are given.

    Attributes:
        begins: the state of a new one.
        given: what each new one was given besides.
        before: called before the servers are listed.
    """

    def __init__(self) -> None:
        super().__init__("0")
        self.begins = NodeState.RUNNING
        self.given: list[dict[str, Any]] = []
        self.deletes = True
        self.images: list[NodeImage] = super().list_images()
        self.before: Callable[[], object] = lambda: None

    def create_node(self, name: str, size: Any, image: Any, **given: Any) -> Node:
        node: Node = super().create_node(name, size, image)
        node.name, node.state, node.image = name, self.begins, image
        self.given.append({**given, "image": image.name, "size": size.name})
        return node

    def list_images(self, location: object = None) -> list[NodeImage]:
        return self.images

    def list_nodes(self) -> list[Node]:
        self.before()
        return list(super().list_nodes())

    def destroy_node(self, node: Node) -> bool:
        return self.deletes and bool(super().destroy_node(node))


class World:
    """A cloud and a driver of it."""

    def __init__(self, **settings: Any) -> None:
        from twisted.internet import reactor

        self.cloud = Cloud()
        self.clock = Clock()
        self.connects = 0
        made = CloudSettings(
            **{
                "provider": "dummy",
                "key_variable": "THE_KEY",
                "secret_variable": "THE_SECRET",
                "image": "Ubuntu 9.10",
                "size": "Medium",
                **settings,
            }
        )
        credentials = Credentials(made, ENVIRON)
        provider = Provider(made, credentials, self._connect, reactor=reactor)
        self.driver = CloudDriver(made, provider, registry="redis://10.0.0.1", clock=self.clock)

    def _connect(self, settings: CloudSettings) -> Cloud:
        self.connects += 1
        return self.cloud

    def names(self) -> list[str]:
        return [node.name for node in self.cloud.nl if node.name.startswith("txmesh")]


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def world() -> AsyncIterator[World]:
    world = World(answer_s=20.0)
    yield world
    world.driver.close()
    assert world.clock.getDelayedCalls() == []


async def test_a_server_is_built_once_and_deleted(world: World) -> None:
    driver = world.driver
    assert await driver.built("users") == []
    await driver.build(BUILD)
    await driver.build(BUILD)
    assert world.names() == [NAME]
    assert await driver.built("users") == [BUILT]
    assert await driver.built("user") == []
    [given] = world.cloud.given
    assert (given["image"], given["size"]) == ("Ubuntu 9.10", "Medium")
    _, _, told = given["ex_userdata"].partition("\n")
    assert "redis://10.0.0.1" in json.loads(told)["write_files"][1]["content"]
    # Another one, started later, finds it by its name.
    world.driver._deleted.clear()
    await driver.retire(BUILD.replica)
    assert await driver.tail(BUILD.replica) == []
    await driver.remove(BUILD.replica)
    await driver.remove(BUILD.replica)
    assert world.names() == []
    assert await driver.built("users") == []
    # Who was there before is left alone.
    assert [node.name for node in world.cloud.nl] == ["dummy-1", "dummy-2"]


async def test_what_a_build_says_goes_before_the_settings(world: World) -> None:
    build = Build(service="users", replica="users-3", version="3", image="3")
    await world.driver.build(build)
    assert world.cloud.given[0]["image"] == "Slackware 4"
    with pytest.raises(DriverError, match="say --image"):
        await world.driver.build(Build(service="users", replica="u", version="3", code="x"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"image": "none"}, "no server image is called 'none'.*has Slackware 4, Ubuntu 9.04"),
        ({"size": "Huge"}, "no server size is called 'Huge'"),
    ],
)
async def test_images_and_sizes_that_are_not_there_are_told(
    settings: dict[str, str], why: str
) -> None:
    world = World(**settings)
    with pytest.raises(DriverError, match=why):
        await world.driver.build(BUILD)
    assert world.names() == []
    world.driver.close()


async def test_two_images_of_one_name_are_told(world: World) -> None:
    world.cloud.images *= 2
    with pytest.raises(DriverError, match="2 servers' images are called 'Ubuntu"):
        await world.driver.build(BUILD)


async def test_a_build_that_hangs_is_deleted_and_has_failed() -> None:
    world = World(build_s=20.0, look_s=5.0)
    world.cloud.begins = NodeState.PENDING
    await world.driver.build(BUILD)
    for _ in range(3):
        world.clock.advance(5)
        await until(world.clock.getDelayedCalls, "the next look")
    assert await world.driver.built("users") == [BUILT]
    world.clock.advance(5)
    await until(lambda: not world.names(), "deleted")
    [failed] = await world.driver.built("users")
    assert (failed.state, failed.why) == ("failed", "its server is pending after 20 s")
    await world.driver.build(BUILD)  # after an interruption: it has failed
    assert world.names() == []
    await world.driver.remove(BUILD.replica)
    assert await world.driver.built("users") == []
    assert world.clock.getDelayedCalls() == []
    world.driver.close()


async def test_a_server_that_runs_is_watched_no_longer(world: World) -> None:
    await world.driver.build(BUILD)
    world.clock.advance(1000)
    looked = world.driver.built("users")  # calls are made one after the other
    assert await looked == [BUILT]
    assert world.clock.getDelayedCalls() == []


async def test_a_server_in_error_has_failed_and_is_deleted(world: World) -> None:
    world.cloud.begins = NodeState.ERROR
    await world.driver.build(BUILD)
    [failed] = await world.driver.built("users")
    assert (failed.state, failed.why) == ("failed", "its server is in error")
    world.clock.advance(5)
    await until(lambda: not world.names(), "deleted")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (NodeState.STARTING, "running"),
        (NodeState.REBOOTING, "running"),
        (NodeState.UNKNOWN, "running"),
        (NodeState.STOPPED, "ended"),
        (NodeState.SUSPENDED, "ended"),
        (NodeState.TERMINATED, ""),
    ],
)
async def test_states_are_told_as_the_driver_has_them(
    world: World, state: NodeState, said: str
) -> None:
    world.cloud.begins = state
    await world.driver.build(BUILD)
    assert [built.state for built in await world.driver.built("users")] == ([said] if said else [])


async def test_a_deletion_that_is_refused_is_told(world: World) -> None:
    await world.driver.build(BUILD)
    world.cloud.deletes = False
    with pytest.raises(DriverError, match=f"does not delete {NAME}"):
        await world.driver.remove(BUILD.replica)


async def test_a_provider_that_hangs_is_not_waited_for() -> None:
    world = World(answer_s=0.2)
    released = threading.Event()
    world.cloud.before = lambda: released.wait(30)
    try:
        with pytest.raises(DriverError, match=r"'dummy' has not answered within 0\.2 s: list the"):
            await world.driver.built("users")
        world.cloud.before = lambda: None
        assert await world.driver.built("users") == []
        assert world.connects == 2
        # Closing waits for nobody either.
        world.driver.close()
    finally:
        released.set()


async def test_no_fault_tells_a_secret(world: World) -> None:
    def fails() -> None:
        raise RuntimeError("401: key AKIA-hush\nwith hush-hush is unknown")

    world.cloud.before = fails
    with pytest.raises(DriverError) as raised:
        await world.driver.built("users")
    assert str(raised.value) == (
        "the provider 'dummy' does not list the servers: RuntimeError: 401: key *** with *** is unknown"
    )
    assert raised.value.__cause__ is None

    def refuses() -> None:
        raise InvalidCredsError("AKIA-hush")

    world.cloud.before = refuses
    with pytest.raises(DriverError, match="refuses the credentials in THE_KEY and THE_SECRET"):
        await world.driver.built("users")
    assert "hush" not in repr(
        Credentials(
            CloudSettings(key_variable="THE_KEY"), {**ENVIRON, "TXMESH_CLOUD_SECRET": "hush"}
        )
    )


def test_libclouds_own_driver_is_found_by_its_name() -> None:
    settings = CloudSettings(provider="dummy", key_variable="THE_KEY", secret_variable="")
    nodes = Credentials(settings, ENVIRON).connect(settings)
    assert isinstance(nodes, DummyNodeDriver)
    unknown = CloudSettings(provider="nimbus9", key_variable="THE_KEY", secret_variable="")
    with pytest.raises(DriverError, match="knows no provider 'nimbus9'"):
        Credentials(unknown, ENVIRON).connect(unknown)
    strange = CloudSettings(
        provider="dummy", key_variable="THE_KEY", secret_variable="", arguments={"tenant": "x"}
    )
    with pytest.raises(DriverError, match=r"does not take these arguments .*tenant"):
        Credentials(strange, ENVIRON).connect(strange)
