"""Cards, their views and what is opened most, in SQL.

Each function runs in one transaction that its caller has begun.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from clients.greetings import FindPopular, PopularGreeting, PopularGreetings

from .stored import StoredCard
from .tables import greetings

_CARD = tuple(greetings.c[name] for name in StoredCard.__dataclass_fields__)


def find_card(connection: sa.Connection, token: str) -> StoredCard | None:
    """Read the card that a token opens; None: there is none."""
    row = (
        connection.execute(sa.select(*_CARD).where(greetings.c.token == token))
        .mappings()
        .one_or_none()
    )
    return None if row is None else StoredCard(**row)


def add_views(connection: sa.Connection, views: Mapping[str, int]) -> None:
    """Add to the views of many greetings at once.

    Args:
        connection: of a write.
        views: how many more, by greeting id.
    """
    connection.execute(
        greetings.update()
        .where(greetings.c.id == sa.bindparam("greeting"))
        .values(views=greetings.c.views + sa.bindparam("more")),
        [{"greeting": greeting, "more": more} for greeting, more in views.items()],
    )


def popular(connection: sa.Connection, request: FindPopular) -> PopularGreetings:
    """Read the most opened greetings; what was never opened is not popular."""
    query = sa.select(greetings.c.id, greetings.c.sku, greetings.c.site, greetings.c.views).where(
        greetings.c.views > 0
    )
    if request.site is not None:
        query = query.where(greetings.c.site == request.site)
    query = query.order_by(greetings.c.views.desc(), greetings.c.id.desc()).limit(request.limit)
    return PopularGreetings(
        greetings=[PopularGreeting(**row) for row in connection.execute(query).mappings()]
    )
