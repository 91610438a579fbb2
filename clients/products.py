"""The products service's contract: the cards and gifts that can be sent.

::

    products = mesh.client(Products)
    page = await products.search(text="sunflower", occasion="birthday", site="greetwell")
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .contract import Call, Contract, Message, Smoke
from .fields import Cursor, Limit, Moment, Site

Sku = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{4}-[0-9]{5}$(?!\n)",
        description="The stock-keeping unit: the occasion's four letters and a number.",
        examples=["BDAY-00007"],
    ),
]
Occasion = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z-]{0,39}$(?!\n)",
        description="What it is for.",
        examples=["birthday"],
    ),
]
Category = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z-]{0,39}$(?!\n)",
        description="What kind of thing it is.",
        examples=["animated"],
    ),
]
Sites = Annotated[
    list[Site], Meta(min_length=1, max_length=50, description="The sites that sell it.")
]
Title = Annotated[str, Meta(min_length=1, max_length=200, description="Its name in the shop.")]
Description = Annotated[
    str, Meta(min_length=1, max_length=2000, description="What the shop says of it.")
]
# A million units is beyond any card or gift: a price above is a slip of the keyboard.
PriceCents = Annotated[
    int, Meta(ge=0, le=100_000_000, description="The price in hundredths of the currency.")
]
Currency = Annotated[
    str,
    Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="An ISO 4217 code.", examples=["USD"]),
]


class Product(Message):
    """A card or a gift."""

    sku: Sku
    title: Title
    description: Description
    occasion: Occasion
    category: Category
    sites: Sites
    price_cents: PriceCents
    currency: Currency
    state: Annotated[
        Literal["published", "retired"],
        Meta(description="A retired product can be read, but neither found nor sent."),
    ]
    updated_at: Moment


class ProductPage(Message):
    """Some of the products that were looked for, by SKU."""

    products: list[Product]
    next: Annotated[str, Meta(description="The cursor of the page after; null at the end.")] | None


class FetchProduct(Message):
    """A product by SKU."""

    sku: Sku


class SearchProducts(Message):
    """What the products that are looked for have in common; all of it must fit."""

    text: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                description="Words that all occur in the title, description, occasion or "
                "category; letter case and accents do not matter.",
            ),
        ]
        | None
    ) = None
    occasion: Occasion | None = None
    category: Category | None = None
    site: Site | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class PublishProduct(Message):
    """A product as it shall be from now on."""

    sku: Sku
    title: Title
    description: Description
    occasion: Occasion
    category: Category
    sites: Sites
    price_cents: PriceCents
    currency: Currency


class RetireProduct(Message):
    """A product that shall no longer be sold."""

    sku: Sku


class Products(Contract, name="products"):
    """The cards and gifts of all sites.

    Publishing creates or replaces a product; retiring takes it out of the shops, while greetings
    that were sent with it still show.
    """

    fetch = Call(
        FetchProduct,
        Product,
        get="/v1/products/{sku}",
        deadline_s=0.5,
        priority=0,
        summary="Read a product, retired or not.",
    )
    search = Call(
        SearchProducts,
        ProductPage,
        get="/v1/products",
        smoke=Smoke(SearchProducts(limit=1)),
        summary="Find published products, a page at a time.",
    )
    publish = Call(
        PublishProduct,
        Product,
        put="/v1/products/{sku}",
        idempotent=True,
        deadline_s=2.0,
        summary="Create or replace a product.",
    )
    retire = Call(
        RetireProduct,
        Product,
        post="/v1/products/{sku}/retire",
        idempotent=True,
        deadline_s=2.0,
        summary="Take a product out of the shops.",
    )
