"""Values that more than one service takes: one spelling of each, and one refusal.

Pure functions from what was sent to what is kept. They refuse with the field's name and never with
its value: a problem's detail is logged by callers, and the value may be personal data.
"""

from __future__ import annotations

import unicodedata

from email_validator import EmailNotValidError, validate_email

from .problem import Problem

LONGEST_NAME = 200


def invalid(field: str, why: str) -> Problem:
    """The refusal of a field's value.

    Args:
        field: the request's field.
        why: what it must be, without the value.
    """
    return Problem(422, "invalid", detail=f"{field} {why}", field=field)


def clean_name(name: str, *, field: str = "name") -> str:
    """Bring a name to one spelling: composed letters, single spaces.

    Raises:
        Problem: 422 invalid: it is blank, too long, or has control characters.
    """
    return clean_text(" ".join(name.split()), field=field, longest=LONGEST_NAME)


def clean_text(text: str, *, field: str, longest: int, controls: str = "") -> str:
    """Bring a text to one spelling: composed letters, no blank edges.

    Args:
        text: as sent.
        field: the request's field.
        longest: how many letters it may have.
        controls: the control characters that it may have.

    Raises:
        Problem: 422 invalid: it is blank, too long, or has other control characters.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        raise invalid(field, "is blank.")
    if any(unicodedata.category(letter) == "Cc" and letter not in controls for letter in text):
        raise invalid(field, "has control characters in it.")
    # Composing can lengthen a few rare letters, and callers hold answers to the contract's limit.
    if len(text) > longest:
        raise invalid(field, f"is longer than {longest} letters.")
    return text


def clean_email(email: str, *, field: str = "email") -> str:
    """Bring an e-mail address to the form in which it is kept and shown.

    Raises:
        Problem: 422 invalid: no such address can exist.
    """
    try:
        return validate_email(
            email, check_deliverability=False, strict=True, allow_smtputf8=False
        ).normalized
    except EmailNotValidError:
        # The library's own words quote the address.
        raise invalid(field, "is not an e-mail address; write it as name@example.com.") from None
