"""A call's request as HTTP, and back: the client's encoder and the server's decoder side by side.

The two are kept in one module because each is only right with respect to the other; a property
test sends random messages through both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic
from urllib.parse import parse_qsl, urlencode

import msgspec

from .call import Answer, Call, Request
from .flat import is_list
from .strict import holds_record, strict

_encode_json = msgspec.json.Encoder().encode


class BadRequest(Exception):
    """A request that is not what its call declares.

    Attributes:
        status: the HTTP status to answer with: 400 (not readable) or 422 (readable and wrong).
        type: the problem's short name.
        detail: what is wrong and where, for the person who wrote the caller.
    """

    def __init__(self, status: int, type: str, detail: str) -> None:  # noqa: A002
        """See the class for the arguments."""
        super().__init__(detail)
        self.status = status
        self.type = type
        self.detail = detail


class RequestEncoder(Generic[Request]):
    """Turns messages of one call into a target and a body."""

    __slots__ = ("_body_fields", "_fill", "_one_field", "_path_fields", "_query_fields")

    def __init__(self, call: Call[Any, Request, Any]) -> None:
        """Prepare for a call."""
        self._fill = call.path.fill
        self._path_fields = call.path.fields
        self._query_fields = call.query_fields
        self._body_fields = call.body_fields

    def encode(self, message: Request) -> tuple[bytes, bytes]:
        """Encode one message.

        Returns:
            The request target (path and query) and the body (empty when the call has none).

        Raises:
            ValueError: a value that cannot stand in the path, or a text that is no valid Unicode.
        """
        target = self._fill([_text(getattr(message, name)) for name in self._path_fields])
        if self._query_fields:
            pairs = _pairs(message, self._query_fields)
            if pairs:
                target = f"{target}?{urlencode(pairs)}"
        body = b""
        if self._body_fields:
            body = _encode_json({name: getattr(message, name) for name in self._body_fields})
        return target.encode("ascii"), body


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(msgspec.to_builtins(value))


def _pairs(message: msgspec.Struct, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """The query's pairs: a list gives one pair an item, None and absence are the same."""
    pairs = []
    for name in names:
        value = msgspec.to_builtins(getattr(message, name))
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool):
                pairs.append((name, "true" if item else "false"))
            elif item is not None:
                pairs.append((name, str(item)))
    return pairs


class RequestDecoder(Generic[Request]):
    """Turns a target's values and a body into a validated message of one call."""

    __slots__ = ("_body", "_check", "_lists", "_path", "_path_fields", "_query_fields", "_request")

    def __init__(self, call: Call[Any, Request, Any]) -> None:
        """Prepare for a call."""
        self._request = call.request
        self._path_fields = call.path.fields
        self._query_fields = frozenset(call.query_fields)
        self._lists = frozenset(
            field.name
            for field in msgspec.structs.fields(call.request)
            if field.name in call.query_fields and is_list(field.type)
        )
        body = body_type(call)
        self._body = msgspec.json.Decoder(body) if call.has_body else None
        # Read twice where records lie within: strictly to check them, and then as what the handler
        # expects, for a strict twin is not equal to its record.
        nested = any(holds_record(field.type) for field in msgspec.structs.fields(body))
        self._check = msgspec.json.Decoder(strict(body)) if nested else None
        self._path = _part(call.request, f"{call.request.__name__}Path", call.path.fields)

    def decode(self, values: list[str], query: bytes, body: bytes) -> Request:
        """Decode and validate one request.

        Args:
            values: the path's values, unquoted, in the template's order.
            query: the raw query string without "?"; empty when there is none.
            body: the raw body.

        Raises:
            BadRequest: what is wrong, and where.
        """
        fields: dict[str, Any] = dict(zip(self._path_fields, values, strict=True))
        try:
            if query:
                self._read_query(query, fields)
            if self._body is None:
                return msgspec.convert(fields, self._request, strict=False)
            return self._with_body(body, fields)
        except msgspec.ValidationError as error:
            raise BadRequest(422, "invalid-request", _where(str(error))) from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadRequest(
                400, "malformed-json", f"The body is not valid JSON: {error}"
            ) from None

    def _with_body(self, body: bytes, fields: dict[str, Any]) -> Request:
        assert self._body is not None
        if fields:
            # Path values are texts; the request's own types say what they must become.
            typed = msgspec.convert(fields, self._path, strict=False)
            fields = {name: getattr(typed, name) for name in self._path_fields}
        body = body or b"{}"
        if self._check is not None:
            self._check.decode(body)
        received = self._body.decode(body)
        for name in received.__struct_fields__:
            fields[name] = getattr(received, name)
        try:
            return self._request(**fields)
        except (TypeError, ValueError) as error:
            # A rule of the message's own __post_init__; where msgspec makes it, it says the same.
            raise msgspec.ValidationError(str(error)) from None

    def _read_query(self, query: bytes, fields: dict[str, Any]) -> None:
        try:
            pairs = parse_qsl(
                query.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=100,
            )
        except ValueError:
            raise BadRequest(
                400, "malformed-query", "The query string is not valid percent-encoded UTF-8."
            ) from None
        for name, value in pairs:
            if name not in self._query_fields:
                known = ", ".join(sorted(self._query_fields)) or "none"
                raise BadRequest(
                    422, "invalid-request", f"Unknown query field {name!r}; known are: {known}."
                )
            if name in self._lists:
                fields.setdefault(name, []).append(value)
            elif name in fields:
                raise BadRequest(422, "invalid-request", f"Query field {name!r} is given twice.")
            else:
                fields[name] = value


def _where(text: str) -> str:
    """Put the name of the field in front of msgspec's own words, instead of a JSON path."""
    what, separator, where = text.partition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if separator else text


def body_type(call: Call[Any, Any, Any]) -> type[msgspec.Struct]:
    """The part of a call's request that travels in the body, as a strict struct of its own."""
    return _part(call.request, f"{call.request.__name__}Body", call.body_fields)


def _part(
    request: type[msgspec.Struct], name: str, wanted: tuple[str, ...]
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for field in msgspec.structs.fields(request):
        if field.name not in wanted:
            continue
        if field.default_factory is not msgspec.NODEFAULT:
            factory: Callable[[], Any] = field.default_factory
            fields.append((field.name, field.type, msgspec.field(default_factory=factory)))
        elif field.default is not msgspec.NODEFAULT:
            fields.append((field.name, field.type, msgspec.field(default=field.default)))
        else:
            fields.append((field.name, field.type))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


class AnswerDecoder(Generic[Answer]):
    """Turns an answer's body into the call's answer message."""

    __slots__ = ("decode",)

    def __init__(self, call: Call[Any, Any, Answer]) -> None:
        """Prepare for a call."""
        self.decode: Callable[[bytes], Answer] = msgspec.json.Decoder(call.answer).decode
