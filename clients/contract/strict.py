"""Types that refuse what they do not know, all the way down.

A service tells a caller of a misspelt field instead of losing it, in nested records too; the same
records in an answer are read leniently, so that a service may add to them. So a request is checked
with strict twins of its records: subclasses that differ in nothing else.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec


def strict(kind: Any) -> Any:
    """A field's type with every record in it made strict.

    Args:
        kind: any annotation that msgspec takes.

    Returns:
        The same annotation, where it holds no record.
    """
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _twin(kind)
    origin: Any = get_origin(kind)
    inner = get_args(kind)
    if origin is Annotated:
        return Annotated[(strict(inner[0]), *inner[1:])]
    if origin in (Union, types.UnionType):
        return Union[tuple(strict(part) for part in inner)]  # noqa: UP007 - made at run time
    if origin is None or not hasattr(origin, "__class_getitem__"):
        return kind
    made = tuple(part if part is Ellipsis else strict(part) for part in inner)
    return kind if made == inner else origin[made]


def holds_record(kind: Any) -> bool:
    """Whether a record stands anywhere in an annotation."""
    return bool(_records(kind))


@cache
def _twin(record: type[msgspec.Struct]) -> type[msgspec.Struct]:
    namespace: dict[str, Any] = {"__module__": record.__module__, "__annotations__": {}}
    for field in msgspec.structs.fields(record):
        # A record within itself keeps its lenient form there: a twin cannot name itself yet.
        inner = field.type if record in _records(field.type) else strict(field.type)
        if inner is field.type or inner == field.type:
            continue
        namespace["__annotations__"][field.name] = inner
        if field.default_factory is not msgspec.NODEFAULT:
            namespace[field.name] = msgspec.field(default_factory=field.default_factory)
        elif field.default is not msgspec.NODEFAULT:
            namespace[field.name] = field.default
    metaclass: Any = type(record)
    twin: type[msgspec.Struct] = metaclass(
        record.__name__, (record,), namespace, forbid_unknown_fields=True, kw_only=True
    )
    return twin


def _records(kind: Any) -> set[Any]:
    """The records that stand in an annotation."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {kind}
    return {record for part in get_args(kind) for record in _records(part)}
