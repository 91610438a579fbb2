"""The greetings service's contract: cards on their way from one person to others.

::

    greetings = mesh.client(Greetings)
    sent = await greetings.send(
        sender=user.id, recipients=[Recipient(name="Bo", email="bo@example.com")],
        sku="BDAY-00017", message="Many happy returns!", site="greetwell",
    )
    card = await greetings.open(token=sent.token)
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from .contract import Call, Contract, Message, Smoke
from .fields import Cursor, Email, Limit, Moment, PersonName, Site
from .products import Sku
from .users import UserId

GreetingId = Annotated[
    str,
    Meta(
        pattern=r"^g_[a-z2-7]{16}$(?!\n)",
        description="A greeting's id.",
        examples=["g_mzxw6ytboi2dsmjq"],
    ),
]
# One token a greeting, not one a recipient: a card is passed on and opened by crowds who are no
# recipients, and one token means one page, one count and one cache entry for all of them.
Token = Annotated[
    str,
    Meta(
        pattern=r"^t_[a-z2-7]{26}$(?!\n)",
        description="Opens a card without any other right; 130 random bits, one a greeting.",
        examples=["t_mzxw6ytboi2dsmjqmzxw6ytboi"],
    ),
]
MessageText = Annotated[
    str, Meta(min_length=1, max_length=2000, description="What the sender has written.")
]


class Recipient(Message):
    """Somebody who gets a greeting."""

    name: PersonName
    email: Email


Recipients = Annotated[list[Recipient], Meta(min_length=1, max_length=100)]


class Greeting(Message):
    """A greeting, as its sender sees it."""

    id: GreetingId
    sender: UserId
    recipients: Recipients
    sku: Sku
    message: MessageText
    site: Site
    deliver_at: Annotated[Moment, Meta(description="When it is due; null: at once.")] | None
    state: Annotated[
        Literal["scheduled", "sent", "cancelled"],
        Meta(description="A scheduled greeting becomes sent when it is due."),
    ]
    created_at: Moment
    # Not there in answers that were kept, or are given, by replicas of the version before.
    delivered_at: (
        Annotated[
            Moment,
            Meta(
                description="When its delivery was recorded: at once or, if scheduled, as a rule "
                "within seconds of when it is due; null: not yet. Its card opens from when it is "
                "due. No mail is sent."
            ),
        ]
        | None
    ) = None
    views: Annotated[
        int, Meta(ge=0, description="How often it was opened, as stored: a second or so behind.")
    ]


class Sent(Message):
    """A greeting that was accepted, and the token that opens its card."""

    greeting: Greeting
    token: Token


class Card(Message):
    """A greeting, as those who open it see it."""

    message: MessageText
    sender_name: PersonName
    sku: Sku
    site: Site
    sent_at: Annotated[Moment, Meta(description="When it was sent or, if scheduled, due.")]


class GreetingPage(Message):
    """Some of the greetings of one sender, the newest first."""

    greetings: list[Greeting]
    next: Annotated[str, Meta(description="The cursor of the page after; null at the end.")] | None


class PopularGreeting(Message):
    """A much opened greeting, without anything that its sender wrote."""

    id: GreetingId
    sku: Sku
    site: Site
    views: Annotated[int, Meta(ge=0, description="How often it was opened, as stored.")]


class PopularGreetings(Message):
    """The most opened greetings, the most opened first."""

    greetings: list[PopularGreeting]


class SendGreeting(Message):
    """A new greeting."""

    sender: UserId
    recipients: Recipients
    sku: Sku
    message: MessageText
    site: Site
    deliver_at: (
        Annotated[Moment, Meta(description="When it is due, in the future; null: at once.")] | None
    ) = None


class FetchGreeting(Message):
    """A greeting by id."""

    id: GreetingId


class OpenCard(Message):
    """A look at a card."""

    token: Token


class ListSent(Message):
    """One page of what a user has sent."""

    sender: UserId
    cursor: Cursor | None = None
    limit: Limit = 20


class CancelGreeting(Message):
    """A greeting that shall not be delivered."""

    id: GreetingId


class FindPopular(Message):
    """Which greetings are opened most, on one site or on all."""

    site: Site | None = None
    limit: Limit = 10


class Greetings(Contract, name="greetings"):
    """Greetings: sent now or later, opened by whoever has the token, counted as they are opened.

    The sender must be a user and the product must be sold on the site; the message stays as it was
    sent, whatever becomes of either.
    """

    send = Call(
        SendGreeting,
        Sent,
        post="/v1/greetings",
        keyed=True,
        status=201,
        deadline_s=2.0,
        body_limit=65_536,
        summary="Send a greeting, or schedule one.",
    )
    fetch = Call(
        FetchGreeting,
        Greeting,
        get="/v1/greetings/{id}",
        deadline_s=0.5,
        summary="Read a greeting as its sender.",
    )
    # Not idempotent in the strict sense: a retry may count a view twice. Said to be so all the
    # same, because the other choice is a card that does not open, and a lost view is worse.
    open = Call(
        OpenCard,
        Card,
        post="/v1/cards/{token}/views",
        idempotent=True,
        deadline_s=0.5,
        priority=0,
        summary="Open a card and count the view.",
    )
    list_sent = Call(
        ListSent,
        GreetingPage,
        get="/v1/users/{sender}/greetings",
        summary="Read what a user has sent, the newest first, a page at a time.",
    )
    # Keyed, so that a retry gets the first answer, while another attempt to cancel is refused.
    cancel = Call(
        CancelGreeting,
        Greeting,
        post="/v1/greetings/{id}/cancel",
        keyed=True,
        deadline_s=2.0,
        summary="Cancel a greeting that is not due yet; 409 not-scheduled otherwise.",
    )
    popular = Call(
        FindPopular,
        PopularGreetings,
        get="/v1/popular",
        priority=2,
        smoke=Smoke(FindPopular(limit=1)),
        summary="The most opened greetings.",
    )
