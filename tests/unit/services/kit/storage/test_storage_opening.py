from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from balancer import Ambient, ConfigError, current
from services.kit import Problem, Run
from services.kit.storage import once, open_records, request_key
from services.users.tables import keys, metadata

MIGRATIONS = "services.users.migrations"


class Asked(msgspec.Struct):
    what: str


def count(connection: sa.Connection) -> int:
    found: int = connection.execute(sa.select(sa.func.count()).select_from(keys)).scalar_one()
    return found


async def test_old_keys_go_while_the_service_runs(bridge: Any, tmp_path: Path) -> None:
    kit = bridge.kit(tmp_path)
    records = open_records(kit, "users", metadata=metadata, migrations=MIGRATIONS, keys=keys)
    async with records as storage:
        for age_h in (1, 25):
            await storage.write(
                once,
                keys,
                request_key("things.make", f"{age_h}", Asked("x")),
                lambda: Asked("y"),
                answer=Asked,
                subject=lambda made: made.what,
                now=bridge.wall - timedelta(hours=age_h),
            )
        (job,) = kit.jobs
        await job.begin(Run(None, bridge.wall))
        assert await storage.write(count) == 1


@pytest.mark.parametrize("wanted", [False, True])
async def test_samples_only_where_they_are_wanted(
    bridge: Any, tmp_path: Path, *, wanted: bool
) -> None:
    filled: list[sa.Connection] = []
    kit = bridge.kit(tmp_path, sample_data=wanted)
    async with open_records(
        kit, "users", metadata=metadata, migrations=MIGRATIONS, sample=filled.append
    ):
        assert len(filled) == wanted


async def test_a_request_whose_time_is_over_reads_nothing(bridge: Any, tmp_path: Path) -> None:
    kit = bridge.kit(tmp_path)
    async with open_records(kit, "users", metadata=metadata, migrations=MIGRATIONS) as storage:
        token = current.set(Ambient(bridge.clock.seconds(), {}))
        try:
            with pytest.raises(Problem) as caught:
                await storage.read(count)
        finally:
            current.reset(token)
        assert caught.value.type == "deadline-exceeded"
        assert await storage.read(count) == 0


async def test_what_is_no_database_is_told_with_its_place(bridge: Any, tmp_path: Path) -> None:
    kit = bridge.kit(tmp_path)
    (tmp_path / "users.sqlite").write_bytes(b"not a database, but long enough for one" * 100)
    with pytest.raises(ConfigError, match=r"users\.sqlite.*SQLITE_NOTADB.*backup"):
        async with open_records(kit, "users", metadata=metadata, migrations=MIGRATIONS):
            pass


async def test_a_folder_that_cannot_be_made_is_told_with_its_place(
    bridge: Any, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    kit = bridge.kit(tmp_path / "taken")
    with pytest.raises(ConfigError, match=r"taken/users\.sqlite.*\[storage\] url"):
        async with open_records(kit, "users", metadata=metadata, migrations=MIGRATIONS):
            pass
