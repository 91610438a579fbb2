"""Configuration files: read once, decoded strictly, and every fault told with its line.

Each room has a frozen struct with its own settings beside the code that they feed; this module
turns one section of a TOML file into such a struct. A key that nobody knows is an error, because a
misspelt setting that is silently ignored is found in an outage.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

import msgspec

from .errors import ConfigError

Section = TypeVar("Section", bound=msgspec.Struct)

# Every section that any room reads: an unknown one is refused whoever opens the file.
SECTIONS = ("registry", "client", "server", "workers", "storage", "log", "services", "up", "fleet")

_LINE = re.compile(r"\A(.*) \(at (?:line (\d+), column \d+|end of document)\)\Z", re.DOTALL)
# Only as much of TOML as it takes to find the line of what the real parser has read.
_KEY = r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'"""
_HEADER = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]").match
_ASSIGNED = re.compile(rf"\s*((?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*)\s*=").match


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of a section: frozen, by keyword, no unknown key."""


class ConfigFile:
    """One parsed file.

    Attributes:
        path: where it was read from, or None for the embedded defaults.
        folder: what relative paths in it are relative to.
    """

    def __init__(self, text: str = "", path: Path | None = None) -> None:
        """Parse a file's text.

        Args:
            text: TOML.
            path: where it came from; None for the embedded defaults.

        Raises:
            ConfigError: no valid TOML, or an unknown section.
        """
        self.path = path
        self.folder = path.parent.resolve() if path else Path.cwd()
        self._text = text
        try:
            self._sections: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            parts = _LINE.match(str(error))
            line = int(parts[2]) if parts and parts[2] else len(text.splitlines())
            what = parts[1] if parts else str(error)
            raise self._error(line, f"not valid TOML: {what}") from None
        for name in self._sections:
            if name not in SECTIONS:
                line, _ = self._find((name,))
                raise self._error(line, f"unknown section [{name}]{_hint(name, SECTIONS)}")

    def section(self, name: str, kind: type[Section]) -> Section:
        """Decode one section.

        Args:
            name: one of `SECTIONS`.
            kind: the struct to make of it; its defaults stand in for what is absent.

        Raises:
            ConfigError: an unknown key, a wrong type or a value out of range; with its line.
        """
        return self._decode((name,), self._sections.get(name, {}), kind)

    def table(self, name: str, kind: type[Section]) -> dict[str, Section]:
        """Decode a section whose keys are names of the user's own, such as ``[services.hello]``.

        Args:
            name: one of `SECTIONS`.
            kind: the struct to make of each value.

        Raises:
            ConfigError: as `section`.
        """
        values = self._sections.get(name, {})
        if not isinstance(values, dict):
            raise self._error(self._find((name,))[0], f"{name} must be a table")
        return {key: self._decode((name, key), value, kind) for key, value in values.items()}

    def _decode(self, place: tuple[str, ...], value: Any, kind: type[Section]) -> Section:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$")
            inner = re.findall(r"\.([A-Za-z0-9_-]+)", where.rstrip("`"))
            keys = (*place, *inner)
            if found := re.match(r"Object contains unknown field `(.*)`", what):
                line, _ = self._find((*keys, found[1]))
                known = [field.encode_name for field in msgspec.structs.fields(_at(kind, inner))]
                text = f"unknown key {found[1]!r} in [{'.'.join(keys)}]{_hint(found[1], known)}"
            elif found := re.match(r"Invalid enum value '(.*)'", what):
                line, _ = self._find(keys)
                known = [word for word in get_args(_at(kind, inner)) if word]
                text = f"{'.'.join(keys)}: there is no {found[1]!r}{_hint(found[1], known)}"
            else:
                # A range is checked by the whole section, and names its key in words.
                words = [self._find((*keys, word)) for word in re.findall(r"[a-z_]+", what)]
                line, _ = max([self._find(keys), *words], key=lambda found: found[1])
                text = f"{'.'.join(keys)}: {what}"
            raise self._error(line, text) from None

    def _error(self, line: int, text: str) -> ConfigError:
        where = self.path if self.path is not None else "the built-in configuration"
        return ConfigError(f"{where}, line {line}: {text}")

    def _find(self, keys: tuple[str, ...]) -> tuple[int, int]:
        """The line on which a key is set, or as much of the way to it as is written.

        Args:
            keys: the way from the top, such as ("client", "dispatch", "attempts").

        Returns:
            The line's number, and how many of the keys it goes along with; (1, 0) when none.
        """
        inside: tuple[str, ...] = ()
        found, depth = 1, 0
        for number, line in enumerate(self._text.splitlines(), 1):
            if header := _HEADER(line):
                way = inside = _split(header[1])
            elif assigned := _ASSIGNED(line):
                way = (*inside, *_split(assigned[1]))
            else:
                continue
            if way[: len(keys)] == keys:
                return number, len(keys)
            # What is not on a line of its own stands in an inline table on this one.
            if len(way) > depth and keys[: len(way)] == way:
                found, depth = number, len(way)
        return found, depth


def _split(keys: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, keys))


def _at(kind: Any, keys: list[str]) -> Any:
    """The struct type found by following field names, or map values, from a struct type."""
    for key in (*keys, None):
        if isinstance(kind, UnionType):
            kind = next(each for each in kind.__args__ if each is not NoneType)
        if key is None:
            break
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
            kind = fields[key]
        else:
            kind = kind.__args__[1]
    return kind


def _hint(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are: {', '.join(sorted(known))}"


def read_config(path: str | Path | None) -> ConfigFile:
    """Read a configuration file.

    Args:
        path: the file, or None for the embedded defaults.

    Raises:
        ConfigError: the file cannot be read or is not valid.
    """
    if path is None:
        return ConfigFile()
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give another file with --config"
        ) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not UTF-8 text") from None
    return ConfigFile(text, path)
