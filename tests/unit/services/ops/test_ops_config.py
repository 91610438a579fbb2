"""The effective configuration: it reads back as itself, and says what each key means."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from balancer import ConfigError, ConfigFile, Settings
from services.kit.settings import SECTION_KINDS, ServiceSettings, check_config
from services.ops.toml import document, meanings


def all_kinds(kinds: Iterator[Any]) -> Iterator[type[Settings]]:
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Settings):
            yield kind
            yield from all_kinds(field.type for field in msgspec.structs.fields(kind))


KINDS = list(all_kinds(iter([*SECTION_KINDS.values(), ServiceSettings])))


def effective(file: ConfigFile) -> dict[str, Any]:
    sections: dict[str, Any] = {n: file.section(n, kind) for n, kind in SECTION_KINDS.items()}
    return sections | {"services": file.table("services", ServiceSettings)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_key_has_its_meaning(kind: type[Settings]) -> None:
    assert list(meanings(kind)) == list(kind.__struct_fields__)
    assert all(meanings(kind).values())


def test_what_is_printed_reads_back_as_the_same_configuration() -> None:
    text = (
        '[registry]\nurl = "file:/a \\"b\\" \\u007f\\n"\n'
        "[client.pool]\nconnections = 7\nidle_s = 0.25\n"
        "[storage]\nsample_data = false\n"
        "[services.hello]\nreplicas = 0\n"
    )
    given = effective(ConfigFile(text))
    printed = document(given)
    assert effective(ConfigFile(printed)) == given
    assert document(effective(ConfigFile(printed))) == printed


def test_each_key_stands_under_its_comment() -> None:
    printed = document(effective(ConfigFile()))
    assert "# The most to one replica; further calls queue until their deadline." in printed
    lines = printed.splitlines()
    for number, line in enumerate(lines):
        if " = " in line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line
    assert max(map(len, lines)) <= 100


def test_defaults_are_all_there() -> None:
    read = tomllib.loads(document(effective(ConfigFile())))
    assert read["up"]["restart_first_s"] == 0.1
    assert read["client"]["dispatch"]["budget"]["ratio"] == 0.2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[up]\nredy_s = 3\n", "line 2: unknown key 'redy_s'.*did you mean 'ready_s'"),
        ("[up]\nready_s = 0\n", "ready_s must be above 0"),
        ("[server]\ndrain_s = 'x'\n", "server.drain_s"),
        ("[services.users]\nreplica = 3\n", "did you mean 'replicas'"),
        ("[storage]\nurl = 'mysql:x'\n", "only sqlite:FOLDER is known"),
    ],
)
def test_all_sections_are_checked(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_config(ConfigFile(text))
