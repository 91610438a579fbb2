"""What may be sent, and what state a greeting is in.

Pure: the time of day is an argument, and nothing is looked up. Refusals name the field and never
its value, which is personal.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from clients.greetings import Card, Recipient, SendGreeting
from clients.products import Product

from ..kit import Problem
from ..kit.values import clean_email, clean_name, clean_text, invalid
from .stored import StoredCard

State = Literal["scheduled", "sent", "cancelled"]

_LONGEST_MESSAGE = 2000
# Nobody plans a card further ahead; and beyond the year 9999 there is no date to keep.
_LATEST = timedelta(days=3653)


def clean(request: SendGreeting, now: datetime) -> SendGreeting:
    """Bring a greeting to the form in which it is kept.

    Raises:
        Problem: 422 invalid: a recipient or the message is none, or it is due in the past
            or too far ahead.
    """
    if request.deliver_at is not None and request.deliver_at <= now:
        raise invalid("deliver_at", "is in the past; leave it out to send at once.")
    if request.deliver_at is not None and request.deliver_at - now > _LATEST:
        raise invalid("deliver_at", "is more than ten years ahead.")
    cleaned = [
        Recipient(
            name=clean_name(recipient.name, field=f"recipients[{index}].name"),
            email=clean_email(recipient.email, field=f"recipients[{index}].email"),
        )
        for index, recipient in enumerate(request.recipients)
    ]
    addresses = [recipient.email.casefold() for recipient in cleaned]
    for index, address in enumerate(addresses):
        if addresses.index(address) != index:
            raise invalid(f"recipients[{index}].email", "is that of a recipient before it.")
    return replace(request, recipients=cleaned, message=_clean_message(request.message))


def _clean_message(message: str) -> str:
    return clean_text(
        message.replace("\r\n", "\n"), field="message", longest=_LONGEST_MESSAGE, controls="\n\t"
    )


def check_product(product: Product, site: str) -> None:
    """See that a product may be sent from a site.

    Raises:
        Problem: 422 invalid: it is retired, or not sold there.
    """
    if product.state == "retired":
        raise invalid("sku", f"{product.sku} is retired; look for another with products.search.")
    if site not in product.sites:
        raise invalid("sku", f"{product.sku} is not sold on {site}; see products.search.")


def state_of(
    deliver_at: datetime | None,
    cancelled_at: datetime | None,
    now: datetime,
    *,
    delivered_at: datetime | None = None,
) -> State:
    """What a greeting is at a moment; it is sent from the very moment that it is due.

    What was delivered is sent, although the clock of this machine may say that it is not due yet.
    """
    if cancelled_at is not None:
        return "cancelled"
    if delivered_at is not None:
        return "sent"
    return "sent" if deliver_at is None or deliver_at <= now else "scheduled"


def open_card(card: StoredCard | None, now: datetime) -> Card:
    """Show a card to whoever has its token.

    Raises:
        Problem: 404 not-found: there is none, or not any more; 409 not-due.
    """
    if card is None or card.cancelled_at is not None:
        # One answer for both: who has the token need not learn that a greeting was taken back.
        raise Problem(
            404, "not-found", detail="There is no such card. See that the link is complete."
        )
    if state_of(card.deliver_at, card.cancelled_at, now) == "scheduled":
        raise Problem(
            409, "not-due", detail="The card is not due yet. Open it when it has been delivered."
        )
    return Card(
        message=card.message,
        sender_name=card.sender_name,
        sku=card.sku,
        site=card.site,
        sent_at=card.deliver_at or card.created_at,
    )
