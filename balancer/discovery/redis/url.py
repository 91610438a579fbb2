"""What a ``redis://`` or ``redis+sentinel://`` URL says. Pure.

::

    redis://[[user]:password@]host[:port][/db][?prefix=txmesh]
    redis+sentinel://[[user]:password@]host[:port],host[:port],host[:port]/MASTERNAME[/db]

Characters of a user or password that have a meaning in URLs are written as ``%40`` and so on.
Better no password stands in the URL at all: ``?password_file=PATH`` names a file with it.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

import msgspec

from ...errors import ConfigError
from ...values import split_address
from ..names import is_name

SCHEMES = ("redis", "redis+sentinel")
_EXAMPLES = {
    "redis": "redis://10.0.0.5:6379/0",
    "redis+sentinel": "redis+sentinel://10.0.0.5:26379,10.0.0.6:26379,10.0.0.7:26379/mymaster",
}
_PORTS = {"redis": 6379, "redis+sentinel": 26379}
_OPTIONS = ("prefix", "password_file")
_HAS_PORT = re.compile(r".*\]:[^\]]*|[^\[\]]*:[^\[\]]*").fullmatch


class RedisUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A URL in its parts.

    Attributes:
        scheme: one of `SCHEMES`.
        hosts: (host, port) of the server, or of each Sentinel.
        master: the name under which the Sentinels know the master; "" for one server.
        user: "" for the default one.
        password: "" for none.
        password_file: the file that holds it; "" for none.
        database: its number.
        prefix: what all keys and channels begin with.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    master: str = ""
    user: str = ""
    password: str = ""
    password_file: str = ""
    database: int = 0
    prefix: str = "txmesh"

    def __repr__(self) -> str:
        """As `shown`: a password never reaches a log or a traceback."""
        return f"RedisUrl({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URL without user and password, for people."""
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        master = f"/{self.master}" if self.master else ""
        prefix = "" if self.prefix == "txmesh" else f"?prefix={self.prefix}"
        return f"{self.scheme}://{hosts}{master}/{self.database}{prefix}"


def parse_redis(text: str) -> RedisUrl:
    """Take a URL apart.

    Args:
        text: the whole URL, of one of `SCHEMES`.

    Raises:
        ConfigError: it reads otherwise; the message shows nothing of what stands after the scheme,
            for a password may stand anywhere in it.
    """
    scheme = text.partition(":")[0]

    def wrong(what: str) -> ConfigError:
        return ConfigError(f"registry url '{scheme}://...': {what}, such as {_EXAMPLES[scheme]}")

    rest = text.removeprefix(f"{scheme}://")
    if rest == text:
        raise wrong("two slashes stand after the scheme")
    rest, _, query = rest.partition("?")
    # A password may hold anything but an "@" that is not written as %40.
    credentials, _, place = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts, *path = place.split("/")
    if "@" in query:
        raise wrong("a '?' in a password is written %3F, and an '@' in an option %40")
    master = ""
    if scheme == "redis+sentinel":
        master = path.pop(0) if path else ""
        if not is_name(master):
            raise wrong("the name of the master that the Sentinels watch stands after the hosts")
    if len(path) > 1 or (path and path[0] and not re.fullmatch(r"[0-9]{1,5}", path[0])):
        raise wrong("after the hosts stands the number of a database")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= set(_OPTIONS):
        raise wrong(f"there are no options but {' and '.join(_OPTIONS)}")
    prefix = options.get("prefix", "txmesh")
    if not is_name(prefix):
        raise wrong("prefix takes letters, digits, '.', '_' and '-'")
    if user and not password and "password_file" not in options:
        raise wrong("a user needs a password: USER:PASSWORD@, or ?password_file=PATH")
    if password and "password_file" in options:
        raise wrong("give the password or password_file, not both")
    many = scheme == "redis+sentinel"
    try:
        found = tuple(_host(host, scheme) for host in (hosts.split(",") if many else [hosts]))
    except ConfigError:
        raise wrong(
            "the Sentinels are host:port,host:port,..." if many else "the server is host[:port]"
        ) from None
    return RedisUrl(
        scheme=scheme,
        hosts=found,
        master=master,
        user=unquote(user),
        password=unquote(password),
        password_file=options.get("password_file", ""),
        database=int(path[0]) if path and path[0] else 0,
        prefix=prefix,
    )


def _host(text: str, scheme: str) -> tuple[str, int]:
    return split_address(text if _HAS_PORT(text) else f"{text}:{_PORTS[scheme]}")
