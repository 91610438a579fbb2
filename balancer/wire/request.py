"""The server's side of HTTP/1.1: bytes in, checked requests out.

llhttp (through httptools) does the grammar; this adds the limits and the checks that it leaves out.
Sans-IO: it neither reads nor writes, and after a `BadMessage` it takes nothing more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import httptools

from .fields import (
    USUAL,
    BadMessage,
    add_field,
    check_framing,
    check_host,
    check_trailer,
    origin_form,
)
from .limits import CHUNK_OVERHEAD, EACH_CHUNK, WireLimits

# What stands in a request line beside the target: the method, two spaces, the version.
_REST_OF_LINE = len(b"OPTIONS  HTTP/1.1")


class IncomingRequest:
    """A checked request.

    Attributes:
        method: such as b"GET".
        path: the target before "?", still quoted; absolute form is reduced to its path.
        query: the target after "?", or b"".
        headers: by lower-case name.
        body: raw; complete when the request leaves the parser.
        keep_alive: whether the connection may carry another request.
        handle: for whoever takes the head: kept until the request is whole.
    """

    __slots__ = ("body", "handle", "headers", "keep_alive", "method", "path", "query")

    def __init__(
        self, method: bytes, path: bytes, query: bytes, headers: dict[bytes, bytes]
    ) -> None:
        """Begin a request with an empty body on a connection that is kept."""
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.keep_alive = True
        self.handle: Any = None


class RequestParser:
    """Parses the requests of one connection.

    Attributes:
        requests: whole requests not yet taken, oldest first.
        in_head: whether a head has begun and is not whole.
        in_body: whether a body has begun and is not whole.
        wants_continue: whether the peer waits for "100 Continue" before it sends the body.
    """

    __slots__ = (
        "_asks_upgrade",
        "_body",
        "_body_limit",
        "_chunks",
        "_count",
        "_fed",
        "_fields",
        "_head_limit",
        "_host",
        "_limits",
        "_on_head",
        "_parser",
        "_received",
        "_request",
        "_size",
        "_target",
        "_upgraded",
        "in_body",
        "in_head",
        "requests",
        "wants_continue",
    )

    def __init__(
        self, limits: WireLimits, on_head: Callable[[IncomingRequest], int | None]
    ) -> None:
        """Begin a connection.

        Args:
            limits: what is taken in.
            on_head: called with each head before its body: it may set ``handle`` and returns the
                greatest body in bytes (None: the general limit); a BadMessage that it raises
                refuses the request.
        """
        self._limits = limits
        self._head_limit = limits.request_line_bytes + limits.header_bytes
        self._on_head = on_head
        self.requests: deque[IncomingRequest] = deque()
        self.in_head = False
        self.in_body = False
        self.wants_continue = False
        self._host: bytes | None = None
        self._fields: dict[bytes, bytes] = {}
        self._count = 0
        self._size = 0
        self._target = b""
        self._request: IncomingRequest | None = None
        self._body: bytes | bytearray = b""
        self._received = 0
        self._body_limit = 0
        self._chunks = 0
        self._fed = 0
        self._upgraded = False
        self._asks_upgrade = False
        self._parser = httptools.HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Take in what was received; whole requests are appended to ``requests``.

        Args:
            data: any piece of the stream.

        Raises:
            BadMessage: the stream is refused from here on; earlier whole requests stand.
        """
        if self._upgraded:
            return  # the request before it is the connection's last
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._pass_over_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, BadMessage):
                raise cause from None
            raise BadMessage(400, f"This is not valid HTTP/1.1: {error}.") from None
        if self.in_body:
            overhead = self._fed - self._received
            if overhead > self._head_limit + CHUNK_OVERHEAD + EACH_CHUNK * self._chunks:
                raise BadMessage(400, "The body's chunk extensions are too long.")
        elif self.in_head and self._fed > self._head_limit:
            # A head that is still growing; one that is whole was measured to the byte.
            raise BadMessage(431, f"The request's head is over {self._head_limit} bytes.")

    def _pass_over_upgrade(self, rest: bytes) -> None:
        """Go on after a head that asks for another protocol.

        That protocol is never spoken here: the request is answered as it stands. What follows it
        cannot be told from HTTP, so the connection ends after it. Its body is still to be read
        (Java's client asks for an upgrade with every first request, a POST too), but llhttp has
        done with the message: another parser, given the framing alone, reads the body.
        """
        request = self._request
        if request is None:
            self._upgraded = True
            self.requests[-1].keep_alive = False
            return
        request.keep_alive = False
        self._parser = httptools.HttpRequestParser(_BodyOnly(self))
        for name in (b"content-length", b"transfer-encoding"):
            if name in request.headers:
                framing = b"%b: %b" % (name, request.headers[name])
        self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: body\r\n%b\r\n\r\n" % framing)
        self._fed -= len(rest)
        self.feed(rest)

    def end_last(self) -> None:
        """Hand out the request that asked for an upgrade, now that its body is whole."""
        if self._request is not None:
            self._asks_upgrade = False
            self.on_message_complete()
            self._upgraded = True

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begin a head; the piece of stream in which it begins is not counted against it."""
        self.in_head = True
        self._fed = 0

    def on_url(self, data: bytes) -> None:
        """Take a piece of the target."""
        self._target += data
        if len(self._target) + _REST_OF_LINE > self._limits.request_line_bytes:
            raise BadMessage(
                414, f"The request line is over {self._limits.request_line_bytes} bytes."
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer."""
        if self._request is not None:
            check_trailer(name)
            return
        self._count += 1
        self._size += len(name) + len(value) + 4
        usual = USUAL.get(name)
        if usual is not None and usual not in self._fields:
            self._fields[usual] = value
        else:
            add_field(self._fields, name, value)

    def on_headers_complete(self) -> None:
        """Check the head."""
        fields = self._fields
        limits = self._limits
        if self._count > limits.header_count:
            raise BadMessage(431, f"There are more than {limits.header_count} header fields.")
        if self._size > limits.header_bytes:
            raise BadMessage(431, f"The header fields are over {limits.header_bytes} bytes.")
        version = self._parser.get_http_version()
        if version != "1.1" and version != "1.0":  # noqa: PLR1714 - this is on the hot path
            raise BadMessage(505, f"HTTP/{version} is not spoken here; use HTTP/1.1.")
        host = fields.get(b"host")
        if host is None:
            if version == "1.1":
                raise BadMessage(400, "The Host header is missing.")
        elif host != self._host:
            check_host(host)
            self._host = host
        chunked = b"transfer-encoding" in fields
        if chunked:
            check_framing(fields, version)
        path, query = _split(self._target)
        request = IncomingRequest(self._parser.get_method(), path, query, fields)
        request.keep_alive = version == "1.1" and self._parser.should_keep_alive()
        limit = self._on_head(request)
        self._body_limit = limits.body_bytes if limit is None else limit
        length = fields.get(b"content-length")
        if length is not None and int(length) > self._body_limit:
            raise BadMessage(413, f"The body is over the limit of {self._body_limit} bytes.")
        if b"expect" in fields:
            self._expect(fields[b"expect"], version)
        if b"upgrade" in fields and (chunked or int(length or 0)):
            # The parser takes what follows for the other protocol's and leaves the body out.
            self._asks_upgrade = self._parser.should_upgrade()
        self._request = request
        self.in_head = False
        self.in_body = True

    def _expect(self, value: bytes, version: str) -> None:
        if value.lower() != b"100-continue":
            raise BadMessage(417, "The only expectation understood here is 100-continue.")
        self.wants_continue = version == "1.1"

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.wants_continue = False
        self._received += len(data)
        if self._received > self._body_limit:
            raise BadMessage(413, f"The body is over the limit of {self._body_limit} bytes.")
        body = self._body
        if not body:
            self._body = data
        elif isinstance(body, bytearray):
            body += data
        else:
            # Joined as it comes: kept apart, pieces of one byte would take fifty times their size.
            self._body = bytearray(body + data)

    def on_message_complete(self) -> None:
        """Hand the whole request out and begin anew."""
        if self._asks_upgrade:
            return
        request = self._request
        assert request is not None
        if self._body:
            request.body = bytes(self._body)
            self._body = b""
            self._received = 0
        self.requests.append(request)
        self._request = None
        self._fields = {}
        self._count = 0
        self._size = 0
        self._target = b""
        self._chunks = 0
        self.in_body = False
        self.wants_continue = False


class _BodyOnly:
    """What a parser calls that reads only the body of a request whose head is known."""

    def __init__(self, parser: RequestParser) -> None:
        self.on_body = parser.on_body
        self.on_chunk_header = parser.on_chunk_header
        self.on_message_complete = parser.end_last


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target in any of its forms.

    Raises:
        BadMessage: it has a scheme, and is no absolute HTTP URL.
    """
    if not target.startswith(b"/"):
        target = origin_form(target)
    path, _, query = target.partition(b"?")
    return path, query
