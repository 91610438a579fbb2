"""Makes the greetings: who sent what to whom, when, and how often it was opened."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from .draws import draw_id, draw_instant, draw_weighted, lots
from .messages import Occurrence, compose, has_words_for
from .occasions import OCCASIONS, Occasion, list_days
from .products import Design
from .shapes import Greeting, Recipient
from .sites import TODAY
from .users import Account, Known

GREETINGS = 2_000
# Of those, cards that wait for a day in 2027.
WAITING = 24
SCHEDULED_SHARE = 0.42
RECIPIENTS = {1: 52, 2: 26, 3: 13, 4: 9}
UNOPENED_SHARE = 0.11
# A Pareto tail of this shape opens half of the cards once or twice and a handful thousands of
# times, as forwarding does; the largest of 2,000 draws is near 2000 ** (1 / 0.75), or 25,000.
VIEWS_SHAPE = 0.75
VIEWS_MOST = 48_000


@dataclass(frozen=True)
class Plan:
    """A greeting before it has words: who, to whom, what for and on which day."""

    account: Account
    recipients: list[Known]
    occasion: Occasion
    day: date

    def greets(self) -> set[tuple[str, str, int]]:
        """Names whom it greets, what for and in which year: nobody is greeted twice for one."""
        return {(known.contact.id, self.occasion.name, self.day.year) for known in self.recipients}


def make_greetings(accounts: Sequence[Account], designs: Sequence[Design]) -> list[Greeting]:
    """Makes all greetings, sorted by id; no two say the same.

    Args:
        accounts: who may send, and their contacts.
        designs: what may be sent; retired ones are not.
    """
    rng = lots("greetings")
    # Some people send a card a month, most one a year.
    eagerness = [rng.paretovariate(2.2) for _ in accounts]
    popularity = {design.product.sku: rng.paretovariate(1.3) for design in designs}
    greetings: dict[str, Greeting] = {}
    greeted: set[tuple[str, str, int]] = set()
    while len(greetings) < GREETINGS:
        account = rng.choices(accounts, eagerness)[0]
        plan = _draw_plan(rng, account, waiting=len(greetings) < WAITING)
        if plan is None or not greeted.isdisjoint(plan.greets()):
            continue
        skus = {
            product.sku: popularity[product.sku]
            for product, anybody in ((design.product, design.suits_anybody) for design in designs)
            if anybody
            and product.state == "published"
            and product.occasion == plan.occasion.name
            and account.site.name in product.sites
        }
        if not skus:
            continue
        greeting = _write(rng, plan, draw_weighted(rng, skus))
        if greeting.message not in greetings:
            greetings[greeting.message] = greeting
            greeted |= plan.greets()
    return sorted(greetings.values(), key=lambda greeting: greeting.id)


def _draw_plan(rng: random.Random, account: Account, *, waiting: bool) -> Plan | None:
    """Draws who is greeted what for and when, or None when the draw makes no sense."""
    occasion = rng.choices(OCCASIONS, [occasion.weight for occasion in OCCASIONS])[0]
    count = draw_weighted(rng, RECIPIENTS)
    suited = [known for known in account.contacts if occasion.suits(known.person)]
    if len(suited) < count or not has_words_for(occasion.name, account.site, count):
        return None
    recipients = rng.sample(suited, count)
    # A month to look around first: then nobody schedules a card before they have an account.
    first = account.user.created_at.date() + timedelta(days=30)
    days = [
        day
        for day in list_days(occasion, account.site, recipients[0].person)
        if (day.year == TODAY.year + 1 if waiting else first <= day <= TODAY)
    ]
    if not days:
        return None
    return Plan(account=account, recipients=recipients, occasion=occasion, day=rng.choice(days))


def _write(rng: random.Random, plan: Plan, sku: str) -> Greeting:
    """Writes the greeting that was planned, on a product that suits it."""
    account, site = plan.account, plan.account.site
    created_at, deliver_at = _draw_times(rng, plan)
    occurrence = Occurrence(
        occasion=plan.occasion.name,
        site=site,
        sender=account.person,
        recipients=[known.person for known in plan.recipients],
        age=_age(plan),
    )
    return Greeting(
        id=draw_id(rng, "g"),
        token=draw_id(rng, "t", 26),
        sender=account.user.id,
        sender_name=account.user.name,
        recipients=[
            Recipient(name=known.contact.name, email=known.contact.email)
            for known in plan.recipients
        ],
        sku=sku,
        message=compose(rng, occurrence),
        site=site.name,
        deliver_at=deliver_at,
        created_at=created_at,
        views=0 if plan.day > TODAY else _draw_views(rng),
    )


def _age(plan: Plan) -> int | None:
    """Says what age a birthday brings, when the sender has noted the year of birth."""
    birthday = plan.recipients[0].contact.birthday
    if birthday is None or len(plan.recipients) > 1:
        return None
    return plan.day.year - birthday.year


def _draw_times(rng: random.Random, plan: Plan) -> tuple[datetime, datetime | None]:
    """Draws when the card was made and, if it was scheduled, when it goes out."""
    early = timedelta(days=rng.randint(0, plan.occasion.spread_days))
    hour = plan.account.site.morning_utc
    if plan.day > TODAY or rng.random() < SCHEDULED_SHARE:
        minute = rng.choice((0, 0, 0, 15, 30, 45))
        if plan.day > TODAY or plan.occasion.name in {"birthday", "quinceanera"}:
            early = timedelta(0)
        deliver_at = datetime.combine(plan.day - early, time(hour, minute), tzinfo=UTC)
        last = min(deliver_at - timedelta(hours=3), _evening(TODAY))
        ahead = timedelta(days=2 if plan.occasion.sudden else 21)
        return draw_instant(rng, last - ahead, last), deliver_at
    # Made by daylight, between breakfast and late evening.
    morning = datetime.combine(plan.day - early, time(hour - 1), tzinfo=UTC)
    return draw_instant(rng, morning, _evening(plan.day - early)), None


def _evening(day: date) -> datetime:
    return datetime.combine(day, time(22, 30), tzinfo=UTC)


def _draw_views(rng: random.Random) -> int:
    """Draws how often a card was opened: a long tail."""
    if rng.random() < UNOPENED_SHARE:
        return 0
    return min(VIEWS_MOST, int(rng.paretovariate(VIEWS_SHAPE)))
