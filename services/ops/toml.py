"""Settings as TOML, each key under a comment that says what it means.

The comments are the settings' own docstrings: there is no second text that could say otherwise.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from balancer import Settings

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_ENTRY = re.compile(r"([a-z_]\w*): (.*)").fullmatch
_WIDTH = 100


def document(sections: Mapping[str, Settings | Mapping[str, Settings]]) -> str:
    """Write a configuration.

    Args:
        sections: the settings of each section, or a table of settings by the user's own names.

    Returns:
        TOML that reads back as the same settings.
    """
    blocks: list[list[str]] = []
    for name, section in sections.items():
        if isinstance(section, Settings):
            blocks += _blocks((name,), section, [])
        else:
            for key, settings in section.items():
                blocks += _blocks((name, key), settings, [])
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def meanings(kind: type[Settings]) -> dict[str, str]:
    """What each field means, from the "Attributes:" of the docstring."""
    found: dict[str, str] = {}
    name = ""
    _, _, attributes = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    for line in textwrap.dedent(attributes).splitlines():
        if entry := _ENTRY(line):
            name = entry[1]
            found[name] = entry[2]
        elif line.startswith(" "):
            found[name] += f" {line.strip()}"
        else:
            break
    return found


def _blocks(place: tuple[str, ...], settings: Settings, comment: list[str]) -> Iterator[list[str]]:
    """A table and, after it, the tables inside it: TOML would take a key after those for theirs."""
    header = ".".join(map(_key, place))
    summary = (inspect.getdoc(type(settings)) or "").partition("\n")[0]
    block = [*(comment or _comment(summary)), f"[{header}]"]
    said = meanings(type(settings))
    tables = []
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        about = _comment(said.get(field.name, ""))
        if isinstance(value, Settings):
            tables.append(((*place, field.encode_name), value, about))
        elif value is None:
            block += [*about, f"# {_key(field.encode_name)} is not set"]
        else:
            block += [*about, f"{_key(field.encode_name)} = {_value(value)}"]
    yield block
    for inner, value, about in tables:
        yield from _blocks(inner, value, about)


def _comment(text: str) -> list[str]:
    text = text.replace("``", "`")
    text = text[:1].upper() + text[1:]
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _key(name: str) -> str:
    return name if _BARE_KEY(name) else _value(name)


def _value(value: Any) -> str:
    """One value in TOML.

    Raises:
        TypeError: a kind of value that no settings have.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items())
        return f"{{{pairs}}}"
    raise TypeError(f"{type(value).__name__} has no form in TOML here")
