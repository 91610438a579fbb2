"""What a caller and a service developer write, as a type checker must accept it.

Only checked, never run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_type

from twisted.internet.defer import Deferred

from balancer import Overloaded, Rejected
from balancer.testing import Answer, FakeReplica, Silent, World
from clients import Mesh
from clients.contract import BoundCall, Call, Contract, Message
from clients.testing import StubMesh, mesh_in
from clients.users import Erased, EraseUser, FetchUser, User, Users
from services.kit import Context, Kit, Problem, Service


class Greet(Message):
    """Somebody to greet."""

    name: str
    loud: bool = False


class Greeting(Message):
    """A greeting."""

    text: str


class Hello(Contract, name="hello"):
    """Greets."""

    greet = Call(Greet, Greeting, get="/v1/hello/{name}", deadline_s=0.25)


class Book:
    """A service's state."""

    words: dict[str, str]


@asynccontextmanager
async def open_book(kit: Kit) -> AsyncIterator[Book]:
    """Open the state."""
    kit.log.info("open")
    yield Book()


service = Service(Hello, opens=open_book)
plain: Service[None] = Service(Hello)


@service.answers(Hello.greet)
async def greet(request: Greet, context: Context[Book]) -> Greeting:
    """Answer with the state."""
    assert_type(context.state, Book)
    assert_type(context.idempotency_key, str | None)
    assert_type(context.deadline, float)
    if request.name not in context.state.words:
        raise Problem(404, "not-found", detail="Nobody of that name.")
    return Greeting(text=context.state.words[request.name])


@plain.answers(Hello.greet)
async def greet_plainly(request: Greet) -> Greeting:
    """Answer without any state."""
    return Greeting(text=f"Hello, {request.name}!")


async def call(mesh: Mesh) -> str:
    """Call services."""
    users = mesh.client(Users)
    assert_type(users, Users)
    assert_type(users.fetch(id="u_1"), Deferred[User])
    user = await users.fetch(id="u_1")
    assert_type(user, User)
    assert_type(user.phone, str | None)
    hasty = users.fetch.options(deadline_s=0.1, priority=2, site="greetwell")
    assert_type((await hasty(id="u_1")).version, int)
    created = await users.create.options(idempotency_key="k")(
        name="A", email="a@b.org", site="greetwell"
    )
    assert_type(created, User)
    hello = mesh.client(Hello)
    assert_type((await hello.greet(name="A", loud=True)).text, str)
    try:
        await users.erase(id=user.id)
    except Rejected as error:
        assert_type(error.status, int)
        return error.type
    except Overloaded as error:
        assert_type(error.service, str)
    return user.name


def declared() -> None:
    """Read declarations on the class, and calls on a client."""
    assert_type(Users.fetch.request, type[FetchUser])
    assert_type(Users.fetch.answer, type[User])
    assert_type(Hello.greet.request(name="a"), Greet)


def bound(users: Users) -> BoundCall[..., User]:
    """Hand a call on."""
    return users.fetch


def doubles() -> None:
    """Test with doubles."""
    stub = StubMesh()

    @stub.answers(Users.erase)
    def erase(request: EraseUser) -> Erased:
        return Erased(id=request.id)

    @stub.answers(Users.fetch)
    async def fetch(request: FetchUser) -> User:
        raise NotImplementedError(request)

    assert_type(stub.client(Users), Users)
    world = World(seed=1)
    one, two = world.add("users", 2)
    one.behaviour = Silent()

    def behave(replica: FakeReplica) -> Answer:
        return Answer(after_s=0.01 * replica.in_flight)

    two.behaviour = behave
    assert_type(mesh_in(world), Mesh)
