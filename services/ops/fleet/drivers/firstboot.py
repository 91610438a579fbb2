"""What a new server is told for its first boot: a cloud-config that starts one replica. Pure."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from services.kit.driver_settings import CloudSettings

from .interface import Build, DriverError
from .unit import service_properties, unit_file, unit_name

_CONFIG = "/etc/txmesh/mesh.toml"
_HOST = "/etc/txmesh/host"
# Its first address is its own; written before the unit starts.
_FIND_HOST = f"echo MESH_HOST=$(hostname -I | cut -d' ' -f1) > {_HOST}"


def first_boot(build: Build, settings: CloudSettings, registry: str) -> str:
    """Write the user data.

    Args:
        build: the replica.
        settings: where its program and configuration are in the image.
        registry: the registry's URL.

    Raises:
        DriverError: the registry cannot be reached from a server, or its URL must not be shown to
            everybody who can read a server's user data.
    """
    unit = unit_name(build.replica)
    files = [{"path": f"/etc/systemd/system/{unit}", "content": _unit(build, settings)}]
    if not settings.config:
        files.append({"path": _CONFIG, "content": _config(registry)})
    document = {
        "write_files": files,
        "runcmd": [
            ["mkdir", "-p", "/etc/txmesh"],
            ["sh", "-c", _FIND_HOST],
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", unit],
        ],
    }
    # JSON is YAML.
    return f"#cloud-config\n{json.dumps(document, indent=1)}\n"


def _unit(build: Build, settings: CloudSettings) -> str:
    properties = service_properties(build.replica, user=settings.user, writable=())
    everywhere = "tcp:0:interface=0.0.0.0"
    line = [
        *(settings.twistd, "-n", "--pidfile=", "--reactor=mesh", f"mesh-{build.service}"),
        *("--config", settings.config or _CONFIG),
        *("--name", build.replica, "--release", build.version),
        *("--listen", everywhere, "--admin", everywhere, "--advertise", "${MESH_HOST}"),
        # Beside the state, where it is still after a reboot.
        *("--standby", "${STATE_DIRECTORY}/announced"),
    ]
    return unit_file(
        f"txmesh {build.service}, {build.replica}",
        {**properties, "EnvironmentFile": _HOST},
        line,
        {},
    )


def _config(registry: str) -> str:
    scheme = registry.partition(":")[0]
    if scheme in ("file", "static"):
        raise DriverError(
            f"replicas on servers of their own cannot enter themselves in a {scheme}: registry; "
            "use one that all machines reach, such as redis://HOST"
        )
    if urlsplit(registry).password:
        raise DriverError(
            "the registry's URL has a password, which does not belong into a server's user data; "
            "put a configuration into the image, and name it as config in [fleet.cloud]"
        )
    state = "/var/lib/txmesh"
    return (
        f"[registry]\nurl = {json.dumps(registry)}\nknown = {json.dumps(f'{state}/known')}\n"
        f"[storage]\nurl = {json.dumps(f'sqlite:{state}/data')}\n"
    )
