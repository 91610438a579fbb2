"""What the cluster says of a Deployment and its pods, as far as a rollout needs it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from .change import GENERATION_LABEL
from .manifest import VERSION_LABEL

# Reasons for which a container waits that do not go away by waiting. (An image is pulled again and
# again, and may appear; so it is told, and left to the cluster's own progress deadline.)
_HOPELESS = frozenset(
    {"CrashLoopBackOff", "CreateContainerConfigError", "InvalidImageName", "RunContainerError"}
)


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """One pod.

    Attributes:
        name: the pod's, which is the replica's.
        version: of its label; "" without one.
        generation: of its label; "" without one.
        ready: whether it is in the EndpointSlices as ready.
        leaving: whether it was told to leave.
        restarts: how often its container was started again.
        waiting: why its container does not run, such as "ImagePullBackOff"; "" when it does.
        hopeless: whether that will not change by waiting.
        image: the container's.
        address: the pod's IP; "" before it has one.
    """

    name: str
    version: str = ""
    generation: str = ""
    ready: bool = False
    leaving: bool = False
    restarts: int = 0
    waiting: str = ""
    hopeless: bool = False
    image: str = ""
    address: str = ""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How far a Deployment has come.

    Attributes:
        current: whether the cluster has taken note of the latest change.
        wanted: pods that there are to be.
        updated: pods of the newest kind.
        available: pods that have been ready for long enough, of whatever kind.
        every: all pods, those that leave included.
        stuck: why the cluster has given up, or "".
        pods: each of them.
    """

    current: bool
    wanted: int
    updated: int = 0
    available: int = 0
    every: int = 0
    stuck: str = ""
    pods: tuple[Pod, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all pods are of the newest kind, and well."""
        return self.current and self.updated == self.every == self.available == self.wanted


def read_rollout(deployment: dict[str, Any], pods: dict[str, Any]) -> Rollout:
    """Read the API server's answers.

    Args:
        deployment: an ``apps/v1`` Deployment as decoded.
        pods: a ``v1`` PodList of its pods as decoded.
    """
    status = deployment.get("status", {})
    stuck = ""
    for condition in status.get("conditions", []):
        failed = condition.get("type") == "Progressing" and condition.get("status") == "False"
        if failed or (condition.get("type") == "ReplicaFailure" and condition["status"] == "True"):
            stuck = str(condition.get("message") or condition.get("reason"))
    return Rollout(
        current=status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
        wanted=deployment["spec"].get("replicas", 1),
        updated=status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        every=status.get("replicas", 0),
        stuck=stuck,
        pods=tuple(sorted(map(_pod, pods.get("items", [])), key=lambda pod: pod.name)),
    )


def _pod(item: dict[str, Any]) -> Pod:
    metadata, status = item["metadata"], item.get("status", {})
    labels = metadata.get("labels", {})
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    containers = status.get("containerStatuses", [])
    waiting = next(
        (
            str(each["state"]["waiting"].get("reason", ""))
            for each in containers
            if each.get("state", {}).get("waiting")
        ),
        "",
    )
    return Pod(
        name=metadata["name"],
        version=labels.get(VERSION_LABEL, ""),
        generation=labels.get(GENERATION_LABEL, ""),
        ready=conditions.get("Ready") == "True",
        leaving="deletionTimestamp" in metadata,
        restarts=sum(each.get("restartCount", 0) for each in containers),
        waiting="" if waiting == "ContainerCreating" else waiting,
        hopeless=waiting in _HOPELESS,
        image=next((each["image"] for each in item["spec"]["containers"]), ""),
        address=status.get("podIP", ""),
    )
