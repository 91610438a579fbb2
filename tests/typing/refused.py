# mypy: ignore-errors
"""What a type checker must refuse, each with a part of its message after ``# E:``.

Only checked, never run; the test takes the first line out, which keeps other checks quiet.
"""

from __future__ import annotations

from clients import Mesh
from clients.contract import Call, Contract, Message
from clients.testing import StubMesh
from clients.users import Erased, EraseUser, FetchUser, User, Users
from services.kit import Context, Service


class Greet(Message):
    """Somebody to greet."""

    name: str


class Greeting(Message):
    """A greeting."""

    text: str


class Hello(Contract, name="hello"):
    """Greets."""

    greet = Call(Greet, Greeting, get="/v1/hello/{name}")
    bad = Call(Greet, str, get="/v1/bad")  # E: cannot be "str"
    odd = Call(Greet, Greeting, get="/v1/odd", slow=1)  # E: Unexpected keyword argument "slow"


class Nameless(Contract):  # E: Missing named argument "name"
    """Has no name."""


Greet("A")  # E: Too many positional arguments
Greet(name=1)  # E: Argument "name" to "Greet" has incompatible type "int"
Greet(nam="A")  # E: Unexpected keyword argument "nam"


async def call(mesh: Mesh) -> None:
    """Call services wrongly."""
    users = mesh.client(Users)
    users.fetch()  # E: Missing named argument "id"
    users.fetch(id=7)  # E: Argument "id" to "__call__" of "BoundCall" has incompatible type "int"
    users.fetch("u_1")  # E: Too many positional arguments
    users.fetch(id="u_1", nosuch=1)  # E: Unexpected keyword argument "nosuch"
    users.fetch.options(deadline_s="1")  # E: Argument "deadline_s"
    users.fetch.options(deadline=1)  # E: Unexpected keyword argument "deadline"
    users.nosuch(id="u_1")  # E: "Users" has no attribute "nosuch"
    user = await users.fetch(id="u_1")
    user.nosuch  # noqa: B018  # E: "User" has no attribute "nosuch"
    erased: Erased = await users.fetch(id="u_1")  # E: Incompatible types in assignment
    mesh.client(User)  # E: Value of type variable "Client"
    print(erased)


class Book:
    """A service's state."""


service: Service[Book] = Service(Hello)


@service.answers(Hello.greet)  # E: incompatible type
async def takes_another(request: FetchUser) -> Greeting:
    """Take another call's request."""
    return Greeting(text=request.id)


@service.answers(Hello.greet)  # E: incompatible type
async def gives_another(request: Greet) -> Greet:
    """Give what is no answer."""
    return request


@service.answers(Hello.greet)  # E: incompatible type
def is_not_async(request: Greet) -> Greeting:
    """Answer at once."""
    return Greeting(text=request.name)


@service.answers(Hello.greet)  # E: incompatible type
async def has_another_state(request: Greet, context: Context[str]) -> Greeting:
    """Expect a state that the service has not."""
    return Greeting(text=request.name + context.state)


stub = StubMesh()


@stub.answers(Users.erase)  # E: incompatible type
def answers_wrongly(request: EraseUser) -> User:
    """Answer with another message."""
    raise NotImplementedError(request)
