"""One connection to a Redis or Sentinel: made, and let in by its password.

txredisapi speaks the protocol. Its pools reconnect by themselves, wait for ever while there is no
server and stop for good at a wrong password; what a registry needs is the opposite of each, so only
its protocol classes are used. It takes the process's reactor when it is imported, and is therefore
imported when the first connection is made: a configuration can be checked without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectError, DNSLookupError

from .url import RedisUrl

# On an internal network a connect that takes longer meets a dead machine (seconds).
CONNECT_S = 1.0
# How long a command may take (seconds): longer than any script here by far, and short enough that a
# frozen server is noticed soon.
COMMAND_S = 1.5
_NEEDS_ONE = (
    "it wants a password, and [registry] url gives none; write :PASSWORD@ before the host there, "
    "or better ?password_file=PATH at the end"
)
# What a server says of a password that is not its own, and of one where it has none: since Redis 6,
# and before.
_IS_WRONG = ("WRONGPASS", "ERR invalid password")
_HAS_NONE = ("without any password configured", "but no password is set")
# Of the command itself: a rule of an operator's, or a Redis older than 6 that is given a user.
_UNWANTED = ("NOPERM", "unknown command", "wrong number of arguments")
_FULL = "max number of clients"


class Lost(Exception):
    """The registry cannot be used at the moment; the message says why, and shows no password.

    Attributes:
        refused: whether a server answered, and said no.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        """See the class for the arguments."""
        super().__init__(why)
        self.refused = refused


async def connect(
    reactor: Any, host: str, port: int, heard: Callable[[str, bytes], None] | None = None
) -> Any:
    """Open a connection.

    Args:
        reactor: where its socket lives.
        host: name or address.
        port: of the server.
        heard: called with channel and message, for a connection that subscribes; None for one that
            sends commands.

    Returns:
        txredisapi's protocol, whose commands fail after `COMMAND_S`, and the connection with them.

    Raises:
        Lost: there is nobody.
    """
    from txredisapi import RedisProtocol, SubscriberProtocol  # noqa: PLC0415 - see the module

    kind = RedisProtocol if heard is None else SubscriberProtocol
    # Bytes stay as they are: the library would make a number of what looks like one.
    protocol = kind(charset=None, convertNumbers=False, replyTimeout=COMMAND_S)
    if heard is not None:
        protocol.messageReceived = lambda pattern, channel, message: heard(
            channel.decode("utf-8", "replace"), message
        )
    try:
        await connectProtocol(HostnameEndpoint(reactor, host, port, timeout=CONNECT_S), protocol)
    except (ConnectError, DNSLookupError, OSError) as error:
        raise Lost(f"{host}:{port}: {_plain(error)}") from None
    return protocol


async def log_in(protocol: Any, url: RedisUrl, at: str) -> None:
    """Give the password, if there is one.

    Args:
        protocol: the connection.
        url: with the password.
        at: where it leads, for people.

    Raises:
        Lost: it is refused.
    """
    if not url.password:
        return
    try:
        await protocol.auth(url.password, url.user or None)
    except Exception as error:  # noqa: BLE001 - the library has several for a reply that is none
        why = lost(error, at)
        if why.refused:
            raise Lost(f"{at}: {refusal(str(error), url)}", refused=True) from None
        raise why from None


def refusal(words: str, url: RedisUrl) -> str:
    """Why a password was not taken, and what to do. Pure.

    Not in the server's own words: where it does not know AUTH they repeat what was sent.

    Args:
        words: the server's.
        url: with what was sent.
    """
    if any(said in words for said in _HAS_NONE):
        given = "password_file" if url.password_file else "the password"
        return (
            f"it has no password, and [registry] url gives one; take {given} out of the url, "
            "or set one in the server, with requirepass"
        )
    if words.startswith(_IS_WRONG):
        what = "user or password is wrong, or the user is off" if url.user else "password is wrong"
        places = [] if url.password_file and not url.user else ["[registry] url"]
        places += [f"the file {url.password_file}"] if url.password_file else []
        return f"the {what}; correct it in {' or '.join(places)}"
    if any(said in words for said in _UNWANTED):
        return (
            "it refuses the AUTH command; allow it there, and give no user to a Redis older than 6"
        )
    if _FULL in words:
        return "it has as many clients as it takes; raise its maxclients, or find who holds them"
    return "it lets nobody log in now; its log says why"


def lost(error: BaseException, at: str) -> Lost:
    """What a command failed with, in our terms.

    Args:
        error: what came up.
        at: where the connection leads, for people.
    """
    from txredisapi import ResponseError  # noqa: PLC0415 - see the module

    if isinstance(error, Lost):
        return error
    if isinstance(error, ResponseError):
        words = str(error)
        if words.startswith("NOAUTH"):
            words = _NEEDS_ONE
        return Lost(f"{at}: {words}", refused=True)
    return Lost(f"{at}: {_plain(error)}")


def _plain(error: BaseException) -> str:
    if isinstance(error, defer.TimeoutError):
        return "no answer in time"
    text = str(error).strip().rstrip(".")
    return text[0].lower() + text[1:] if text else type(error).__name__
