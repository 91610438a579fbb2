"""The sockets that a replica listens on: bound by itself, or bound and passed by systemd.

They are bound before anything else is begun, so that a place that is taken is told at once, and
listen only when there is somebody to accept: whoever connects before is refused, and asks another
replica.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from twisted.internet.error import CannotListenError
from twisted.python import usage

_PLACE = re.compile(r"tcp:([0-9]{1,5})(?::interface=([^:]+|\[[0-9a-fA-F:]+\]))?").fullmatch
_PASSED = re.compile(r"systemd:([0-9]{1,3})").fullmatch
# Connections that the kernel keeps while we are busy: 1,024 bridge a pause of 100 ms at 10,000
# connects a second.
_BACKLOG = 1024


class Place(NamedTuple):
    """Where to bind.

    Attributes:
        host: the interface.
        port: 0 takes any free one.
    """

    host: str
    port: int


class Passed(NamedTuple):
    """A socket of systemd's.

    Attributes:
        number: which of those it passes, from 0, in the order of the socket unit.
    """

    number: int


def parse_listen(text: str) -> Place | Passed:
    """Read ``tcp:PORT``, ``tcp:PORT:interface=HOST`` or ``systemd:INDEX``.

    Returns:
        The place; loopback when no interface is named.

    Raises:
        usage.UsageError: it reads otherwise.
    """
    if passed := _PASSED(text):
        return Passed(int(passed[1]))
    found = _PLACE(text)
    if not found or int(found[1]) > 65535:
        raise usage.UsageError(
            f"{text!r} is not tcp:PORT:interface=HOST, such as tcp:8001:interface=127.0.0.1, nor "
            "systemd:INDEX, such as systemd:0"
        )
    return Place((found[2] or "127.0.0.1").strip("[]"), int(found[1]))


def every_interface(host: str) -> bool:
    """Whether a host to listen on stands for all of this machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def bind(place: Place) -> socket.socket:
    """Take a place; nobody can connect before `begin_listening`.

    Raises:
        CannotListenError: the address is taken or not ours.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, number)
        try:
            # A port whose last connections are not quite forgotten may be taken again.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise CannotListenError(place.host, place.port, error) from None
    return bound


def begin_listening(bound: socket.socket) -> None:
    """Let callers connect.

    Raises:
        CannotListenError: somebody else was faster.
    """
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise CannotListenError(host, port, error) from None


def address_of(bound: socket.socket) -> str:
    """Where a socket is, "host:port" or "[v6]:port"."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
