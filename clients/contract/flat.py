"""What a path, a query string or a key can say: texts, without nesting and without null.

Checked when a call is declared, because each of these faults would show only with some values: a
None in a path arrives as the text "None", and an empty list in a query as the field's default.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

_SCALARS = (
    inspect.BoolType,
    inspect.BytesType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.DecimalType,
    inspect.EnumType,
    inspect.FloatType,
    inspect.IntType,
    inspect.LiteralType,
    inspect.StrType,
    inspect.TimeDeltaType,
    inspect.TimeType,
    inspect.UUIDType,
)


def check_in_path(field: msgspec.structs.FieldInfo) -> None:
    """Check that a field can stand in a path.

    Raises:
        ValueError: it can be None, or is no single value.
    """
    kinds = _kinds(field.type)
    if len(kinds) != 1 or not isinstance(kinds[0], _SCALARS):
        raise ValueError(f"{field.name} cannot stand in a path: it must be one plain value")


def check_in_query(field: msgspec.structs.FieldInfo) -> None:
    """Check that a field can travel in a query string.

    Raises:
        ValueError: it is neither a plain value nor a list of such, or leaving it out would not say
            None, or an empty list.
    """
    kinds = _kinds(field.type)
    kept = [kind for kind in kinds if not isinstance(kind, inspect.NoneType)]
    if len(kept) < len(kinds) and field.default is not None:
        raise ValueError(f"{field.name} is left out of the query to say None: default it to None")
    (kind, *others) = kept or kinds
    items = [kind]
    if isinstance(kind, inspect.CollectionType):
        items = _stripped(kind.item_type)
        if len(kept) < len(kinds) or not _defaults_to_empty(field):
            raise ValueError(
                f"{field.name} is left out of the query to say empty: default it to []"
            )
    if others or len(items) != 1 or not isinstance(items[0], _SCALARS):
        raise ValueError(
            f"{field.name} cannot travel in a query: it must be one plain value or a list of such"
        )


def check_as_key(field: msgspec.structs.FieldInfo) -> None:
    """Check that a field can decide where a call is sent.

    Raises:
        ValueError: it is neither a text nor a whole number, or can be None.
    """
    kinds = _kinds(field.type)
    if len(kinds) != 1 or not isinstance(kinds[0], (inspect.StrType, inspect.IntType)):
        raise ValueError(f"{field.name} cannot be an affinity: it must be one text or whole number")


def is_list(kind: Any) -> bool:
    """Whether a field's type is a list, or another collection, of values."""
    return any(isinstance(each, inspect.CollectionType) for each in _kinds(kind))


def _kinds(kind: Any) -> list[inspect.Type]:
    return _stripped(inspect.type_info(kind))


def _stripped(info: inspect.Type) -> list[inspect.Type]:
    """The types that a type allows, without what is said of them beyond the type."""
    if isinstance(info, inspect.Metadata):
        return _stripped(info.type)
    if isinstance(info, inspect.UnionType):
        return [kind for each in info.types for kind in _stripped(each)]
    return [info]


def _defaults_to_empty(field: msgspec.structs.FieldInfo) -> bool:
    if field.default_factory is not msgspec.NODEFAULT:
        return not field.default_factory()
    return field.default is not msgspec.NODEFAULT and not field.default
