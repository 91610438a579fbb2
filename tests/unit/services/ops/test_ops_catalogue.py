"""Which services are known, and what a misspelt one is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from balancer import ConfigError, ConfigFile
from clients.users import Users
from services.ops.catalogue import Catalogue, did_you_mean
from services.ops.faults import Misused

OWN = '[services.{name}]\ncontract = "{contract}"\nreplicas = 3\n'


def catalogue(tmp_path: Path, name: str, contract: str) -> Catalogue:
    text = OWN.format(name=name, contract=contract)
    return Catalogue(ConfigFile(text, tmp_path / "mesh.toml"))


def test_the_services_of_txmesh_are_known_without_a_configuration() -> None:
    known = Catalogue(ConfigFile())
    assert sorted(known.services) == ["greetings", "products", "users"]
    assert known.contract("users") is Users
    assert known.call("users", "list-contacts") is Users.list_contacts


def test_their_settings_come_from_the_configuration() -> None:
    known = Catalogue(ConfigFile("[services.users]\nreplicas = 5\n"))
    assert known.services["users"].replicas == 5
    assert known.contract("users") is Users


def test_an_own_service_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_things.py").write_text(
        "from clients.contract import Contract\nclass Things(Contract, name='things'): pass\n"
    )
    known = catalogue(tmp_path, "things", "own_things:Things")
    assert known.contract("things").service == "things"
    assert known.services["things"].replicas == 3


@pytest.mark.parametrize(
    ("name", "contract", "said"),
    [
        ("things", "clients.users", "is not module:Class"),
        ("things", "clients.nowhere:Things", "cannot be imported"),
        ("things", "clients.users:Nobody", "cannot be imported"),
        ("things", "clients.users:User", "is no subclass"),
        ("things", "clients.users:Users", r"calls itself 'users'; write \[services\.users\]"),
    ],
)
def test_a_contract_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, contract: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        catalogue(tmp_path, name, contract).contract(name)


def test_a_service_that_nobody_knows_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"\[services\.user\].*did you mean 'users'"):
        Catalogue(ConfigFile("[services.user]\nreplicas = 5\n"))


@pytest.mark.parametrize(
    ("service", "operation", "said"),
    [
        ("user", "fetch", "did you mean 'users'"),
        ("users", "fecth", "did you mean 'fetch'"),
        (None, None, "which service"),
        ("users", None, "which operation of users"),
    ],
)
def test_what_is_unknown_is_told_with_what_is_known(
    service: str | None, operation: str | None, said: str
) -> None:
    with pytest.raises(Misused, match=f"{said}.*known are: ") as caught:
        Catalogue(ConfigFile()).call(service, operation)
    assert "\n" not in str(caught.value)


def test_a_guess_is_made_only_where_one_is_near() -> None:
    assert did_you_mean("zzz", ["b", "a"]) == "known are: a, b"
    assert did_you_mean("x", []) == "known are: none"
