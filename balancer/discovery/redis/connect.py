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


async def log_in(protocol: Any, url: RedisUrl) -> None:
    """Give the password, if there is one.

    Raises:
        Lost: it is refused.
    """
    if not url.password:
        return
    try:
        await protocol.auth(url.password, url.user or None)
    except Exception as error:  # noqa: BLE001 - the library has several for a reply that is none
        why = lost(error)
        if why.refused:
            # Not the server's own words: where AUTH is unknown they repeat what was sent.
            code = str(error).partition(" ")[0]
            code = f" ({code})" if code in {"WRONGPASS", "NOPERM", "ERR"} else ""
            raise Lost(f"the user or password is refused{code}", refused=True) from None
        raise why from None


def lost(error: BaseException) -> Lost:
    """What a command failed with, in our terms."""
    from txredisapi import ResponseError  # noqa: PLC0415 - see the module

    if isinstance(error, Lost):
        return error
    if isinstance(error, ResponseError):
        words = str(error)
        if words.startswith("NOAUTH"):
            words = "a password is needed: redis://:PASSWORD@HOST, or ?password_file=PATH"
        return Lost(words, refused=True)
    return Lost(_plain(error))


def _plain(error: BaseException) -> str:
    if isinstance(error, defer.TimeoutError):
        return "no answer in time"
    text = str(error).strip().rstrip(".")
    return text[0].lower() + text[1:] if text else type(error).__name__
