"""Draws people: a name of some culture, an address that goes with it, perhaps a telephone."""

import random
import unicodedata
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from .draws import draw_weighted
from .phones import draw_phone
from .sections import read_sections
from .sites import FIESTA, Site

DOMAINS = {"example.com": 60, "example.org": 22, "example.net": 18}
TWO_SURNAMES_SHARE = 0.6
# What NFKD does not take apart.
LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "'": "", "-": ""})
KIN: dict[str, dict[bool, tuple[str, ...]]] = {
    "en": {True: ("Aunt", "Auntie", "Grandma"), False: ("Uncle", "Grandpa")},
    "es": {True: ("Tía", "Abuela", "Madrina"), False: ("Tío", "Abuelo", "Padrino")},
}


@dataclass(frozen=True)
class Person:
    """Somebody, with more about them than the records say.

    Attributes:
        name: in full, as it is written in the records.
        called: how a card addresses them.
        surname: what relatives share.
        culture: the section of `names.txt` that the name is from.
        woman: Spanish adjectives ask for it.
        born: the day, whether or not anybody noted it.
        email: an address nobody else has.
        phone: in E.164, or None.
        kin: whether the name is a relative's title, as in "Aunt Rose".
    """

    name: str
    called: str
    surname: str
    culture: str
    woman: bool
    born: date
    email: str
    phone: str | None
    kin: bool = False


class Population:
    """All the people drawn so far: no two share an address or a telephone."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._emails: set[str] = set()
        self._phones: set[str] = set()

    def draw_person(self, site: Site, phone_share: float) -> Person:
        """Draws somebody of one of the site's cultures."""
        rng = self._rng
        culture = draw_weighted(rng, site.cultures)
        surname = rng.choice(_names(culture)["last"])
        if site is FIESTA and rng.random() < TWO_SURNAMES_SHARE:
            surname = f"{surname} {rng.choice(_names(culture)['last'])}"
        return self._draw(site, culture, surname, phone_share)

    def draw_relative(self, site: Site, person: Person, phone_share: float) -> Person:
        """Draws somebody with the same surname, at times under a relative's title."""
        rng = self._rng
        relative = self._draw(site, person.culture, person.surname, phone_share)
        if rng.random() < 0.25:
            title = rng.choice(KIN[site.language][relative.woman])
            called = f"{title} {relative.called}"
            # Whoever is called so was there before.
            born = date(rng.randint(1938, 1966), rng.randint(1, 12), rng.randint(1, 28))
            return replace(relative, name=called, called=called, born=born, kin=True)
        return relative

    def _draw(self, site: Site, culture: str, surname: str, phone_share: float) -> Person:
        rng = self._rng
        woman = rng.random() < 0.54
        first = rng.choice(_names(culture)["women" if woman else "men"])
        born = _draw_birth(rng)
        phone = draw_phone(rng, site, self._phones) if rng.random() < phone_share else None
        return Person(
            name=f"{first} {surname}",
            called=first,
            surname=surname,
            culture=culture,
            woman=woman,
            born=born,
            email=self._draw_email(first, surname, born),
            phone=phone,
        )

    def _draw_email(self, first: str, surname: str, born: date) -> str:
        """Draws an address as such a person would have chosen it, with a number if it is gone."""
        rng = self._rng
        given, family = to_ascii(first).split(), to_ascii(surname).split()
        locals_by_weight: dict[str, float] = {
            f"{given[0]}.{family[0]}": 34,
            f"{given[0][0]}{family[0]}": 16,
            f"{given[0]}{family[0]}": 14,
            f"{'.'.join(given)}.{family[-1]}": 8,
            f"{given[0]}_{family[0]}": 6,
            f"{given[0]}{born.year % 100:02}": 10,
            f"{family[0]}.{given[0]}": 6,
            f"hello.{given[0]}{family[0][0]}": 3,
            f"the{family[0]}s" if not family[0].endswith("s") else f"{family[0]}family": 3,
        }
        local = draw_weighted(rng, locals_by_weight)
        domain = draw_weighted(rng, DOMAINS)
        email = f"{local}@{domain}"
        while email in self._emails:
            email = f"{local}{rng.randint(2, 99)}@{domain}"
        self._emails.add(email)
        return email


def to_ascii(name: str) -> str:
    """Writes a name as its owner would in an address: lower case, no accents, no apostrophes."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(LETTERS))
    return plain.encode("ascii", "ignore").decode()


def _draw_birth(rng: random.Random) -> date:
    """Draws a birthday: grown-ups mostly, and a few who are about to turn fifteen or twenty."""
    first, last = (2009, 2012) if rng.random() < 0.07 else (1944, 2006)
    days = (date(last, 12, 31) - date(first, 1, 1)).days
    return date(first, 1, 1) + timedelta(days=rng.randint(0, days))


@cache
def _names(culture: str) -> dict[str, list[str]]:
    """Reads a culture's names: `last`, `women` and `men`."""
    kinds = (line.split(" ", 1) for line in read_sections("names")[culture])
    return {kind: [name.strip() for name in names.split(",")] for kind, names in kinds}
