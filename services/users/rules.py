"""What users and contacts may look like, beyond what their contract can say.

Pure functions from what was sent to what is kept. They refuse with the field's name and never
with its value: a problem's detail is logged by callers, and the value is personal data.
"""

from __future__ import annotations

from datetime import date

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from ..kit.values import invalid

# Nobody alive is older; an earlier year is a slip such as 1089.
_EARLIEST_BIRTHDAY = date(1900, 1, 1)


def name_key(name: str) -> str:
    """What names are sorted by: without letter case."""
    return name.casefold()


def email_key(email: str) -> str:
    """The one form that equal addresses share.

    Servers may tell letter case apart before the "@" and none does; who registers twice under two
    spellings has forgotten the first.
    """
    return email.casefold()


def clean_phone(phone: str | None, *, field: str = "phone") -> str | None:
    """Bring a phone number to E.164, such as +12025550123.

    Raises:
        Problem: 422 invalid: it lacks the country, has an extension, or cannot exist.
    """
    if phone is None:
        return None
    try:
        number = phonenumbers.parse(phone, None)
    except NumberParseException:
        raise invalid(
            field, "is not a phone number with its country; write it as +12025550123."
        ) from None
    if number.extension:
        raise invalid(field, "has an extension, which cannot be kept; write the number alone.")
    if not phonenumbers.is_valid_number(number):
        raise invalid(field, "is not a number that exists in its country.")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def check_birthday(birthday: date | None, today: date, *, field: str = "birthday") -> date | None:
    """See that a birthday is one of somebody alive.

    Raises:
        Problem: 422 invalid: it is in the future or too long ago.
    """
    if birthday is not None and not _EARLIEST_BIRTHDAY <= birthday <= today:
        raise invalid(field, f"must be from {_EARLIEST_BIRTHDAY} to today.")
    return birthday
