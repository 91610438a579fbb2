"""Knows when each occasion is, how often it is greeted, and whom such a card suits."""

from dataclasses import dataclass
from datetime import date, timedelta

from .people import Person
from .sites import CARDHOUSE, FIESTA, TODAY, Site

# The years that have sample greetings, and the one that scheduled cards wait for.
YEARS = (2024, 2025, 2026, 2027)
FIRST_DAY = date(2024, 11, 1)


@dataclass(frozen=True)
class Occasion:
    """An occasion as the greetings need it.

    Attributes:
        name: as it stands in the products.
        weight: how often it is greeted, beside the others.
        spread_days: how long before its day people send their cards.
        women: True when only women are greeted, False when only men, None when anybody.
        born: the first and last year of birth of those who are greeted.
        kin: whether "Aunt Rose" may get one.
        sudden: whether nobody knows the day weeks ahead.
    """

    name: str
    weight: float
    spread_days: int = 3
    women: bool | None = None
    born: tuple[int, int] = (1900, 2027)
    kin: bool = True
    sudden: bool = False

    def suits(self, person: Person) -> bool:
        """Says whether such a card makes sense for this person."""
        return (
            (self.women is None or person.woman is self.women)
            and self.born[0] <= person.born.year <= self.born[1]
            and (self.kin or not person.kin)
        )


OCCASIONS = (
    Occasion("birthday", 36),
    Occasion("christmas", 15, spread_days=16),
    Occasion("valentine", 7, born=(1944, 2004), kin=False),
    Occasion("thank-you", 9, sudden=True),
    Occasion("wedding", 3, born=(1975, 2001), kin=False),
    Occasion("new-baby", 4, born=(1979, 2001), kin=False, sudden=True),
    Occasion("get-well", 5, sudden=True),
    Occasion("anniversary", 4, born=(1944, 1992)),
    Occasion("graduation", 6, born=(1990, 2006), kin=False),
    Occasion("sympathy", 3, born=(1944, 1999), sudden=True),
    Occasion("mothers-day", 6, women=True, born=(1944, 1998)),
    Occasion("fathers-day", 3.5, women=False, born=(1944, 1998)),
    Occasion("halloween", 3.5, spread_days=9),
    Occasion("day-of-the-dead", 4),
    # As often as somebody turns fifteen: so few do that it must be tried for often.
    Occasion("quinceanera", 30, women=True, born=(2010, 2011), kin=False),
    Occasion("new-year", 4, spread_days=4),
    Occasion("congratulations", 4, sudden=True),
    Occasion("easter", 2.5, spread_days=5),
)

FIXED_DAYS = {
    "christmas": (12, 25),
    "valentine": (2, 14),
    "halloween": (10, 31),
    "day-of-the-dead": (11, 2),
    "new-year": (1, 1),
}
EASTER = (date(2025, 4, 20), date(2026, 4, 5), date(2027, 3, 28))
FATHERS_DAY = (date(2025, 6, 15), date(2026, 6, 21), date(2027, 6, 20))
MOTHERS_DAY = {
    "greetwell": (date(2025, 5, 11), date(2026, 5, 10), date(2027, 5, 9)),
    # Britain's is the fourth Sunday in Lent.
    CARDHOUSE.name: (date(2025, 3, 30), date(2026, 3, 15), date(2027, 3, 7)),
    # Mexico's is always on the tenth.
    FIESTA.name: (date(2025, 5, 10), date(2026, 5, 10), date(2027, 5, 10)),
}
# Schools and universities finish between these days.
GRADUATIONS = ((5, 14), (7, 17))


def list_days(occasion: Occasion, site: Site, person: Person) -> list[date]:
    """Lists the days on which this person could be greeted for this occasion.

    Args:
        occasion: what for.
        site: whose country's calendar counts.
        person: whose birthday it may be.

    Returns:
        Days from `FIRST_DAY` to the end of 2027, in no particular order.
    """
    name = occasion.name
    if name == "birthday":
        days = [_birthday(person, year) for year in YEARS]
    elif name == "quinceanera":
        days = [_birthday(person, person.born.year + 15)]
    elif name in FIXED_DAYS:
        days = [date(year, *FIXED_DAYS[name]) for year in YEARS]
    elif name == "easter":
        days = list(EASTER)
    elif name == "fathers-day":
        days = list(FATHERS_DAY)
    elif name == "mothers-day":
        days = list(MOTHERS_DAY[site.name])
    elif name == "graduation":
        days = [
            day
            for year in YEARS
            for day in _days_between(date(year, *GRADUATIONS[0]), date(year, *GRADUATIONS[1]))
        ]
    else:
        days = _days_between(FIRST_DAY, TODAY if occasion.sudden else date(2027, 9, 30))
    return [day for day in days if day >= FIRST_DAY]


def _birthday(person: Person, year: int) -> date:
    """Says when a birthday is kept; those born on a 29 February keep it on the 28th."""
    if (person.born.month, person.born.day) == (2, 29):
        return date(year, 2, 28)
    return person.born.replace(year=year)


def _days_between(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
