"""What is compared with what: a case each, in the order in which a round runs them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Part = Literal["server", "client", "pair"]
OURS = "txmesh"


class Case(NamedTuple):
    """One peer in one part.

    Attributes:
        part: "server" (one load, servers compared), "client" (two replicas of a server, callers
            compared) or "pair" (one server, one caller, both the peer's).
        peer: its name in the table.
        server: the module in `bench.servers`.
        caller: the module in `bench.callers`.
        replicas: processes of the server.
    """

    part: Part
    peer: str
    server: str
    caller: str
    replicas: int = 1


CASES = (
    Case("server", OURS, "ours", "lean"),
    Case("server", "uvicorn, raw ASGI", "uvicorn_raw", "lean"),
    Case("server", "twisted.web", "twisted_web", "lean"),
    Case("server", "FastAPI on uvicorn", "fastapi_app", "lean"),
    Case("client", OURS, "ours", "ours", 2),
    Case("client", "aiohttp", "ours", "aiohttp_caller", 2),
    Case("client", "grpc.aio", "grpc_server", "grpc_caller", 2),
    Case("client", "treq", "ours", "treq_caller", 2),
    Case("pair", OURS, "ours", "ours"),
    Case("pair", "aiohttp to uvicorn", "uvicorn_raw", "aiohttp_caller"),
    Case("pair", "treq to twisted.web", "twisted_web", "treq_caller"),
)
