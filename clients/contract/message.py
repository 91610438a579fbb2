"""What travels in a call: one immutable, keyword-only record a message.

A message is a msgspec struct, so that decoding, validation and the JSON schema come from the
same field annotations. Two settings differ from msgspec's own defaults, and both prevent a
failure that shows only in production: *frozen*, because an answer may be shared by everyone who
waits for it, and *keyword-only*, because positions would turn an inserted field into a silent
swap of values.
"""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec


class _MessageType(msgspec.StructMeta):
    """Makes every message frozen and keyword-only; msgspec does not inherit these settings."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> _MessageType:
        settings = {"frozen": True, "kw_only": True, **options}
        return super().__new__(cls, name, bases, namespace, **settings)


# Said again on the class, because mypy takes the nearest transform and msgspec's is on Struct.
# Not frozen_default: mypy refuses a frozen class under one that is not, and Struct is not.
@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Message(msgspec.Struct, metaclass=_MessageType):
    """The base of every request and answer.

    Fields are annotated with their types; constraints go into ``Annotated[..., msgspec.Meta()]``.
    A caller tolerates fields of an answer that it does not know, so that a service may add some; a
    service refuses fields of a request that it does not know, so that a misspelt one is not lost.
    """
