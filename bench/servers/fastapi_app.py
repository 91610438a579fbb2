"""FastAPI on the same uvicorn: a path parameter with a pattern and a pydantic answer model.

What it does for a request is what ours does: route, validate, and make JSON of a typed answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import FastAPI, Path
from pydantic import BaseModel

from ..items import CREATED_AT, PATTERN
from .uvicorn_raw import run

_app = FastAPI()


class ItemModel(BaseModel):
    """`bench.items.Item` for pydantic."""

    id: str
    version: int
    name: str
    email: str
    phone: str | None
    site: str
    created_at: datetime


@_app.get("/v1/items/{item_id}")
async def fetch(item_id: Annotated[str, Path(pattern=PATTERN)]) -> ItemModel:
    """Read an item."""
    return ItemModel(
        id=item_id,
        version=7,
        name="Ada Lovelace",
        email="ada.lovelace@example.com",
        phone="+12025550123",
        site="greetings.example.com",
        created_at=CREATED_AT,
    )


def serve(announce: Callable[[str], None]) -> None:
    """Serve until the process is ended."""
    run(_app, announce)
