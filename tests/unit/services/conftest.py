"""Migrated databases in files, one a test; and calls without sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.greetings import tables as greetings_tables
from services.kit.storage import make_engine, migrate
from services.kit.testing import InProcessMesh
from services.products import tables as products_tables
from services.users import tables as users_tables

MakeEngine = Callable[[str], sa.Engine]
MetadataOf = Mapping[str, sa.MetaData]


@pytest.fixture
def metadata_of() -> MetadataOf:
    """Each service's tables."""
    return {
        "users": users_tables.metadata,
        "products": products_tables.metadata,
        "greetings": greetings_tables.metadata,
    }


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def open_engine(tmp_path: Path, metadata_of: MetadataOf) -> Iterator[MakeEngine]:
    """Another engine on the named service's file: what another replica would have."""
    engines = []

    def open_one(service: str) -> sa.Engine:
        path = tmp_path / f"{service}.sqlite"
        engine = make_engine(path)
        engines.append(engine)
        migrate(engine, path, f"services.{service}.migrations", metadata_of[service])
        return engine

    yield open_one
    for engine in engines:
        engine.dispose()


@pytest.fixture
def bridge() -> InProcessMesh:
    return InProcessMesh()
