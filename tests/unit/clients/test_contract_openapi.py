"""The OpenAPI documents of the three contracts, and what they promise of a call."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from clients.contract import Call, Contract, Message, openapi
from clients.greetings import Greetings
from clients.products import Products
from clients.users import Users

CONTRACTS = [Users, Products, Greetings]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.service)
def test_the_document_is_valid(contract: type[Contract]) -> None:
    document = openapi(contract, "1.2.3")
    validate(document)
    # What is served is JSON: nothing may be lost on the way.
    assert msgspec.json.decode(msgspec.json.encode(document)) == document
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == "1.2.3"


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.service)
def test_every_call_is_in_it(contract: type[Contract]) -> None:
    document = openapi(contract, "1")
    described = {
        (method, path): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert len(described) == len(contract.calls)
    for call in contract.calls.values():
        operation = described[call.method.lower(), call.path.text]
        assert operation["operationId"] == call.name
        assert operation["summary"] == call.summary
        assert str(call.status) in operation["responses"]
        assert operation["x-mesh"]["idempotent"] is call.idempotent
        assert operation["x-mesh"]["deadline_s"] == call.deadline_s
        named = {(each["name"], each["in"]) for each in operation["parameters"]}
        wanted = {(name, "path") for name in call.path.fields}
        wanted |= {(name, "query") for name in call.query_fields}
        wanted |= {("Idempotency-Key", "header")} if call.keyed else set()
        assert named == wanted
        assert ("requestBody" in operation) is call.has_body


def test_constraints_and_descriptions_reach_the_document() -> None:
    document = openapi(Users, "1")
    (identity,) = document["paths"]["/v1/users/{id}"]["get"]["parameters"]
    assert identity["required"] is True
    assert identity["schema"]["pattern"] == r"^u_[a-z2-7]{16}$(?!\n)"
    body = document["components"]["schemas"]["CreateUserBody"]
    assert body["additionalProperties"] is False
    assert body["required"] == ["name", "email", "site"]


class Nothing(Message):
    id: str


class Told(Message):
    text: str


class Small(Contract, name="small"):
    """Small."""

    poke = Call(Nothing, Told, post="/v1/{id}/poke")


def test_a_post_without_fields_needs_no_body() -> None:
    document: dict[str, Any] = openapi(Small, "1")
    validate(document)
    operation = document["paths"]["/v1/{id}/poke"]["post"]
    assert operation["requestBody"]["required"] is False
    assert "summary" not in operation
