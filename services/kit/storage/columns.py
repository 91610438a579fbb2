"""Column types that SQLite lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware instant, kept as whole microseconds since 1970 UTC.

    SQLite has no type for instants and SQLAlchemy's own drops the offset. An integer is exact,
    sorts and compares in an index, and fits beside a random id in a cursor.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        del dialect
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """To an aware datetime in UTC."""
        del dialect
        return None if value is None else moment(value)


def microseconds(value: datetime) -> int:
    """An aware instant as whole microseconds since 1970 UTC."""
    return (value - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Whole microseconds since 1970 as an aware instant in UTC."""
    return _EPOCH + value * _MICROSECOND
