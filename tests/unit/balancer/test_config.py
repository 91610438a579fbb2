from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from balancer import ConfigError, ConfigFile, DispatchSettings, Settings, read_config
from balancer.discovery import RegistrySettings


class Deep(Settings, frozen=True, kw_only=True):
    dispatch: DispatchSettings = DispatchSettings()
    name: str = ""
    weights: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it
    maybe: DispatchSettings | None = None
    colour: Literal["", "red", "blue"] = ""


class Named(Settings, frozen=True, kw_only=True):
    contract: str
    replicas: int = 2


def refused(text: str, section: str = "client", kind: type[Settings] = Deep) -> str:
    with pytest.raises(ConfigError) as caught:
        ConfigFile(text).section(section, kind)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("the built-in configuration, line ")
    return message.removeprefix("the built-in configuration, ")


def test_an_empty_file_gives_the_defaults() -> None:
    assert ConfigFile().section("client", Deep) == Deep()
    assert ConfigFile().section("registry", RegistrySettings).url == "file:.mesh/leases"
    assert ConfigFile().table("services", Named) == {}
    assert ConfigFile().path is None
    assert ConfigFile().folder == Path.cwd()


def test_sections_are_decoded() -> None:
    file = ConfigFile('[client]\nname = "x"\n[client.dispatch.budget]\nratio = 0.5\n')
    deep = file.section("client", Deep)
    assert (deep.name, deep.dispatch.budget.ratio, deep.dispatch.attempts) == ("x", 0.5, 4)
    table = ConfigFile('[services.hello]\ncontract = "hello:Hello"\n').table("services", Named)
    assert table == {"hello": Named(contract="hello:Hello")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Unknown sections and keys, with a suggestion where there is a close one.
        ('[client]\nname=""\n\n[regsitry]\nurl=""', "line 4: unknown section [regsitry]; did you mean 'registry'?"),
        ("[zzz]", "line 1: unknown section [zzz]; known are: client, fleet, log, registry, "),
        ("# c\nreg = 1", "line 2: unknown section [reg]; "),
        ("[client]\nnam = 1", "line 2: unknown key 'nam' in [client]; did you mean 'name'?"),
        ("[client]\nqqq = 1", "line 2: unknown key 'qqq' in [client]; known are: colour, dispatch, maybe, name, weights"),
        (
            "[client]\nname=''\n[client.dispatch]\nattempts=1\natempts = 3",
            "line 5: unknown key 'atempts' in [client.dispatch]; did you mean 'attempts'?",
        ),
        ("[client]\n\ndispatch = {atempts = 3}", "line 3: unknown key 'atempts' in [client.dispatch]; "),
        ("[client]\n\ndispatch.atempts = 3", "line 3: unknown key 'atempts' in [client.dispatch]; "),
        ("[client]\n\ndispatch.budget.ratoi = 3", "line 3: unknown key 'ratoi' in [client.dispatch.budget]; "),
        ("[client]\n'nam' = 1", "line 2: unknown key 'nam' in [client]; "),
        ('[client]\n  "nam"   =   1', "line 2: unknown key 'nam' in [client]; "),
        ("[client.maybe]\natempts = 1", "line 2: unknown key 'atempts' in [client.maybe]; did you mean 'attempts'?"),
        # Wrong types.
        ("[client]\nname = 7", "line 2: client.name: Expected `str`, got `int`"),
        ("[client.dispatch]\nattempts = 2.5", "line 2: client.dispatch.attempts: Expected `int`, got `float`"),
        ("[client.weights]\nx = 1\ny = 'a'", "line 1: client.weights: Expected `int`, got `str`"),
        ("client = 3", "line 1: client: Expected `object`, got `int`"),
        ("[client]\ndispatch = 3", "line 2: client.dispatch: Expected `object`, got `int`"),
        ("[[client]]\nname = ''", "line 1: client: Expected `object`, got `array`"),
        # No such word.
        ("[client]\n\ncolour = 'ref'", "line 3: client.colour: there is no 'ref'; did you mean 'red'?"),
        ("[client]\ncolour = 'x'", "line 2: client.colour: there is no 'x'; known are: blue, red"),
        # Out of range.
        ("[client.dispatch]\nbackoff_s = 1\nattempts = 0", "line 3: client.dispatch: attempts must be at least 1"),
        (
            "[client.dispatch]\nattempts = 1\n[client.dispatch.budget]\nper_s = 1\nratio = 2",
            "line 5: client.dispatch.budget: ratio goes from 0 to 1",
        ),
        ("[client]\nname=''\n[client.dispatch.budget]\nratio = nan", "line 4: client.dispatch.budget: ratio goes"),
        ("[client]\n\ndispatch.budget = {ratio = -1}", "line 3: client.dispatch.budget: ratio goes"),
        ("[client]\n\ndispatch.budget.ratio = -1", "line 3: client.dispatch.budget: ratio goes"),
        # The same name elsewhere is somebody else's.
        ("[server]\nnam = 1\n[client]\nnam = 1", "line 4: unknown key 'nam' in [client]; "),
        # Not TOML.
        ("[client]\nname = \n", "line 2: not valid TOML: Invalid value"),
        ("[client]\nname = 'a'\nname = 'b'\n", "line 3: not valid TOML: Cannot overwrite a value"),
        ("\n\n[client", "line 3: not valid TOML: Expected ']' at the end of a table declaration"),
        ('[client]\nname = """\n\n', "line 3: not valid TOML: Unterminated string"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(text: str, message: str) -> None:
    told = refused(text)
    assert told.startswith(message), told


def test_a_missing_key_of_a_table_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"line 2: services.hello: .*missing required.*`contract`"
    ):
        ConfigFile("\n[services.hello]\nreplicas = 3").table("services", Named)


def test_a_table_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match=r"line 1: services must be a table"):
        ConfigFile("services = 3").table("services", Named)
    with pytest.raises(ConfigError, match=r"line 2: services.hello: Expected `object`, got `int`"):
        ConfigFile("[services]\nhello = 3").table("services", Named)


def test_a_file_is_read_and_named_in_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "mesh.toml"
    path.write_text("[client]\nname = 'ü'\n", encoding="utf-8")
    file = read_config(str(path))
    assert file.section("client", Deep).name == "ü"
    assert (file.path, file.folder) == (path, tmp_path.resolve())
    path.write_text("[cleint]\n")
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value) == f"{path}, line 1: unknown section [cleint]; did you mean 'client'?"


def test_no_file_is_the_embedded_defaults() -> None:
    assert read_config(None).section("client", Deep) == Deep()


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch.toml: cannot be read \(No such file"):
        read_config(tmp_path / "nosuch.toml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_config(tmp_path)
    path = tmp_path / "latin.toml"
    path.write_bytes("[client]\nname = 'ü'".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin.toml, line 2: is not UTF-8 text"):
        read_config(path)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "mesh.toml"
    path.write_bytes(b"\xef\xbb\xbf[client]\nname = 'x'")
    assert read_config(path).section("client", Deep).name == "x"
