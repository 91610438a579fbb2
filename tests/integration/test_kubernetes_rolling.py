"""Replacement through an API server over real sockets; the pods are one real replica's ports."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import treq
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.web.server import NOT_DONE_YET

from balancer import MonotonicClock
from balancer.discovery import RegistrySettings, open_registry
from balancer.discovery.kubernetes import KubernetesApi, parse_kubernetes
from clients.users import Users
from services.ops.fleet.claim import Claim
from services.ops.fleet.ended import Ended
from services.ops.fleet.kubernetes.change import MANAGER, Replacing
from services.ops.fleet.kubernetes.cluster import Cluster
from services.ops.fleet.kubernetes.decide import Decision, Order, Seen
from services.ops.fleet.kubernetes.rolling import Rolling
from services.ops.fleet.plan.steps import Outcome
from services.ops.fleet.rest import Rest
from tests.kubernetes_api import KubernetesApiServer, write_json, write_status
from tests.kubernetes_cluster import NEVER_READY, FakeCluster
from tests.processes import children
from tests.txmesh import txmesh

DEPLOYMENT = "/apis/apps/v1/namespaces/mesh/deployments/users"
PODS = "/api/v1/namespaces/mesh/pods"
BROKEN = "txmesh:broken"


class ClusterApi(KubernetesApiServer):
    """An API server with one Deployment, whose pods are all the same real replica."""

    def __init__(self, reactor: Any, address: str, admin: str) -> None:
        super().__init__(reactor)
        self.cluster = FakeCluster()
        self.ports = {"8001": address, "9001": admin}
        self.denied = False

    def answer_GET(self, request: Any, path: str, query: Any) -> Any:
        if self.denied and path.startswith("/apis/apps/"):
            return write_status(request, 403, "Forbidden", "deployments.apps is forbidden")
        if path == DEPLOYMENT:
            self.cluster.turn()  # whoever looks lets time pass
            return write_json(request, 200, self.cluster.deployment())
        if path == PODS:
            assert "app.kubernetes.io/name=users" in query["labelSelector"]
            return write_json(request, 200, self.cluster.pods())
        if path.endswith("/log"):
            return self._log(request, path.removeprefix(f"{PODS}/").removesuffix("/log"))
        if path.startswith(f"{PODS}/"):
            return self._proxy(request, *path.removeprefix(f"{PODS}/").split("/proxy", 1))
        return super().answer_GET(request, path, query)

    def answer_PATCH(self, request: Any, path: str, query: Any) -> Any:
        assert path == DEPLOYMENT
        assert request.getHeader("Content-Type") == "application/apply-patch+yaml"
        assert query["fieldManager"] == MANAGER
        self.cluster.apply(json.loads(request.content.read()))
        return write_json(request, 200, self.cluster.deployment())

    def _log(self, request: Any, pod: str) -> bytes:
        [found] = [p for p in self.cluster.pods()["items"] if p["metadata"]["name"] == pod]
        if "deletionTimestamp" in found["metadata"]:  # as good as gone, and its log with it
            return write_status(request, 404, "NotFound", f"there is no pod {pod}")
        return b"Traceback\nKeyError: 'users'\n"

    def _proxy(self, request: Any, pod: str, path: str) -> Any:
        name, _, port = pod.partition(":")
        [found] = [p for p in self.cluster.pods()["items"] if p["metadata"]["name"] == name]
        if found["spec"]["containers"][0]["image"] == BROKEN and port == "8001":
            return write_status(request, 500, "InternalError", "it is broken")

        async def ask() -> None:
            answer = await treq.get(f"http://{self.ports[port]}{path}")
            request.setResponseCode(answer.code)
            request.write(await answer.content())
            request.finish()

        Deferred.fromCoroutine(ask())
        return NOT_DONE_YET


class Progress:
    def __init__(self) -> None:
        self.waited: list[str] = []

    def found(self, replacing: Replacing | None) -> None:
        pass

    def looked(self, seen: Seen, decided: Decision) -> None:
        self.waits(decided.waiting)

    def waits(self, why: str) -> None:
        if why and why not in self.waited[-1:]:
            self.waited.append(why)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class Killed(Exception):
    pass


class Command:
    """One command, as from a process of its own."""

    def __init__(self, api: ClusterApi, folder: Path, order: Order) -> None:
        from twisted.internet import reactor

        clock = MonotonicClock(reactor)
        url = f"kubernetes+http://{api.address}?namespace=mesh"
        registry = open_registry(
            RegistrySettings(url=url), folder, reactor=reactor, clock=clock, rng=random.Random(1)
        )
        cluster = Cluster(KubernetesApi(parse_kubernetes(url, folder), reactor, clock), "mesh")
        self.progress = Progress()
        self.rest = Rest(clock)
        self.claim = Claim(
            "users", registry=registry, holder="a test", lock_s=15, clock=clock,
            rest=self.rest, waits=self.progress.waits, notices=self.progress.waits,
        )  # fmt: skip
        self.rolling = Rolling(
            "users", order, cluster=cluster, contract=Users, claim=self.claim,
            progress=self.progress, rest=self.rest, clock=clock,
        )  # fmt: skip
        self._registry = registry

    async def run(self) -> Ended:
        try:
            return await self.rolling.run()
        finally:
            self._registry.close()

    def die(self) -> None:
        """End without a chance to do anything any more; the lock stays until its time is up."""

        def waits(_: object, __: object) -> None:
            raise Killed

        self.progress.looked = waits  # type: ignore[assignment,method-assign]


async def started(start: Any) -> ClusterApi:
    from twisted.internet import reactor

    api = ClusterApi(reactor, *await start("users", "users-1").ready())
    api.start()
    return api


async def test_a_deployment_is_replaced_taken_back_and_goes_on(folder: Path) -> None:
    with children(folder) as start:
        api = await started(start)
        try:
            order = Order(version="2", image="txmesh:2", generation="g1", bake_s=2)
            ended = await Command(api, folder, order).run()
            assert ended == Ended(Outcome.REPLACED)
            assert api.cluster.images == ["txmesh:2"] * 2
            smoked = [path for _, path, _ in api.asked if ":8001/proxy/v1/users/" in path]
            assert len(smoked) == 2

            order = Order(version="3", image=BROKEN, generation="g2", bake_s=2)
            ended = await Command(api, folder, order).run()
            assert ended.outcome is Outcome.ROLLED_BACK
            assert "failed its smoke call: fetch: answered 500 instead of 404" in ended.why
            assert api.cluster.images == ["txmesh:2"] * 2

            # Killed half-way, the next one goes on; told to stop, it goes back.
            order = Order(version="3", image=NEVER_READY, generation="g3", bake_s=2)
            command = Command(api, folder, order)
            running = Deferred.fromCoroutine(command.run())
            while NEVER_READY not in api.cluster.images:
                await command.rest.sleep(0.05)
            command.die()
            with pytest.raises(Killed):
                await running
            again = Command(api, folder, Order(version="3", image=NEVER_READY, generation="g4"))
            again.rolling.stop()
            ended = await again.run()
            assert (ended.outcome, ended.why) == (Outcome.ROLLED_BACK, "it was interrupted")
            assert api.cluster.images == ["txmesh:2"] * 2
            assert api.cluster.least == 2
        finally:
            await api.stop()


async def test_the_command_replaces_a_deployment(folder: Path) -> None:
    with children(folder) as start:
        api = await started(start)
        url = f"kubernetes+http://{api.address}?namespace=mesh"
        (folder / "cluster.toml").write_text(f'[registry]\nurl = "{url}"\n')
        line = ("replace", "users", "--driver", "kubernetes", "--config", "cluster.toml")
        try:
            new = ("--version", "2", "--image", "txmesh:2", "--bake", "1", "--json")
            done = await deferToThread(txmesh, folder, *line, *new)
            events = [json.loads(each) for each in done.stdout.splitlines()]
            assert done.returncode == 0, done.stderr
            assert events[-1]["outcome"] == "replaced"
            assert len(events[-1]["members"]) == 2
            assert {each["phase"] for each in events if each["event"] == "phase"} == {
                "build",
                "bake",
            }
            assert api.cluster.images == ["txmesh:2"] * 2

            broken = ("--version", "3", "--image", BROKEN, "--bake", "1")
            done = await deferToThread(txmesh, folder, *line, *broken)
            assert done.returncode == 1
            assert "users is rolled back" in done.stderr
            assert "answered 500 instead of 404" in done.stderr
            # Though its pod has left by now.
            assert "txmesh: the end of the log of users-" in done.stderr
            assert "    KeyError: 'users'\n" in done.stderr
            done = await deferToThread(txmesh, folder, *line, "--version", "3", "--hold")
            assert done.returncode == 1
            assert "--canary and --hold are not for it" in done.stderr
        finally:
            await api.stop()


async def test_what_the_cluster_does_not_allow_is_told(folder: Path) -> None:
    with children(folder) as start:
        api = await started(start)
        try:
            api.denied = True
            order = Order(version="2", image="txmesh:2", generation="g1")
            ended = await Command(api, folder, order).run()
            assert ended.outcome is Outcome.REFUSED
            assert "replacer.yaml" in ended.why
        finally:
            await api.stop()


async def test_an_api_server_that_is_away_for_a_while_is_waited_for(folder: Path) -> None:
    with children(folder) as start:
        api = await started(start)
        try:
            order = Order(version="2", image="txmesh:2", generation="g1", bake_s=1)
            command = Command(api, folder, order)
            running = Deferred.fromCoroutine(command.run())
            while "txmesh:2" not in api.cluster.images:
                await command.rest.sleep(0.05)
            await api.stop()
            while not any("cannot be asked" in why for why in command.progress.waited):
                await command.rest.sleep(0.05)
            api.start()
            assert await running == Ended(Outcome.REPLACED)
            assert api.cluster.images == ["txmesh:2"] * 2
        finally:
            await api.stop()
