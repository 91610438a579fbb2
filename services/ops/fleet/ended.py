"""How a replacement ended."""

from __future__ import annotations

from typing import NamedTuple

from .plan.steps import Outcome


class Ended(NamedTuple):
    """See the module.

    Attributes:
        outcome: how.
        why: for people; "" when there is nothing to say.
        failed: the replica whose log may say more; "" for none.
    """

    outcome: Outcome
    why: str = ""
    failed: str = ""
