"""From a name and a configuration to a driver."""

from __future__ import annotations

import sys

import pytest
from twisted.internet.task import Clock

from balancer import ConfigError, ConfigFile
from services.kit.settings import check_config
from services.ops.fleet.drivers import make_driver
from services.ops.fleet.drivers.interface import Driver, DriverError


def make(name: str, text: str = "") -> Driver:
    file = ConfigFile(text)
    check_config(file)
    return make_driver(name, file, reactor=None, clock=Clock())


CLOUD = """
[fleet.cloud]
provider = "dummy"
key_variable = "DUMMY_KEY"
secret_variable = ""
image = "Ubuntu 9.10"
size = "Small"
"""


def test_a_driver_is_made_by_its_name() -> None:
    assert make("local").name == "local"
    assert make("systemd").name == "systemd"


def test_an_unknown_driver_is_told() -> None:
    with pytest.raises(DriverError, match="no driver 'sytemd'; did you mean 'systemd'"):
        make("sytemd")


def test_a_cloud_that_is_not_configured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriverError, match=r"needs provider, image, size in \[fleet.cloud\]"):
        make("cloud")
    monkeypatch.delenv("DUMMY_KEY", raising=False)
    with pytest.raises(DriverError, match="needs DUMMY_KEY in the environment"):
        make("cloud", CLOUD)
    monkeypatch.setenv("DUMMY_KEY", "0")
    driver = make("cloud", CLOUD)
    assert driver.name == "cloud"
    driver.close()


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "services.ops.fleet.drivers.cloud", None)
    with pytest.raises(DriverError, match=r"pip install 'txmesh\[cloud\]'"):
        make("cloud", CLOUD)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[fleet]\ndriver = "docker"', "there is no 'docker'"),
        ("[fleet.systemd]\nstop_s = 0", "stop_s must be above 0"),
        ('[fleet.systemd]\nuser = ""', "user must be named"),
        ('[fleet.systemd]\nmanager = "root"', "there is no 'root'"),
        ("[fleet.cloud]\nbuild_s = -1", "build_s must be above 0"),
        ('[fleet.cloud]\nsecret = "x"', "unknown key 'secret'"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        make("local", text)
