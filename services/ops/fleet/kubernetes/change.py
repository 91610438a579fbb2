"""What a replacement changes in a Deployment, and what it leaves there to be found again. Pure.

Only the image, the version and, when asked for, the number of pods: what else the manifests say
stays theirs. It is applied by the server under a manager of its own, so that whoever applies the
manifests later is told of the conflict, instead of going back to the old version unseen.

What was there before stands in an annotation until the replacement is done. It is written by the
same request that changes the pods: there is no moment at which one is there without the other.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .manifest import CONTAINER, VERSION_LABEL, Manifest

MANAGER = "txmesh-replace"
GENERATION_LABEL = "txmesh/generation"
REPLACING = "txmesh/replacing"


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What of a Deployment a replacement changes.

    Attributes:
        version: as the pods announce it.
        image: the container's.
        replicas: how many pods.
        generation: which replacement made it: another one replaces the pods also where nothing
            else has changed; "" for what was there first.
    """

    version: str
    image: str
    replicas: int
    generation: str = ""


class Replacing(msgspec.Struct, frozen=True, kw_only=True):
    """A replacement under way, as the annotation says it.

    Attributes:
        wanted: the new one.
        before: the old one.
        phase: "roll" to the new one, or "undo" back to the old one.
        why: why it is undone.
        failed: the pod whose trouble that was; "" for none.
    """

    wanted: Running
    before: Running
    phase: Literal["roll", "undo"] = "roll"
    why: str = ""
    failed: str = ""

    @property
    def target(self) -> Running:
        """What the pods are to be now."""
        return self.wanted if self.phase == "roll" else self.before


def read_running(deployment: dict[str, Any]) -> Running:
    """What a Deployment runs now."""
    spec = deployment["spec"]
    labels = spec["template"]["metadata"].get("labels", {})
    return Running(
        version=labels.get(VERSION_LABEL, ""),
        image=_container(deployment).get("image", ""),
        replicas=spec.get("replicas", 1),
        generation=labels.get(GENERATION_LABEL, ""),
    )


def read_replacing(deployment: dict[str, Any]) -> Replacing | None:
    """The replacement that is under way; None when none is.

    Raises:
        ValueError: the annotation is none of ours.
    """
    text = (deployment["metadata"].get("annotations") or {}).get(REPLACING)
    return None if text is None else msgspec.json.decode(text, type=Replacing)


def change(
    name: str, namespace: str, running: Running, replacing: Replacing | None = None
) -> Manifest:
    """The change, to be applied by the server.

    Args:
        name: the Deployment's.
        namespace: where it is.
        running: what it is to run.
        replacing: what to leave in the annotation; None when nothing is under way any more.
    """
    generation = {GENERATION_LABEL: running.generation} if running.generation else {}
    version = {VERSION_LABEL: running.version} if running.version else {}
    metadata: Manifest = {"name": name, "namespace": namespace, "labels": version}
    if replacing is not None:
        metadata["annotations"] = {REPLACING: msgspec.json.encode(replacing).decode("utf-8")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": running.replicas,
            "template": {
                "metadata": {"labels": {**version, **generation}},
                "spec": {"containers": [{"name": CONTAINER, "image": running.image}]},
            },
        },
    }


def danger(deployment: dict[str, Any]) -> str:
    """Why replacing a Deployment's pods would lose calls; "" when it would not."""
    spec = deployment["spec"]
    rolling = spec.get("strategy", {}).get("rollingUpdate", {})
    container = _container(deployment)
    if not container:
        return f"it has no container {CONTAINER!r}"
    if rolling.get("maxUnavailable") not in (0, "0%"):
        return "pods may leave before new ones are ready: set maxUnavailable to 0"
    if "readinessProbe" not in container:
        return "pods take calls before they are ready: it has no readinessProbe"
    if "preStop" not in container.get("lifecycle", {}):
        return "pods stop before callers know that they leave: it has no preStop"
    return ""


def _container(deployment: dict[str, Any]) -> dict[str, Any]:
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return next((each for each in containers if each["name"] == CONTAINER), {})
