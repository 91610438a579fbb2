"""A cluster's Deployment controller, as far as a rollout sees it: objects in, objects out.

Pods come and go by turns (`turn`), as the real controller would have them with ``maxUnavailable:
0``: an old one leaves only when there are enough without it. What a pod does is told by its image.
"""

from __future__ import annotations

import copy
from typing import Any

from services.ops.fleet.kubernetes.manifest import Deployed, deployment

# Images that do not work, and one that works until it is watched.
NEVER_READY, CRASHES, MISSING = "txmesh:never-ready", "txmesh:crashes", "txmesh:missing"
FAILS_LATER = "txmesh:fails-later"


class _Pod:
    def __init__(self, name: str, template: dict[str, Any]) -> None:
        self.name = name
        self.template = template
        self.age = 0
        self.restarts = 0
        self.leaving = 0

    @property
    def image(self) -> str:
        return str(self.template["spec"]["containers"][0]["image"])

    @property
    def ready(self) -> bool:
        broken = self.image in (NEVER_READY, CRASHES, MISSING)
        return self.age >= 2 and not broken and not self.restarts

    def turn(self) -> None:
        self.age += 1
        if self.leaving:
            self.leaving += 1
        crashing = self.image == CRASHES and self.age % 2 == 0
        if crashing or (self.image == FAILS_LATER and self.age == 5):
            self.restarts += 1

    def object(self) -> dict[str, Any]:
        waiting = {CRASHES: "CrashLoopBackOff", MISSING: "ImagePullBackOff"}.get(self.image)
        state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
        ready = "True" if self.ready and not self.leaving else "False"
        gone = {"deletionTimestamp": "2026-11-21T12:00:00Z"} if self.leaving else {}
        return {
            "metadata": {"name": self.name, "labels": self.template["metadata"]["labels"], **gone},
            "spec": self.template["spec"],
            "status": {
                "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": ready}],
                "containerStatuses": [{"restartCount": self.restarts, "state": state}],
            },
        }


class FakeCluster:
    """One Deployment in it, with its pods well at the beginning.

    Attributes:
        least: the fewest ready pods that there ever were.
    """

    def __init__(self, name: str = "users", replicas: int = 2) -> None:
        wanted = Deployed(service=name, version="1", image="txmesh:1", replicas=replicas)
        self._deployment: dict[str, Any] = deployment(wanted)
        self._deployment["metadata"]["generation"] = 1
        self._observed = 0
        self._made = 0
        self._pods: list[_Pod] = []
        for _ in range(4):
            self.turn()
        self.least = self.ready

    @property
    def ready(self) -> int:
        return sum(pod.ready and not pod.leaving for pod in self._pods)

    @property
    def images(self) -> list[str]:
        """Of the pods that stay."""
        return sorted(pod.image for pod in self._pods if not pod.leaving)

    def apply(self, manifest: dict[str, Any]) -> None:
        """What a server-side apply by one manager does, as far as replacement uses it."""
        live, before = self._deployment, copy.deepcopy(self._deployment["spec"])
        live["metadata"]["annotations"] = manifest["metadata"].get("annotations", {})
        live["metadata"]["labels"].update(manifest["metadata"]["labels"])
        live["spec"]["replicas"] = manifest["spec"]["replicas"]
        template, change = live["spec"]["template"], manifest["spec"]["template"]
        labels = {k: v for k, v in template["metadata"]["labels"].items() if "txmesh/" not in k}
        template["metadata"]["labels"] = {**labels, **change["metadata"]["labels"]}
        template["spec"]["containers"][0]["image"] = change["spec"]["containers"][0]["image"]
        if live["spec"] != before:
            live["metadata"]["generation"] += 1

    def turn(self) -> None:
        """Let the controller and the pods go on a little."""
        self._observed = self._deployment["metadata"]["generation"]
        spec = self._deployment["spec"]
        for pod in self._pods:
            pod.turn()
        self._pods = [pod for pod in self._pods if pod.leaving < 3]
        while len(self._current()) < spec["replicas"]:
            self._made += 1
            pod = _Pod(f"{spec['selector']['matchLabels']['app.kubernetes.io/name']}-{self._made}",
                       copy.deepcopy(spec["template"]))  # fmt: skip
            self._pods.append(pod)
        for pod in self._pods:
            superfluous = pod not in self._current() or len(self._current()) > spec["replicas"]
            if superfluous and not pod.leaving and (not pod.ready or self.ready > spec["replicas"]):
                pod.leaving = 1
        self.least = min(getattr(self, "least", spec["replicas"]), self.ready)

    def deployment(self) -> dict[str, Any]:
        """The object with its status."""
        live = copy.deepcopy(self._deployment)
        staying = [pod for pod in self._pods if not pod.leaving]
        live["status"] = {
            "observedGeneration": self._observed,
            "replicas": len(staying),
            "updatedReplicas": len(self._current()),
            "availableReplicas": self.ready,
        }
        return live

    def pods(self) -> dict[str, Any]:
        """The PodList."""
        return {"items": [pod.object() for pod in self._pods]}

    def _current(self) -> list[_Pod]:
        template = self._deployment["spec"]["template"]
        return [pod for pod in self._pods if pod.template == template and not pod.leaving]
