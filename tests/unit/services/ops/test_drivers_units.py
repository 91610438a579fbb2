"""Units of systemd: their names and properties, and what systemd says of them, read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed

from services.kit.driver_settings import SystemdSettings
from services.ops.fleet.drivers.interface import Build, Built, DriverError
from services.ops.fleet.drivers.names import checked_build
from services.ops.fleet.drivers.program import Output
from services.ops.fleet.drivers.shown import Unit, read_units
from services.ops.fleet.drivers.systemd import SystemdDriver, runtime_of
from services.ops.fleet.drivers.unit import service_properties, unit_file, unit_name
from tests.deferreds import now

# As systemd 252 shows three units: one that runs, one that was written by hand and has failed after
# it had run, and one that never became ready.
SHOWN = """\
ExecMainCode=0
ExecMainStatus=0
ExecStart={ path=/v/bin/python ; argv[]=/v/bin/python /v/bin/twistd -n --pidfile= mesh-users \
--name users-2.k3f-1 --release 2 --standby ${RUNTIME_DIRECTORY}/announced ; ignore_errors=no ; \
start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Result=success
Id=txmesh-users-2.k3f-1.service
ActiveState=active
SubState=running
ActiveEnterTimestampMonotonic=123456

ExecMainCode=2
ExecMainStatus=9
ExecStart={ path=/v/bin/twistd ; argv[]=/v/bin/twistd -n mesh-users --name=users-1 ; \
ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Result=signal
Id=txmesh-users@1.service
ActiveState=failed
SubState=failed
ActiveEnterTimestampMonotonic=123456

ExecMainCode=1
ExecMainStatus=1
ExecStart={ path=/v/bin/twistd ; argv[]=/v/bin/twistd -n mesh-products --name "products-3" \
--release 3 ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) }
Result=exit-code
Id=txmesh-products-3.service
ActiveState=failed
SubState=failed
ActiveEnterTimestampMonotonic=0

ExecStart={ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no ; start_time=[n/a] }
Id=txmesh-backup.service
ActiveState=active

ExecStart={ path=/v/bin/twistd ; argv[]=/v/bin/twistd mesh-users --name users-0 ; ignore_errors=no }
Id=txmesh-users-0.service
ActiveState=inactive
"""


def test_units_are_read_by_their_own_command_lines() -> None:
    assert read_units(SHOWN) == [
        Unit(
            "txmesh-users-2.k3f-1.service",
            Built(replica="users-2.k3f-1", service="users", version="2"),
        ),
        Unit(
            "txmesh-users@1.service",
            Built(
                replica="users-1",
                service="users",
                version="1",
                state="ended",
                why="was killed by signal 9 (signal, says systemd)",
            ),
        ),
        Unit(
            "txmesh-products-3.service",
            Built(
                replica="products-3",
                service="products",
                version="3",
                state="failed",
                why="ended with status 1 (exit-code, says systemd)",
            ),
        ),
    ]
    assert read_units("") == []


@given(st.text(max_size=200))
def test_whatever_is_shown_is_no_fault(text: str) -> None:
    assert read_units(text) == []


def test_names_of_units_say_their_replica_and_nothing_else() -> None:
    assert unit_name("users-2.k3f-1") == "txmesh-users-2.k3f-1.service"
    assert unit_name("a b/c%i\\é") == "txmesh-a\\x20b\\x2fc\\x25i\\x5c\\xc3\\xa9.service"


@given(st.text(), st.text())
def test_two_replicas_have_two_units(one: str, other: str) -> None:
    assert (unit_name(one) == unit_name(other)) == (one == other)


def test_a_users_own_manager_gets_what_it_can_do() -> None:
    properties = service_properties("users-1", user="", writable=("/data",))
    assert not {"User", "ProtectSystem", "ReadWritePaths"} & set(properties)
    assert properties["NoNewPrivileges"] == "yes"
    system = service_properties("users-1", user="mesh", writable=("/data", "/more"))
    assert system["User"] == "mesh"
    assert system["ReadWritePaths"] == "/data /more"
    assert system["ProtectSystem"] == "strict"


def test_a_unit_file_keeps_what_systemd_would_replace() -> None:
    text = unit_file("50 %", {"Type": "notify"}, ["/a b/%i", 'say "x"', "${HOST}"], {"A": "1 2"})
    assert "Description=50 %%\n" in text
    assert 'ExecStart="/a b/%%i" "say \\"x\\"" ${HOST}\n' in text
    assert 'Environment="A=1 2"\n' in text


class Systemd:
    """Answers in the place of systemd's programs.

    Attributes:
        lines: what was run.
        outputs: what comes of each program or verb.
    """

    def __init__(self, **outputs: Output) -> None:
        self.lines: list[list[str]] = []
        self.outputs = outputs

    def __call__(self, line: list[str], within_s: float) -> Deferred[Output]:
        self.lines.append(line)
        verb = next((word for word in line[1:] if not word.startswith("-")), "")
        kind = verb if line[0] == "systemctl" else line[0].removeprefix("systemd-")
        return succeed(self.outputs.get(kind.replace("-", "_"), Output(0, "", "")))

    def driver(self, folder: Path, **settings: object) -> SystemdDriver:
        return SystemdDriver(
            SystemdSettings(**settings),  # type: ignore[arg-type]
            config=folder / "mesh.toml",
            folder=folder,
            own=frozenset({"hello"}),
            runtime=folder / "run",
            run=self,  # type: ignore[arg-type]
        )


BUILD = Build(service="hello", replica="hello-2.k-1", version="2")


def test_a_build_is_one_systemd_run(tmp_path: Path) -> None:
    systemd = Systemd()
    dollars = tmp_path / "$HOME"
    (dollars / "hello").mkdir(parents=True)
    driver = systemd.driver(tmp_path, options=("--listen", "tcp:0:interface=10.0.0.7"))
    now(driver.build(Build(service="hello", replica="hello-2.k-1", version="2", code="$HOME")))
    line = systemd.lines[-1]
    given, command = line[: line.index("--")], line[line.index("--") + 1 :]
    assert given[:2] == ["systemd-run", "--system"]
    assert {"--no-block", "--unit=txmesh-hello-2.k-1.service"} < set(given)
    assert {"--property=Type=notify", "--property=User=txmesh"} < set(given)
    assert f"--setenv=PYTHONPATH={dollars}:{tmp_path}" in given
    assert command[0] == sys.executable
    for words in (
        ["mesh-hello", "--config", str(tmp_path / "mesh.toml"), "--name", "hello-2.k-1"],
        ["--release", "2", "--listen", "tcp:0:interface=10.0.0.7"],
        ["--standby", "${RUNTIME_DIRECTORY}/announced"],
    ):
        begin = command.index(words[0])
        assert command[begin : begin + len(words)] == words
    _, own = driver.command(Build(service="users", replica="u", version="$1"))
    assert own[own.index("--release") + 1] == "$$1"


def test_a_users_own_manager_is_asked_for(tmp_path: Path) -> None:
    systemd = Systemd()
    driver = systemd.driver(tmp_path, manager="user")
    now(driver.build(BUILD))
    now(driver.tail("hello-2.k-1"))
    assert all("--user" in line for line in systemd.lines if line[0] != "journalctl")
    assert "--user-unit=txmesh-hello-2.k-1.service" in systemd.lines[-1]


def test_what_systemd_refuses_is_told(tmp_path: Path) -> None:
    systemd = Systemd(run=Output(1, "", "Failed to start transient service unit: Access denied\n"))
    with pytest.raises(
        DriverError, match=r"does not start hello-2.k-1: Failed to start.*Access denied"
    ):
        now(systemd.driver(tmp_path).build(BUILD))
    silent = Systemd(run=Output(1, "", ""))
    with pytest.raises(DriverError, match="its program ended with status 1"):
        now(silent.driver(tmp_path).build(BUILD))


def test_one_that_is_there_is_not_built_again(tmp_path: Path) -> None:
    systemd = Systemd(show=Output(0, SHOWN, ""))
    driver = systemd.driver(tmp_path)
    now(driver.build(Build(service="users", replica="users-1", version="1")))
    assert [line[0] for line in systemd.lines] == ["systemctl"]


def test_a_unit_that_was_written_by_hand_is_stopped_by_its_own_name(tmp_path: Path) -> None:
    systemd = Systemd(show=Output(0, SHOWN, ""))
    driver = systemd.driver(tmp_path)
    now(driver.remove("users-1"))
    assert [line[3:] for line in systemd.lines[1:3]] == [
        ["stop", "txmesh-users@1.service"],
        ["reset-failed", "txmesh-users@1.service"],
    ]
    with pytest.raises(DriverError, match=r"does not stop txmesh-users-2\.k3f-1\.service"):
        now(driver.remove("users-2.k3f-1"))


def test_one_that_is_retired_would_stand_by_if_it_were_started_again(tmp_path: Path) -> None:
    driver = Systemd().driver(tmp_path)
    now(driver.retire("users-1"))
    mark = tmp_path / "run" / "txmesh" / "users-1" / "announced"
    mark.parent.mkdir(parents=True)
    mark.touch()
    now(driver.retire("users-1"))
    assert not mark.exists()
    mark.mkdir()
    with pytest.raises(DriverError, match="announced cannot be removed"):
        now(driver.retire("users-1"))


def test_a_users_own_manager_has_its_own_folder() -> None:
    assert runtime_of("system", {}) == Path("/run")
    assert runtime_of("user", {"XDG_RUNTIME_DIR": "/run/user/7"}) == Path("/run/user/7")
    with pytest.raises(DriverError, match="XDG_RUNTIME_DIR is not set"):
        runtime_of("user", {})


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("service", "-u"),
        ("service", "Users"),
        ("replica", "../x"),
        ("replica", ""),
        ("version", "a b"),
    ],
)
def test_names_that_could_be_something_else_are_refused(field: str, text: str) -> None:
    fields = {"service": "users", "replica": "users-2", "version": "2", field: text}
    with pytest.raises(DriverError, match=field):
        checked_build(Build(**fields))
