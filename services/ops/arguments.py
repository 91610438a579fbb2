"""From ``key=value`` on a command line to a request's message, checked before anything is sent.

The contract's own types do the checking, as they will at the server: so the two cannot disagree,
and a slip of the keyboard costs no call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

from clients.contract import Call, Message, RequestEncoder

from .catalogue import did_you_mean
from .expectation import expectation, members
from .faults import Misused

_JSON_KINDS = (
    inspect.CollectionType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.StructType,
    inspect.DictType,
    inspect.AnyType,
)


def read_message(call: Call[Any, Any, Any], texts: Iterable[str]) -> Message:
    """Make a call's request out of a command line.

    Args:
        call: the operation.
        texts: each ``key=value``.

    Returns:
        The message, which is sure to be encodable.

    Raises:
        Misused: a field that is missing, unknown, given twice or of a wrong value; the
            message names it and says what it must be.
    """
    operation = f"{call.service}.{call.name}"
    fields = {field.encode_name: field for field in msgspec.structs.fields(call.request)}
    values: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise Misused(f"{operation}: {text!r} is not key=value, such as {_form(call)}")
        if name not in fields:
            hint = did_you_mean(name, fields)
            raise Misused(f"{operation} has no field {name!r}; {hint}")
        if name in values:
            raise Misused(f"{operation}: {name} is given twice")
        try:
            values[name] = read_value(fields[name].type, value)
        except ValueError as error:
            why = f"; {error}" if str(error) else ""
            raise Misused(
                f"{operation}: {name} cannot be {_short(value)!r}{why}; "
                f"it must be {_expected(fields[name])}"
            ) from None
    missing = [field for name, field in fields.items() if field.required and name not in values]
    if missing:
        needed = "; ".join(f"{field.encode_name}: {_expected(field)}" for field in missing)
        raise Misused(f"{operation} still needs {needed}")
    try:
        message: Message = msgspec.convert(values, call.request)
        RequestEncoder(call).encode(message)
    except ValueError as error:  # msgspec.ValidationError is one too
        raise Misused(f"{operation}: {error}") from None
    return message


def read_value(kind: Any, text: str) -> Any:
    """Make one field's value out of a text.

    Lists and objects are JSON; everything else is as in a URL.

    Args:
        kind: the field's type.
        text: as typed.

    Returns:
        The value, in the plain types that JSON has: what the message is converted from.

    Raises:
        ValueError: it does not fit; the text says why where the type alone would not.
    """
    kinds = members(inspect.type_info(kind))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("that is no valid UTF-8") from None
    as_text = any(isinstance(member, inspect.StrType) for member in kinds)
    as_json = any(isinstance(member, _JSON_KINDS) for member in kinds)
    if as_json and not (as_text and text.lstrip()[:1] not in ("[", "{")):
        return _read_json(kind, text)
    try:
        value = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        raise ValueError from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("JSON has no such number")
    return msgspec.to_builtins(value)


def _read_json(kind: Any, text: str) -> Any:
    try:
        return msgspec.to_builtins(msgspec.json.decode(text, type=kind))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("that is no valid JSON") from None


def _form(call: Call[Any, Any, Any]) -> str:
    fields = msgspec.structs.fields(call.request)
    names = [field.encode_name for field in fields if field.required] or ["key"]
    return " ".join(f"{name}=..." for name in names)


def _expected(field: msgspec.structs.FieldInfo) -> str:
    return expectation(inspect.type_info(field.type))


def _short(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."
