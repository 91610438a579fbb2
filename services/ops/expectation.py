"""What a field of a message must be, in words for whoever types it."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

_WORDS: dict[type, str] = {
    inspect.AnyType: "anything",
    inspect.BoolType: "true or false",
    inspect.BytesType: "bytes in base64",
    inspect.DateTimeType: "a date and time with its offset, such as 2026-12-24T08:00:00+00:00",
    inspect.DateType: "a date, such as 2026-12-24",
    inspect.DecimalType: "a decimal number",
    inspect.DictType: "a JSON object",
    inspect.NoneType: "null",
    inspect.TimeType: "a time, such as 08:00:00",
    inspect.TimeDeltaType: "a duration, such as PT5M",
    inspect.UUIDType: "a UUID",
}


def members(kind: Any) -> list[Any]:
    """The types that a value may have: a union's members, without their metadata."""
    if isinstance(kind, inspect.Metadata):
        return members(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [member for part in kind.types for member in members(part)]
    return [kind]


def expectation(kind: Any) -> str:
    """Describe a type.

    Args:
        kind: from `msgspec.inspect.type_info`.

    Returns:
        Such as "a whole number from 1 to 100 (The most entries that a page may have.)".
    """
    notes = _notes(kind)
    words = " or ".join(
        _words(member) for member in members(kind) if not isinstance(member, inspect.NoneType)
    )
    if examples := notes.get("examples"):
        words += f", such as {examples[0]}"
    elif pattern := next(
        (m.pattern for m in members(kind) if isinstance(m, inspect.StrType)), None
    ):
        words += f" that matches {pattern}"
    description = notes.get("description")
    return f"{words} ({description})" if description else words


def _notes(kind: Any) -> dict[str, Any]:
    """The description and examples that the contract gives, wherever in the type they stand."""
    if isinstance(kind, inspect.Metadata):
        return {**_notes(kind.type), **(kind.extra_json_schema or {})}
    if isinstance(kind, inspect.UnionType):
        return {key: value for part in kind.types for key, value in _notes(part).items()}
    return {}


def _words(kind: Any) -> str:
    match kind:
        case inspect.StrType():
            words = _text(kind)
        case inspect.IntType():
            words = f"a whole number{_range(kind)}"
        case inspect.FloatType():
            words = f"a number{_range(kind)}"
        case inspect.LiteralType():
            words = f"one of {', '.join(map(str, kind.values))}"
        case inspect.EnumType():
            words = f"one of {', '.join(str(member.value) for member in kind.cls)}"
        case inspect.CollectionType():
            words = f"a JSON list, each item {expectation(kind.item_type)}"
        case inspect.StructType():
            fields = (f'"{field.encode_name}": ...' for field in kind.fields if field.required)
            words = f"a JSON object {{{', '.join(fields)}}}"
        case _:
            other = f"a value of type {type(kind).__name__.removesuffix('Type')}"
            words = _WORDS.get(type(kind), other)
    return words


def _text(kind: inspect.StrType) -> str:
    least, most = kind.min_length, kind.max_length
    if least is not None and most is not None:
        return f"a text of {least} to {most} characters"
    if most is not None:
        return f"a text of at most {most} characters"
    if least is not None:
        return f"a text of at least {least} characters"
    return "a text"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    bounds = [("above", kind.gt), ("at least", kind.ge), ("below", kind.lt), ("at most", kind.le)]
    said = [f"{word} {bound}" for word, bound in bounds if bound is not None]
    return f" {' and '.join(said)}" if said else ""
