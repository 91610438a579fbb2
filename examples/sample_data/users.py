"""Makes the users and their address books."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .draws import draw_id, draw_instant, draw_weighted, lots
from .people import Person, Population
from .shapes import Contact, User
from .sites import OPENED, SITES, Site

USERS = 1_000
# How many contacts a user has: mostly few. It comes to 3.3 on average.
CONTACTS = {2: 30, 3: 34, 4: 20, 5: 10, 6: 6}
USER_PHONE_SHARE, CONTACT_PHONE_SHARE, BIRTHDAY_SHARE = 0.74, 0.5, 0.62
# Whom a contact is: another user, a relative, or somebody else.
ACQUAINTANCE = {"user": 12, "relative": 34, "other": 54}
LAST_SIGN_UP = datetime(2026, 8, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """A contact together with the person behind it."""

    contact: Contact
    person: Person


@dataclass(frozen=True)
class Account:
    """A user, the person behind it, and whom they know."""

    user: User
    person: Person
    site: Site
    contacts: list[Known]


def make_accounts() -> list[Account]:
    """Makes all users with their contacts, sorted by the user's id."""
    rng = lots("users")
    population = Population(rng)
    accounts = [_draw_account(rng, population) for _ in range(USERS)]
    by_site = {
        site.name: [account.person for account in accounts if account.site is site]
        for site in SITES
    }
    for account in accounts:
        _fill_address_book(rng, population, account, by_site[account.site.name])
    return sorted(accounts, key=lambda account: account.user.id)


def _draw_account(rng: random.Random, population: Population) -> Account:
    """Draws a user whose address book is still empty."""
    site = rng.choices(SITES, [site.share for site in SITES])[0]
    person = population.draw_person(site, USER_PHONE_SHARE)
    user = User(
        id=draw_id(rng, "u"),
        version=1,
        name=person.name,
        email=person.email,
        phone=person.phone,
        site=site.name,
        created_at=draw_instant(rng, OPENED, LAST_SIGN_UP),
    )
    return Account(user=user, person=person, site=site, contacts=[])


def _fill_address_book(
    rng: random.Random, population: Population, account: Account, users: Sequence[Person]
) -> None:
    """Adds contacts to an account: some are users of the same site, some are relatives."""
    wanted = draw_weighted(rng, CONTACTS)
    met = {account.person.email}
    while len(account.contacts) < wanted:
        kind = draw_weighted(rng, ACQUAINTANCE)
        if kind == "user":
            person = rng.choice(users)
        elif kind == "relative":
            person = population.draw_relative(account.site, account.person, CONTACT_PHONE_SHARE)
        else:
            person = population.draw_person(account.site, CONTACT_PHONE_SHARE)
        # Two who are called the same make a card read as if it were sent to oneself.
        if person.email in met or person.called == account.person.called:
            continue
        met.add(person.email)
        contact = Contact(
            id=draw_id(rng, "c"),
            user_id=account.user.id,
            name=person.name,
            email=person.email,
            phone=person.phone,
            birthday=person.born if rng.random() < BIRTHDAY_SHARE else None,
        )
        account.contacts.append(Known(contact=contact, person=person))
