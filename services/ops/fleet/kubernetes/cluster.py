"""One Deployment and its pods, through the API server."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from balancer import MeshError, RegistryError
from balancer.discovery.kubernetes import Answer, KubernetesApi

from ..drivers.interface import DriverError
from .change import MANAGER
from .manifest import Manifest

_APPLY = "application/apply-patch+yaml"  # JSON is YAML, too


class ClusterError(MeshError):
    """The API server refused; the message says what, and what to do."""


class Cluster:
    """See the module."""

    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        """Take the API server.

        Args:
            api: nothing is connected before the first request.
            namespace: where the Deployments are.
        """
        self._api = api
        self.namespace = namespace

    async def deployment(self, name: str) -> dict[str, Any] | None:
        """Read a Deployment; None when there is none.

        Raises:
            ClusterError: it may not be read.
            RegistryError: the API server does not answer.
        """
        answer = await self._api.ask("GET", self._path("apps/v1", "deployments", name))
        return None if answer.status == 404 else self._read(answer, f"read Deployment {name}")

    async def pods(self, deployment: dict[str, Any]) -> dict[str, Any]:
        """Read a Deployment's pods, as a PodList; errors as `deployment`."""
        labels = deployment["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        path = self._path("v1", "pods", "")
        answer = await self._api.ask("GET", path, {"labelSelector": selector})
        return self._read(answer, "list pods")

    async def apply(self, manifest: Manifest) -> None:
        """Apply a Deployment by the server, in the name of `change.MANAGER`.

        Errors as `deployment`.
        """
        name = manifest["metadata"]["name"]
        answer = await self._api.ask(
            "PATCH",
            self._path("apps/v1", "deployments", name),
            {"fieldManager": MANAGER, "force": "true", "fieldValidation": "Strict"},
            msgspec.json.encode(manifest),
            _APPLY,
        )
        self._read(answer, f"apply Deployment {name}")

    async def ask_pod(
        self, pod: str, port: int, target: str, *, method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Make one request to a pod, through the API server: it is reached from everywhere.

        Args:
            pod: its name.
            port: of its container.
            target: path and query, quoted.
            method: such as "POST".
            body: JSON; b"" for none.

        Raises:
            RegistryError: the API server does not answer.
        """
        path = f"{self._path('v1', 'pods', f'{pod}:{port}')}/proxy{target}"
        return await self._api.ask(method, path, None, body or None)

    def tail(self, pod: str) -> Deferred[list[str]]:
        """The last lines of a pod's log; fails with `DriverError`."""
        return Deferred.fromCoroutine(self._tail(pod))

    async def _tail(self, pod: str) -> list[str]:
        path = f"{self._path('v1', 'pods', pod)}/log"
        try:
            answer = await self._api.ask("GET", path, {"tailLines": "50"})
        except RegistryError as error:
            raise DriverError(str(error)) from None
        return answer.body.decode("utf-8", "replace").splitlines() if answer.status == 200 else []

    def _path(self, group: str, kind: str, name: str) -> str:
        root = "/api/v1" if group == "v1" else f"/apis/{group}"
        path = f"{root}/namespaces/{self.namespace}/{kind}"
        return f"{path}/{name}" if name else path

    def _read(self, answer: Answer, what: str) -> dict[str, Any]:
        if answer.status in (401, 403):
            raise ClusterError(
                f"the cluster does not let us {what} in namespace {self.namespace} "
                f"({answer.why}); give this account the role in deploy/kubernetes/replacer.yaml"
            )
        if answer.status >= 400:
            raise ClusterError(f"the cluster refused to {what}: {answer.why}")
        found: dict[str, Any] = msgspec.json.decode(answer.body)
        return found
