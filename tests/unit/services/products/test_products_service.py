from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from balancer import Rejected
from clients.products import Products
from services.products import service
from services.products.service import open_catalogue


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # the library has no types
async def products(bridge: Any, tmp_path: Path) -> AsyncIterator[Products]:
    async with open_catalogue(bridge.kit(tmp_path, sample_data=True)) as state:
        bridge.serve(service, state)
        yield bridge.client(Products)


async def test_a_products_life(products: Products) -> None:
    wanted: Any = {
        "sku": "BDAY-99999",
        "title": "Zwölf Tulpen",
        "description": "Twelve tulips, one a month.",
        "occasion": "birthday",
        "category": "card",
        "sites": ["greetwell", "cardhouse", "greetwell"],
        "price_cents": 250,
        "currency": "USD",
    }
    product = await products.publish(**wanted)
    assert product.sites == ["cardhouse", "greetwell"]
    assert await products.publish(**wanted) == product
    assert await products.fetch(sku=product.sku) == product
    assert (await products.search(text="ZWOLF")).products == [product]
    assert (await products.retire(sku=product.sku)).state == "retired"
    assert (await products.search(text="ZWOLF")).products == []


async def test_the_samples_are_found_a_page_at_a_time(products: Products) -> None:
    found: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        page = await products.search(occasion="birthday", cursor=cursor, limit=20)
        found += [product.sku for product in page.products]
        cursor = page.next
        if cursor is None:
            break
    assert len(found) > 20
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    "search", [{"limit": 0}, {"limit": 101}, {"text": ""}, {"occasion": "Birth Day"}]
)
async def test_searches_that_are_refused(products: Products, search: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        await products.search(**search)
    assert caught.value.status == 422
