"""The doubles that are shipped: as strict as what they stand in for."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed

from balancer import DeadlineExceeded, Rejected
from clients.testing import StubMesh
from clients.users import Erased, EraseUser, FetchUser, Users

ID = "u_aaaaaaaaaaaaaaaa"


def result(deferred: Deferred[Any]) -> Any:
    seen: list[Any] = []
    deferred.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    (only,) = seen
    return only


def test_a_function_answers() -> None:
    mesh = StubMesh()

    @mesh.answers(Users.erase)
    def erase(request: EraseUser) -> Erased:
        return Erased(id=request.id)

    users = mesh.client(Users)
    assert result(users.erase(id=ID)) == Erased(id=ID)
    assert result(users.erase.options(deadline_s=0.1)(id=ID)) == Erased(id=ID)
    assert [made.message for made in mesh.made] == [EraseUser(id=ID)] * 2
    assert [made.call for made in mesh.made] == [Users.erase] * 2
    assert mesh.made[0].options is None
    assert mesh.made[1].options is not None
    assert repr(mesh.made[0]).startswith("<Made users.erase EraseUser(")


def test_a_coroutine_or_a_deferred_answers() -> None:
    mesh = StubMesh()
    users = mesh.client(Users)

    @mesh.answers(Users.erase)
    async def later(request: EraseUser) -> Erased:
        return await succeed(Erased(id=request.id))

    assert result(users.erase(id=ID)) == Erased(id=ID)
    mesh.answers(Users.erase)(lambda request: succeed(Erased(id="x")))
    assert result(users.erase(id=ID)) == Erased(id="x")


def test_a_call_is_rejected_or_fails() -> None:
    mesh = StubMesh()
    users = mesh.client(Users)
    mesh.rejects(Users.fetch, 404, "not-found", "There is none.")
    error = result(users.fetch(id=ID))
    assert isinstance(error, Rejected)
    assert (error.status, error.type, error.detail) == (404, "not-found", "There is none.")
    mesh.fails(Users.fetch, lambda: DeadlineExceeded("too late"))
    errors = [result(users.fetch(id=ID)) for _ in range(2)]
    assert [error.kind for error in errors] == ["deadline"] * 2
    assert errors[0] is not errors[1]


def test_what_the_service_would_refuse_is_refused() -> None:
    mesh = StubMesh()
    mesh.answers(Users.fetch)(lambda request: pytest.fail("it was asked"))
    error = result(mesh.client(Users).fetch(id="nonsense"))
    assert isinstance(error, Rejected)
    assert error.status == 422
    assert "id: " in error.detail
    assert [made.message for made in mesh.made] == [FetchUser(id="nonsense")]


def test_what_the_mesh_would_not_send_is_not_taken() -> None:
    users = StubMesh().client(Users)
    with pytest.raises(ValueError, match="cannot stand in"):
        users.fetch(id="..")
    with pytest.raises(ValueError, match="takes no Idempotency-Key"):
        users.fetch.options(idempotency_key="k")(id=ID)


def test_a_forgotten_answer_is_the_tests_own_fault() -> None:
    with pytest.raises(AssertionError, match=r"no answer to users.fetch; add one with"):
        StubMesh().client(Users).fetch(id=ID)


def test_an_answer_of_another_kind_is_the_tests_own_fault() -> None:
    mesh = StubMesh()
    mesh.answers(Users.erase)(lambda request: request)  # type: ignore[arg-type, return-value]
    assert isinstance(result(mesh.client(Users).erase(id=ID)), AssertionError)
