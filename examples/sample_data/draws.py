"""What more than one room draws by lot: identifiers, weighted choices and instants.

Nothing here is secret: the seeds are in the code, so whoever reads it knows every sample token.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

Key = TypeVar("Key")

# Base32 in lower case, as in the services' own identifiers.
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def lots(purpose: str) -> random.Random:
    """Gives each kind of record its own lots, so that a new name does not reshuffle the products.

    Args:
        purpose: what is drawn; it is the seed.
    """
    return random.Random(f"txmesh sample data: {purpose}")  # noqa: S311 - repeatable on purpose


def draw_id(rng: random.Random, prefix: str, length: int = 16) -> str:
    """Draws an identifier, such as `u_` and 16 characters (80 bits: wide enough not to meet)."""
    return f"{prefix}_{''.join(rng.choices(ALPHABET, k=length))}"


def draw_weighted(rng: random.Random, weights: Mapping[Key, float]) -> Key:
    """Draws a key, each as often as its weight says."""
    return rng.choices(list(weights), list(weights.values()))[0]


def draw_instant(rng: random.Random, first: datetime, last: datetime) -> datetime:
    """Draws an instant, to the second, between two (which may be the same)."""
    span_s = int((last - first).total_seconds())
    return (first + timedelta(seconds=rng.randint(0, max(0, span_s)))).astimezone(UTC)
