"""The OpenAPI 3.1 document of a contract, from the same declarations that decode its requests."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from .call import Call
from .coding import body_type
from .contract import Contract
from .message import Message

_REF = "#/components/schemas/{name}"


class Problem(Message):
    """An error, as RFC 9457 application/problem+json."""

    type: str
    title: str
    status: int
    detail: str = ""


def openapi(contract: type[Contract], version: str) -> dict[str, Any]:
    """Describe a contract.

    Args:
        contract: what to describe.
        version: the version of the service that serves it.

    Returns:
        A JSON-ready OpenAPI 3.1.0 document.
    """
    kinds: dict[tuple[str, str], Any] = {("", "problem"): Problem}
    for call in contract.calls.values():
        kinds[call.name, ":answer"] = call.answer
        if call.has_body:
            kinds[call.name, ":body"] = body_type(call)
        for field in _parameters(call):
            kinds[call.name, field.name] = field.type
    listed, components = msgspec.json.schema_components(kinds.values(), ref_template=_REF)
    schemas = dict(zip(kinds, listed, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in contract.calls.values():
        paths.setdefault(call.path.text, {})[call.method.lower()] = _operation(call, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": contract.service,
            "version": version,
            "description": inspect.cleandoc(contract.__doc__ or ""),
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components},
    }


def _parameters(call: Call[Any, Any, Any]) -> list[msgspec.structs.FieldInfo]:
    names = (*call.path.fields, *call.query_fields)
    return [field for field in msgspec.structs.fields(call.request) if field.name in names]


def _operation(
    call: Call[Any, Any, Any],
    schemas: dict[tuple[str, str], dict[str, Any]],
) -> dict[str, Any]:
    parameters = [
        {
            "name": field.name,
            "in": "path" if field.name in call.path.fields else "query",
            "required": field.required or field.name in call.path.fields,
            "schema": schemas[call.name, field.name],
        }
        for field in _parameters(call)
    ]
    if call.keyed:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key gives the same effect and the same answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    operation: dict[str, Any] = {
        "operationId": call.name,
        "tags": [call.service],
        "parameters": parameters,
        "responses": {
            str(call.status): {
                "description": "The answer.",
                "content": {"application/json": {"schema": schemas[call.name, ":answer"]}},
            },
            "default": {
                "description": "A problem, and what to do about it.",
                "content": {"application/problem+json": {"schema": schemas["", "problem"]}},
            },
        },
        "x-mesh": {
            "idempotent": call.idempotent,
            "keyed": call.keyed,
            "deadline_s": call.deadline_s,
            "body_limit": call.body_limit,
            "priority": call.priority,
        },
    }
    if call.summary:
        operation["summary"] = call.summary
    if call.has_body:
        required = [f for f in msgspec.structs.fields(call.request) if f.required]
        operation["requestBody"] = {
            "required": any(field.name in call.body_fields for field in required),
            "content": {"application/json": {"schema": schemas[call.name, ":body"]}},
        }
    return operation
