"""What a service is in a cluster: a Deployment that loses no call when it changes. Pure.

The cluster replaces pods by itself; what it is told here makes that harmless:

- No pod leaves before a new one is ready (``maxUnavailable: 0``), and a pod does not count before
  it has stayed ready for a while (``minReadySeconds``): one that dies under its first calls stops
  the rollout.
- Ready is what the replica itself says on ``/health/ready``, asked every second.
- A pod that is told to leave goes on serving while that news travels (``preStop``): it is marked as
  terminating at once, but callers learn of it through the API server, and a frozen one learns late.
  Then SIGTERM, and the replica drains. The grace period covers both and some more, so that the
  cluster never kills what still finishes.
- A pod runs as nobody, without privileges, on a file system that it cannot write.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION_LABEL = "txmesh/version"
CONTAINER = "replica"
SERVICE_PORT = 8001
ADMIN_PORT = 9001

# How long the news of a leaving pod may take (seconds): an EndpointSlice follows within one or two,
# and a caller that relists within three more.
NOTICE_S = 5
# A new pod must stay ready so long before the next old one leaves (seconds).
SETTLE_S = 5
# A rollout that gets no pod ready in this time has failed (seconds); three times what a slow node
# takes to pull an image of this size.
PROGRESS_S = 180
# Beyond the notice and the drain (seconds): for the state to be closed.
SPARE_S = 10

Manifest = dict[str, Any]


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run.

    Attributes:
        service: the service's name.
        version: as its replicas announce it.
        image: the container image.
        replicas: how many pods.
        namespace: where.
        drain_s: how long a replica may take to finish what it has, as ``[server] drain_s`` says.
    """

    service: str
    version: str
    image: str
    replicas: int = 2
    namespace: str = "txmesh"
    drain_s: float = 30.0


def deployment(wanted: Deployed) -> Manifest:
    """The Deployment of a service: all that is ours of it, to be applied by the server."""
    labels = _labels(wanted.service)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": wanted.service,
            "namespace": wanted.namespace,
            "labels": {**labels, VERSION_LABEL: wanted.version},
        },
        "spec": {
            "replicas": wanted.replicas,
            "minReadySeconds": SETTLE_S,
            "progressDeadlineSeconds": PROGRESS_S,
            "revisionHistoryLimit": 5,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "100%"},
            },
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, VERSION_LABEL: wanted.version}},
                "spec": _pod(wanted),
            },
        },
    }


def service(wanted: Deployed) -> Manifest:
    """The Service: its EndpointSlices tell callers which pods there are."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": wanted.service,
            "namespace": wanted.namespace,
            "labels": _labels(wanted.service),
        },
        "spec": {
            # No address of its own: callers balance over the pods themselves.
            "clusterIP": "None",
            "selector": _labels(wanted.service),
            "ports": [
                {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"},
                {"name": "admin", "port": ADMIN_PORT, "targetPort": "admin", "protocol": "TCP"},
            ],
        },
    }


def volume_claim(wanted: Deployed) -> Manifest:
    """The service's records: one volume, which one node at a time can mount."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": f"{wanted.service}-data",
            "namespace": wanted.namespace,
            "labels": _labels(wanted.service),
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }


def disruption_budget(wanted: Deployed) -> Manifest:
    """What a drained node may take: one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": wanted.service,
            "namespace": wanted.namespace,
            "labels": _labels(wanted.service),
        },
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(wanted.service)}},
    }


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "txmesh"}


def _pod(wanted: Deployed) -> Manifest:
    return {
        "serviceAccountName": "txmesh",
        "terminationGracePeriodSeconds": NOTICE_S + int(wanted.drain_s) + SPARE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65_534,
            "runAsGroup": 65_534,
            "fsGroup": 65_534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted)],
        "volumes": [
            {"name": "configuration", "configMap": {"name": "txmesh"}},
            {"name": "state", "persistentVolumeClaim": {"claimName": f"{wanted.service}-data"}},
        ],
    }


def _container(wanted: Deployed) -> Manifest:
    return {
        "name": CONTAINER,
        "image": wanted.image,
        "args": _command_line(wanted),
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {
                "name": "VERSION",
                "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{VERSION_LABEL}']"}},
            },
        ],
        "ports": [
            {"name": "http", "containerPort": SERVICE_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {**_asked("/health/live"), "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**_asked("/health/ready"), "periodSeconds": 1, "failureThreshold": 2},
        # Ten seconds without a turn of the reactor: it hangs, and only a new process helps.
        "livenessProbe": {**_asked("/health/live"), "periodSeconds": 2, "failureThreshold": 5},
        "lifecycle": {"preStop": {"sleep": {"seconds": NOTICE_S}}},
        "resources": {
            "requests": {"cpu": "250m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/txmesh", "readOnly": True},
            {"name": "state", "mountPath": "/var/lib/txmesh"},
        ],
    }


def _command_line(wanted: Deployed) -> list[str]:
    return [
        *("-n", "--pidfile=", "--reactor=mesh", f"mesh-{wanted.service}"),
        *("--config", "/etc/txmesh/mesh.toml", "--name", "$(POD_NAME)"),
        *("--listen", f"tcp:{SERVICE_PORT}:interface=0.0.0.0"),
        *("--admin", f"tcp:{ADMIN_PORT}:interface=0.0.0.0"),
        *("--advertise", "$(POD_IP)", "--release", "$(VERSION)"),
    ]


def _asked(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "admin"}, "timeoutSeconds": 1}
