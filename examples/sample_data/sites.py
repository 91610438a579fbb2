"""The three co-branded sites: their language, their money, and who uses them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime

# The samples are as of this day: everything before it has happened. It is fixed, since the files
# must come out the same whenever they are made.
TODAY = date(2026, 10, 31)
OPENED = datetime(2023, 1, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Site:
    """One co-branded site.

    Attributes:
        name: as it stands in the records.
        language: which texts it uses.
        currency: what its own designs are priced in.
        share: its part of all users.
        cultures: the sections of `names.txt` that its users' names come from, with weights.
        morning_utc: the hour at which its scheduled cards go out, in UTC.
    """

    name: str
    language: str
    currency: str
    share: float
    cultures: dict[str, int]
    morning_utc: int


GREETWELL = Site(
    name="greetwell",
    language="en",
    currency="USD",
    share=0.48,
    cultures={
        "american": 50,
        "african-american": 10,
        "latino-us": 10,
        "chinese": 7,
        "korean": 4,
        "vietnamese": 4,
        "indian": 8,
        "nigerian": 3,
        "arab": 4,
    },
    morning_utc=14,
)
CARDHOUSE = Site(
    name="cardhouse",
    language="en",
    currency="GBP",
    share=0.29,
    cultures={
        "english": 50,
        "scottish": 9,
        "irish": 7,
        "welsh": 6,
        "pakistani-uk": 7,
        "punjabi-uk": 4,
        "indian": 4,
        "polish": 5,
        "caribbean-uk": 5,
        "nigerian": 2,
        "ghanaian": 2,
    },
    morning_utc=8,
)
FIESTA = Site(
    name="fiesta",
    language="es",
    currency="MXN",
    share=0.23,
    cultures={"mexican": 80, "spanish": 6, "colombian": 8, "argentine": 6},
    morning_utc=15,
)
SITES = (GREETWELL, CARDHOUSE, FIESTA)
