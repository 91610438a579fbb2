"""What one service offers: its calls under one name.

A contract is a class; each instance is a typed client, bound to whatever carries its calls.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from .call import Call
from .client import BoundCall, Carrier

_TAKEN = frozenset({"service", "calls"})
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*").fullmatch


class Contract:
    """The base of every contract.

    ::

        class Hello(Contract, name="hello"):
            greet = Call(Greet, Greeting, get="/v1/hello/{name}")

    Attributes:
        service: the name under which replicas announce themselves.
        calls: the declared calls by name.
    """

    service: ClassVar[str]
    calls: ClassVar[dict[str, Call[Any, Any, Any]]]

    def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
        """Collect the calls and check that no two share a route.

        Args:
            name: the service's name: lower-case letters, digits and hyphens.
            **kwargs: for other bases.

        Raises:
            ValueError: a bad name, or two calls with one method and path.
        """
        super().__init_subclass__(**kwargs)
        if not _NAME(name):
            raise ValueError(f"service name {name!r}: use lower-case letters, digits and hyphens")
        calls = {key: value for key, value in vars(cls).items() if isinstance(value, Call)}
        for key in _TAKEN & calls.keys():
            raise ValueError(f"a call cannot be named {key!r}: contracts use that name themselves")
        routes: dict[tuple[str, tuple[str | None, ...]], str] = {}
        for key, call in calls.items():
            call.service = name
            other = routes.setdefault((call.method, call.path.segments), key)
            if other != key:
                raise ValueError(f"{name}.{key} and {name}.{other} have the same method and path")
        cls.service = name
        cls.calls = calls

    def __init__(self, carrier: Carrier) -> None:
        """Make a typed client.

        Args:
            carrier: what carries the calls: a `clients.Mesh`, or a double in a test.
        """
        for key, call in self.calls.items():
            self.__dict__[key] = BoundCall(call, carrier)
