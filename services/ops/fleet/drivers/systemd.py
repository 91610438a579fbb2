"""Replicas as transient units of systemd, on this machine.

They are gone after a reboot: what is to be there then stands in unit files.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred

from services.kit.driver_settings import SystemdSettings

from ...code import find_code, module_path, twistd
from ...faults import Failed
from .interface import Build, Built, DriverError
from .names import checked_build, checked_replica, checked_service
from .program import Output, Run
from .shown import PROPERTIES, Unit, read_units
from .unit import LIMITS, runtime_folder, service_properties, unit_name

_TAIL_LINES = 20
# In the runtime folder, which the manager makes for each unit; see `unit`.
_MARK = "announced"


class SystemdDriver:
    """See the module, and `services.ops.fleet.drivers.interface.Driver`."""

    name = "systemd"

    def __init__(
        self,
        settings: SystemdSettings,
        *,
        config: Path | None,
        folder: Path,
        own: frozenset[str],
        runtime: Path,
        run: Run,
    ) -> None:
        """Take how units are made.

        Args:
            settings: whose manager, and what units get.
            config: the configuration of the replicas; None for the defaults.
            folder: what a build's code is relative to, and where the user's own services may lie.
            own: the names of the user's own services.
            runtime: the folder in which the manager makes those of its units.
            run: runs ``systemctl`` and the like.
        """
        self._settings = settings
        self._config = config.resolve() if config is not None else None
        self._folder = folder
        self._own = own
        self._runtime = runtime
        self._run = run

    def built(self, service: str) -> Deferred[list[Built]]:
        """See `Driver`; units that were written by hand are found too."""
        return ensureDeferred(self._built(service))

    def build(self, build: Build) -> Deferred[None]:
        """See `Driver`."""
        return ensureDeferred(self._build(build))

    def retire(self, replica: str) -> Deferred[None]:
        """See `Driver`.

        A unit is started again after a failure only, and a drain is none. One that fails while it
        drains is, and without its mark it stands by then.
        """
        return maybeDeferred(self._retire, replica)

    def remove(self, replica: str) -> Deferred[None]:
        """See `Driver`; fires when the unit is stopped."""
        return ensureDeferred(self._remove(replica))

    def tail(self, replica: str) -> Deferred[list[str]]:
        """See `Driver`; from the journal."""
        return ensureDeferred(self._tail(replica))

    def close(self) -> None:
        """See `Driver`; nothing is kept open."""

    async def _built(self, service: str) -> list[Built]:
        checked_service(service)
        return [unit.built for unit in await self._units() if unit.built.service == service]

    async def _build(self, build: Build) -> None:
        line = self._line(checked_build(build))
        if await self._find(build.replica) is not None:
            return
        output = await self._run(line, self._settings.answer_s)
        # Another may have built it in between.
        if output.status and await self._find(build.replica) is None:
            raise DriverError(f"systemd does not start {build.replica}: {_said(output)}")

    def _retire(self, replica: str) -> None:
        mark = self._runtime / runtime_folder(checked_replica(replica)) / _MARK
        try:
            mark.unlink(missing_ok=True)
        except OSError as error:
            raise DriverError(
                f"{mark} cannot be removed ({error.strerror}); run this as the user that runs "
                "systemctl"
            ) from None

    async def _remove(self, replica: str) -> None:
        unit = await self._find(checked_replica(replica))
        if unit is None:
            return
        stopped = await self._systemctl("stop", unit.name, within_s=self._settings.stop_s)
        # What has failed stays for people to see; it is known to nobody when it was unloaded.
        await self._systemctl("reset-failed", unit.name)
        left = await self._find(replica)
        if left is not None and left.built.state == "running":
            raise DriverError(f"systemd does not stop {unit.name}: {_said(stopped)}")

    async def _tail(self, replica: str) -> list[str]:
        unit = await self._find(checked_replica(replica))
        name = unit.name if unit is not None else unit_name(replica)
        which = "--unit" if self._settings.manager == "system" else "--user-unit"
        line = ["journalctl", f"{which}={name}", f"--lines={_TAIL_LINES}"]
        line += ["--output=cat", "--no-pager", "--quiet"]
        return (await self._run(line, self._settings.answer_s)).out.splitlines()

    async def _units(self) -> list[Unit]:
        output = await self._systemctl(
            "show", f"--property={','.join(PROPERTIES)}", "txmesh*.service"
        )
        if output.status:
            raise DriverError(f"systemd does not tell its units: {_said(output)}")
        return read_units(output.out)

    async def _find(self, replica: str) -> Unit | None:
        units = await self._units()
        return next((unit for unit in units if unit.built.replica == replica), None)

    def _systemctl(self, verb: str, *words: str, within_s: float = 0.0) -> Deferred[Output]:
        line = ["systemctl", self._manager, "--no-ask-password", verb, *words]
        return self._run(line, max(within_s, self._settings.answer_s))

    @property
    def _manager(self) -> str:
        return f"--{self._settings.manager}"

    def _line(self, build: Build) -> list[str]:
        """The ``systemd-run`` that builds a replica."""
        settings = self._settings
        properties = service_properties(
            build.replica,
            user=settings.user if settings.manager == "system" else "",
            writable=settings.writable,
        )
        environment, command = self.command(build)
        return [
            *("systemd-run", self._manager, "--no-ask-password", "--no-block", "--quiet"),
            f"--unit={unit_name(build.replica)}",
            f"--description=txmesh {build.service}, {build.replica}",
            *(f"--property={name}={value}" for name, value in {**LIMITS, **properties}.items()),
            *(f"--setenv={name}={text}" for name, text in environment.items()),
            "--",
            *command,
        ]

    def command(self, build: Build) -> tuple[dict[str, str], list[str]]:
        """The variables and the command of a replica's unit.

        Raises:
            DriverError: its code is not there.
        """
        try:
            code = find_code(self._folder, build.code, build.service)
        except Failed as error:
            raise DriverError(str(error)) from None
        # A manager starts with no path of ours.
        path = module_path(code, self._folder if build.service in self._own else None, {})
        reactor = ["--reactor=mesh"] if hasattr(select, "epoll") else []
        config = ["--config", str(self._config)] if self._config is not None else []
        words = [
            *twistd(code),
            *("-n", "--pidfile=", *reactor, f"mesh-{build.service}", *config),
            *("--name", build.replica, "--release", build.version, *self._settings.options),
        ]
        command = [
            *(word.replace("$", "$$") for word in words),
            "--standby",
            f"${{RUNTIME_DIRECTORY}}/{_MARK}",
        ]
        return ({"PYTHONPATH": path} if path is not None else {}), command


def _said(output: Output) -> str:
    lines: Sequence[str] = (output.err or output.out).strip().splitlines()
    return lines[-1] if lines else f"its program ended with status {output.status}"


def runtime_of(manager: str, environ: Mapping[str, str]) -> Path:
    """The folder in which a manager makes the runtime folders of its units.

    Args:
        manager: "system" or "user".
        environ: this process's variables.

    Raises:
        DriverError: this process belongs to no user's manager.
    """
    if manager == "system":
        return Path("/run")
    if not environ.get("XDG_RUNTIME_DIR"):
        raise DriverError(
            "there is no user's systemd here (XDG_RUNTIME_DIR is not set); log in as that user, or "
            'use manager = "system" in [fleet.systemd]'
        )
    return Path(environ["XDG_RUNTIME_DIR"])
