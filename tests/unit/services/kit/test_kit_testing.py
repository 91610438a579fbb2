"""The in-process mesh raises what the real one would."""

from __future__ import annotations

import json

import pytest

from balancer import (
    CallError,
    ConnectFailed,
    DeadlineExceeded,
    Overloaded,
    Refused,
    Rejected,
    ServiceFailed,
)
from clients.users import FetchUser, User, Users
from services.kit import Problem, Service
from services.kit.testing import InProcessMesh

ID = "u_aaaaaaaaaaaaaaaa"


async def fails(error: Exception) -> CallError:
    """Have a handler raise something; what reaches its caller."""
    service = Service(Users)
    for call in Users.calls.values():

        @service.answers(call)
        async def handler(_: FetchUser) -> User:
            raise error

    mesh = InProcessMesh()
    mesh.serve(service, None)
    with pytest.raises(CallError) as caught:
        await mesh.client(Users).fetch(id=ID)
    return caught.value


@pytest.mark.parametrize(
    ("error", "kind", "status", "type_"),
    [
        (Problem(404, "not-found"), Rejected, 404, "not-found"),
        (Problem(409, "stale-version"), Rejected, 409, "stale-version"),
        (Problem(503, "storage-busy"), Overloaded, 503, "storage-busy"),
        (Problem(500, "odd"), ServiceFailed, 500, "odd"),
        (ConnectFailed("no", service="products"), Overloaded, 503, "dependency-failed"),
        (Rejected("no", status=404, service="products"), Overloaded, 503, "dependency-failed"),
    ],
)
async def test_a_problem_is_what_the_mesh_makes_of_it(
    error: Exception, kind: type[CallError], status: int, type_: str
) -> None:
    raised = await fails(error)
    assert isinstance(raised, Refused)
    assert type(raised) is kind
    assert (raised.status, raised.type) == (status, type_)
    assert raised.service == "users"


@pytest.mark.parametrize(
    "error",
    [Problem(504, "deadline-exceeded"), DeadlineExceeded("late", service="products", sent=True)],
)
async def test_a_deadline_is_a_deadline(error: Exception) -> None:
    raised = await fails(error)
    assert type(raised) is DeadlineExceeded
    assert raised.service == "users"


async def test_members_of_a_problem_are_in_the_body() -> None:
    raised = await fails(Problem(422, "invalid", detail="name is blank.", field="name"))
    assert isinstance(raised, Rejected)
    assert (raised.title, raised.detail) == ("Invalid", "name is blank.")
    assert json.loads(raised.body)["field"] == "name"


async def test_a_fault_comes_as_it_is() -> None:
    service = Service(Users)
    for call in Users.calls.values():

        @service.answers(call)
        async def handler(_: FetchUser) -> User:
            raise LookupError("a slip")

    mesh = InProcessMesh()
    mesh.serve(service, None)
    with pytest.raises(LookupError, match="a slip"):
        await mesh.client(Users).fetch(id=ID)
