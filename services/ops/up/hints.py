"""Lines to try once a mesh is up: true ones, with an id that the mesh has."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from balancer import CallError, Endpoint
from clients import Mesh
from clients.contract import Call, Message, RequestEncoder
from clients.products import FetchProduct, Products
from clients.users import FetchUser, Users

# A hint is worth no long wait.
_DEADLINE_S = 2.0


async def sample_call(
    mesh: Mesh, services: Sequence[str]
) -> tuple[Call[Any, Any, Any], Message] | None:
    """Find a call that will be answered.

    Args:
        mesh: to look for something that exists.
        services: those that run.

    Returns:
        A call with its request, or None when there is nothing to fetch.
    """
    try:
        if "users" in services:
            # By its path: the package itself would bring its database along.
            sample = files("services").joinpath("users", "sample", "users.jsonl")
            with sample.open(encoding="utf-8") as lines:
                email = json.loads(next(lines))["email"]
            user = await mesh.client(Users).find.options(deadline_s=_DEADLINE_S)(email=email)
            return Users.fetch, FetchUser(id=user.id)
        if "products" in services:
            search = mesh.client(Products).search.options(deadline_s=_DEADLINE_S)
            page = await search(limit=1)
            if page.products:
                return Products.fetch, FetchProduct(sku=page.products[0].sku)
    except (CallError, OSError, LookupError):
        # A store of one's own has no sample data, and that is no fault.
        pass
    return None


def lines_to_try(
    endpoints: Sequence[Endpoint],
    sample: tuple[Call[Any, Any, Any], Message] | None,
    config: str | None,
) -> list[str]:
    """Write command lines that work as they stand.

    Args:
        endpoints: what runs.
        sample: what `sample_call` found.
        config: as given with ``--config``.
    """
    program = shlex.quote(program_name(sys.argv[0]))
    suffix = f" --config {shlex.quote(config)}" if config else ""
    status = f"{program} status{suffix}"
    if sample is None:
        return [f"curl http://{endpoints[0].address}/openapi.json", status]
    call, message = sample
    target = RequestEncoder(call).encode(message)[0].decode("ascii")
    address = next(e.address for e in endpoints if e.service == call.service)
    pairs = " ".join(
        shlex.quote(f"{name}={value}") for name, value in msgspec.to_builtins(message).items()
    )
    asked = f"{call.service} {call.name} {pairs}{suffix}"
    return [
        f"curl http://{address}{target}",
        f"{program} call {asked}",
        f"{program} load {asked} --rate 200 --duration 10",
        status,
    ]


def program_name(invoked: str) -> str:
    """How this program can be called from the same folder: by its name, if the shell finds it."""
    name = Path(invoked).name
    found = shutil.which(name)
    if found is None or Path(found).resolve() != Path(invoked).resolve():
        return invoked
    return name
