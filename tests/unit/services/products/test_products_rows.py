from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from clients.products import Product, ProductPage, PublishProduct, SearchProducts
from services.kit import Problem
from services.kit.storage import reading, writing
from services.products import rows

MakeEngine = Callable[[str], sa.Engine]
CARD = PublishProduct(
    sku="BDAY-00017",
    title="Sunflowers",
    description="A field of them, 100% yellow.",
    occasion="birthday",
    category="card",
    sites=["cardhouse", "greetwell"],
    price_cents=250,
    currency="USD",
)


@pytest.fixture
def engine(open_engine: MakeEngine) -> sa.Engine:
    return open_engine("products")


def publish(engine: sa.Engine, now: datetime, **changes: Any) -> Product:
    with writing(engine) as connection:
        return rows.publish(connection, replace(CARD, **changes), now)


def retire(engine: sa.Engine, now: datetime, sku: str = CARD.sku) -> Product:
    with writing(engine) as connection:
        return rows.retire(connection, sku, now)


def fetch(engine: sa.Engine, sku: str = CARD.sku) -> Product:
    with reading(engine) as connection:
        return rows.fetch(connection, sku)


def search(engine: sa.Engine, **wanted: Any) -> ProductPage:
    with reading(engine) as connection:
        return rows.search(connection, SearchProducts(**wanted))


def skus(engine: sa.Engine, **wanted: Any) -> list[str]:
    return [product.sku for product in search(engine, **wanted).products]


def test_a_published_product_is_fetched(engine: sa.Engine, now: datetime) -> None:
    product = publish(engine, now)
    assert product == fetch(engine)
    assert (product.state, product.sites, product.updated_at) == (
        "published",
        ["cardhouse", "greetwell"],
        now,
    )


def test_publishing_again_changes_nothing(engine: sa.Engine, now: datetime) -> None:
    first = publish(engine, now)
    assert publish(engine, now + timedelta(hours=1)) == first


def test_publishing_replaces(engine: sa.Engine, now: datetime) -> None:
    publish(engine, now)
    later = now + timedelta(hours=1)
    changed = publish(engine, later, title="Tulips", sites=["fiesta"])
    assert (changed.title, changed.sites, changed.updated_at) == ("Tulips", ["fiesta"], later)
    assert skus(engine, text="sunflowers") == []
    assert skus(engine, text="tulips", site="fiesta") == [CARD.sku]
    assert skus(engine, site="greetwell") == []


def test_a_retired_product_is_fetched_and_not_found(engine: sa.Engine, now: datetime) -> None:
    publish(engine, now)
    later = now + timedelta(hours=1)
    retired = retire(engine, later)
    assert (retired.state, retired.updated_at) == ("retired", later)
    assert retire(engine, later + timedelta(hours=1)) == retired == fetch(engine)
    assert skus(engine) == []
    assert publish(engine, later).state == "published"
    assert skus(engine) == [CARD.sku]


def test_a_product_that_is_not(engine: sa.Engine, now: datetime) -> None:
    with pytest.raises(Problem) as fetched:
        fetch(engine)
    with pytest.raises(Problem) as retired:
        retire(engine, now)
    for caught in (fetched, retired):
        assert (caught.value.status, caught.value.type) == (404, "not-found")


def test_search(engine: sa.Engine, now: datetime) -> None:
    publish(engine, now)
    publish(
        engine,
        now,
        sku="BDAY-00018",
        title="Feliz cumpleaños",
        description="Una piñata.",
        category="animated",
        sites=["fiesta"],
    )
    publish(engine, now, sku="THNX-00001", title="Thanks", occasion="thank-you")
    assert skus(engine) == ["BDAY-00017", "BDAY-00018", "THNX-00001"]
    assert skus(engine, occasion="birthday") == ["BDAY-00017", "BDAY-00018"]
    assert skus(engine, category="animated") == ["BDAY-00018"]
    assert skus(engine, site="greetwell") == ["BDAY-00017", "THNX-00001"]
    assert skus(engine, text="CUMPLEANOS pinata") == ["BDAY-00018"]
    assert skus(engine, text="yellow thank you") == ["THNX-00001"]
    assert skus(engine, text="sunflowers", occasion="thank-you") == []
    assert skus(engine, site="nowhere") == []


@pytest.mark.parametrize(
    ("text", "found"), [("100%", 1), ("1%0", 0), ("_ellow", 0), ("\\", 0), ("'; --", 0), (" ", 1)]
)
def test_signs_of_sql_are_only_signs(
    engine: sa.Engine, now: datetime, text: str, found: int
) -> None:
    publish(engine, now)
    assert len(skus(engine, text=text)) == found


def test_pages_have_every_product_once(engine: sa.Engine, now: datetime) -> None:
    wanted = [f"BDAY-{number:05}" for number in range(7)]
    for sku in reversed(wanted):
        publish(engine, now, sku=sku)
    found: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = search(engine, limit=3, cursor=cursor)
        found += [product.sku for product in page.products]
        cursor = page.next
    assert cursor is None
    assert found == wanted


def test_a_bad_cursor(engine: sa.Engine) -> None:
    with pytest.raises(Problem) as caught:
        search(engine, cursor="nonsense")
    assert caught.value.type == "bad-cursor"
