from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from services.kit.storage import MigrationError, make_engine, migrate, reading, writing

MakeEngine = Callable[[str], sa.Engine]
MetadataOf = Mapping[str, sa.MetaData]

SERVICES = ["greetings", "products", "users"]


@pytest.mark.parametrize("service", SERVICES)
def test_migrations_make_what_the_tables_say(
    service: str, open_engine: MakeEngine, metadata_of: MetadataOf
) -> None:
    with reading(open_engine(service)) as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata_of[service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_second_start_changes_nothing(service: str, open_engine: MakeEngine) -> None:
    schema = sa.text("SELECT name, sql FROM sqlite_master ORDER BY name")
    with reading(open_engine(service)) as connection:
        before = connection.execute(schema).all()
    with reading(open_engine(service)) as connection:
        assert connection.execute(schema).all() == before


def test_replicas_that_start_together_migrate_once(open_engine: MakeEngine) -> None:
    with ThreadPoolExecutor(4) as threads:
        engines = list(threads.map(open_engine, ["users"] * 4))
    with reading(engines[0]) as connection:
        versions = connection.execute(sa.text("SELECT version_num FROM alembic_version")).all()
    assert len(versions) == 1


def test_services_that_start_together_do_not_mix(
    open_engine: MakeEngine, metadata_of: MetadataOf
) -> None:
    with ThreadPoolExecutor(3) as threads:
        engines = list(threads.map(open_engine, SERVICES))
    for service, engine in zip(SERVICES, engines, strict=True):
        with reading(engine) as connection:
            tables = set(sa.inspect(connection).get_table_names())
        assert tables == {*metadata_of[service].tables, "alembic_version"}


def test_a_database_of_a_later_version_is_left_alone(open_engine: MakeEngine) -> None:
    with writing(open_engine("users")) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationError, match="9999"):
        open_engine("users")


def test_a_table_without_its_migration_is_found_at_the_start(tmp_path: Path) -> None:
    metadata = sa.MetaData()
    sa.Table("forgotten", metadata, sa.Column("id", sa.Integer, primary_key=True))
    path = tmp_path / "users.sqlite"
    engine = make_engine(path)
    with pytest.raises(MigrationError, match="forgotten"):
        migrate(engine, path, "services.users.migrations", metadata)
    with reading(engine) as connection:
        assert sa.inspect(connection).get_table_names() == []
    engine.dispose()
