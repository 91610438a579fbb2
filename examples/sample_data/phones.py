"""Draws telephone numbers that are valid and ring nobody.

The United States keep 555-0100 to 555-0199 of each area for fiction, and Ofcom a thousand numbers
in each large British city. Mexico keeps none: but no local number there begins with 0.
"""

import random
from functools import cache

from .sections import read_sections
from .sites import CARDHOUSE, GREETWELL, Site


@cache
def _areas(site_name: str) -> list[str]:
    return " ".join(read_sections("phones")[site_name]).split()


def draw_phone(rng: random.Random, site: Site, taken: set[str]) -> str:
    """Draws a number in E.164 that nobody has yet.

    Args:
        rng: the lots to draw from.
        site: whose country it is in.
        taken: the numbers given out so far; the new one is added.
    """
    while True:
        area = rng.choice(_areas(site.name))
        if site is GREETWELL:
            phone = f"+1{area}55501{rng.randint(0, 99):02}"
        elif site is CARDHOUSE:
            phone = f"+44{area}0{rng.randint(0, 999):03}"
        else:
            local_digits = 10 - len(area)
            number = rng.randint(0, 10 ** (local_digits - 1) - 1)
            phone = f"+52{area}{number:0{local_digits}}"
        if phone not in taken:
            taken.add(phone)
            return phone
