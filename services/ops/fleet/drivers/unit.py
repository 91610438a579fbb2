"""How a replica runs under systemd: the properties of its unit, as data.

The unit files under ``deploy/systemd`` and the transient units of the driver have the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_UNSAFE = re.compile(rb"[^A-Za-z0-9:_.-]")

# A replica says itself when it serves, and how long its drain may take is its own setting; the
# manager only waits for longer.
RUNS: Mapping[str, str] = {
    "Type": "notify",
    "NotifyAccess": "main",
    # One that has left in good order ends with 0 and stays down.
    "Restart": "on-failure",
    "RestartSec": "1s",
    "TimeoutStartSec": "60s",
    "TimeoutStopSec": "45s",
    # It reports twice in this time; one whose reactor stands still does not.
    "WatchdogSec": "20s",
    # The replica itself tells its workers to drain.
    "KillMode": "mixed",
    "LimitNOFILE": "65536",
    "UMask": "0077",
}
# One that never gets up is given up after five tries.
LIMITS: Mapping[str, str] = {"StartLimitIntervalSec": "60s", "StartLimitBurst": "5"}
# What any manager can take away. MemoryDenyWriteExecute is left out: callbacks of C libraries
# (cffi) are written to memory that is then run.
CONFINED: Mapping[str, str] = {
    "NoNewPrivileges": "yes",
    "LockPersonality": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces": "yes",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "SystemCallArchitectures": "native",
    "SystemCallErrorNumber": "EPERM",
    "SystemCallFilter": "@system-service",
}
# What only the system's manager can: the system is read-only but for the state's own folder.
ISOLATED: Mapping[str, str] = {
    "AmbientCapabilities": "",
    "CapabilityBoundingSet": "",
    "PrivateDevices": "yes",
    "PrivateTmp": "yes",
    "ProcSubset": "pid",
    "ProtectClock": "yes",
    "ProtectControlGroups": "yes",
    "ProtectHome": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible",
    "ProtectSystem": "strict",
    "RemoveIPC": "yes",
    "StateDirectory": "txmesh",
    "StateDirectoryMode": "0750",
}


def unit_name(replica: str) -> str:
    """The unit of a replica: escaped as `systemd-escape` does, but that dashes stay readable.

    Args:
        replica: its name.
    """
    escaped = _UNSAFE.sub(lambda found: f"\\x{found[0][0]:02x}".encode(), replica.encode())
    return f"txmesh-{escaped.decode('ascii')}.service"


def runtime_folder(replica: str) -> str:
    """A unit's own folder among what is gone after a reboot; the mark of an announcement is in it.

    Args:
        replica: its name.
    """
    return f"txmesh/{replica}"


def service_properties(replica: str, *, user: str, writable: Sequence[str]) -> dict[str, str]:
    """The properties of a replica's service.

    Args:
        replica: its name; its runtime folder is called so.
        user: whom it runs as under the system's manager; "" under a user's own.
        writable: folders that it may write to beside the state's own.
    """
    properties = {
        **RUNS,
        **CONFINED,
        # Kept over a restart, gone after a stop.
        "RuntimeDirectory": runtime_folder(replica),
        "RuntimeDirectoryPreserve": "restart",
    }
    if user:
        properties |= {"User": user, **ISOLATED}
        if writable:
            properties["ReadWritePaths"] = " ".join(writable)
    return properties


def unit_file(
    description: str,
    properties: Mapping[str, str],
    line: Sequence[str],
    environment: Mapping[str, str],
) -> str:
    """A unit file of the same service, for those that are to be there after a reboot.

    Args:
        description: for people.
        properties: as `service_properties` gives them.
        line: the command, escaped for systemd's own variables.
        environment: variables that it gets.
    """
    lines = ["[Unit]", f"Description={description.replace('%', '%%')}"]
    lines += ["After=network-online.target", "Wants=network-online.target"]
    lines += [f"{name}={value}" for name, value in LIMITS.items()]
    lines += ["", "[Service]"]
    lines += [f"{name}={value}" for name, value in properties.items()]
    lines += [f"Environment={_quoted(f'{name}={text}')}" for name, text in environment.items()]
    lines.append(f"ExecStart={' '.join(map(_quoted, line))}")
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if " " in word or '"' in word else escaped
