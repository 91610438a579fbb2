"""Makes the products: every design in `texts` gets a SKU, a price and a history."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .draws import draw_instant, lots
from .sections import read_sections
from .shapes import Product
from .sites import CARDHOUSE, FIESTA, GREETWELL, OPENED, TODAY

# In cents: what people pay for such a thing, in the money of the site that sells it.
PRICES = {
    "USD": {
        "card": (349, 399, 449, 499, 599),
        "animated": (199, 249, 299, 399),
        "postcard": (149, 199, 249),
        "gift": (1499, 1999, 2499, 3499, 4999),
    },
    "GBP": {
        "card": (275, 299, 325, 350, 399),
        "animated": (150, 199, 250),
        "postcard": (120, 150, 175),
        "gift": (1200, 1600, 2200, 2800, 3900),
    },
    "MXN": {
        "card": (4900, 5500, 6500, 7900),
        "animated": (3500, 3900, 4900),
        "postcard": (2500, 2900, 3500),
        "gift": (34900, 39900, 49900, 69900),
    },
}
RETIRED_SHARE = 0.05
AFTERTHOUGHT_SHARE = 0.3


@dataclass(frozen=True)
class Design:
    """A product together with what its record does not say: whether it suits anybody."""

    product: Product
    suits_anybody: bool


def make_designs() -> list[Design]:
    """Makes all products of all sites, sorted by SKU."""
    rng = lots("products")
    numbers: dict[str, int] = {}
    designs = [
        *_read_language(rng, "en", numbers),
        *_read_language(rng, "es", numbers),
    ]
    return sorted(designs, key=lambda design: design.product.sku)


def _read_language(rng: random.Random, language: str, numbers: dict[str, int]) -> list[Design]:
    """Reads one language's designs; `numbers` holds the last number that each prefix gave out."""
    designs = []
    sections = read_sections(f"products_{language}")
    for heading, lines in sections.items():
        if heading.startswith("after "):
            continue
        occasion, prefix = heading.split()
        for line in lines:
            kind, title, description, *where = (part.strip() for part in line.split("|"))
            category = kind.removeprefix("~")
            if rng.random() < AFTERTHOUGHT_SHARE:
                description = f"{description} {rng.choice(sections[f'after {category}'])}"
            if where:
                sites = where
            else:
                sites = [FIESTA.name] if language == "es" else [CARDHOUSE.name, GREETWELL.name]
            currency = _currency(sites)
            # Gaps, as if designs had been withdrawn before they were ever sold.
            numbers[prefix] = numbers.get(prefix, 0) + rng.choice((1, 1, 1, 2, 3, 7))
            product = Product(
                sku=f"{prefix}-{numbers[prefix]:05}",
                title=title,
                description=description,
                occasion=occasion,
                category=category,
                sites=sites,
                price_cents=rng.choice(PRICES[currency][category]),
                currency=currency,
                state="retired" if rng.random() < RETIRED_SHARE else "published",
                updated_at=draw_instant(rng, OPENED, _last_update()),
            )
            designs.append(Design(product=product, suits_anybody=not kind.startswith("~")))
    return designs


def _currency(sites: list[str]) -> str:
    """Picks a price's currency: a design that both English sites sell is priced in dollars."""
    if GREETWELL.name in sites:
        return GREETWELL.currency
    return CARDHOUSE.currency if CARDHOUSE.name in sites else FIESTA.currency


def _last_update() -> datetime:
    """Nothing was touched in the last days: the season's catalogue was frozen."""
    return datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC) - timedelta(days=9)
