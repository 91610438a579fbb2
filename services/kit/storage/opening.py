"""What every service with records does when it starts: open, fill with samples, keep tidy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from balancer import current

from ..schedule import Every, Job
from .keys import sweep
from .storage import Storage

if TYPE_CHECKING:
    from .. import Kit

# Keys live for a day, so ten minutes more are nothing; and each round's cost stays small.
_SWEEP_INTERVAL_S = 600.0


def _ambient_deadline() -> float | None:
    """The deadline of the request that is being handled, if one is."""
    ambient = current.get()
    return None if ambient is None else ambient.deadline


@asynccontextmanager
async def open_records(
    kit: Kit,
    name: str,
    *,
    metadata: sa.MetaData,
    migrations: str,
    keys: sa.Table | None = None,
    sample: Callable[[sa.Connection], object] | None = None,
) -> AsyncIterator[Storage]:
    """Open a service's storage in the kit's folder, and close it at the end.

    Args:
        kit: the service's.
        name: the file's name without its ending.
        metadata: the tables.
        migrations: the package whose `versions` make them.
        keys: the service's `keys_table`, whose old keys are then removed now and then.
        sample: fills an empty store, in a write; called only where sample data is wanted.

    Yields:
        The open storage.
    """
    storage = Storage(
        kit.storage_folder / f"{name}.sqlite",
        name=name,
        metadata=metadata,
        migrations=migrations,
        seconds=kit.clock.seconds,
        deadline=_ambient_deadline,
    )
    async with storage:
        if sample is not None and kit.sample_data:
            await storage.write(sample)

        async def remove_old_keys() -> None:
            while keys is not None and await storage.write(sweep, keys, kit.wall()):
                pass

        if keys is not None:
            # An embedded store may be one a machine, so each process sees to its own.
            kit.jobs.append(Job(remove_old_keys, Every(_SWEEP_INTERVAL_S), on="each"))
        yield storage
