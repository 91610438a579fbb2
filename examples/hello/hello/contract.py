"""What the hello service offers: all that a caller needs to import."""

from typing import Annotated

import msgspec

from clients.contract import Call, Contract, Message, Smoke


class Greet(Message):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Greeting(Message):
    text: str


class Hello(Contract, name="hello"):
    """Says hello to whoever is named."""

    greet = Call(
        Greet,
        Greeting,
        get="/v1/hello/{name}",
        idempotent=True,
        deadline_s=0.25,
        smoke=Smoke(Greet(name="Ada")),
    )
