"""The caller's side of HTTP/1.1: bytes in, one checked reply out.

The peer is our own replica or a stranger behind the agent; both are held to the same limits,
because a caller must not be brought down by what it calls.
"""

from __future__ import annotations

import httptools

from ..values import Reply
from .fields import BadMessage
from .limits import CHUNK_OVERHEAD, EACH_CHUNK, WireLimits


class ReplyParser:
    """Parses the replies of one connection, one request at a time.

    Attributes:
        keep_alive: after a reply: whether the connection may carry another request.
        begun: whether any byte of the current reply was received.
    """

    __slots__ = (
        "_bodiless",
        "_chunks",
        "_fed",
        "_head_limit",
        "_in_body",
        "_limits",
        "_pairs",
        "_parser",
        "_parts",
        "_received",
        "_reply",
        "_until_eof",
        "begun",
        "keep_alive",
    )

    def __init__(self, limits: WireLimits) -> None:
        """Begin a connection.

        Args:
            limits: what is taken in.
        """
        self._limits = limits
        self._head_limit = limits.request_line_bytes + limits.header_bytes
        self.keep_alive = True
        self.begun = False
        self._bodiless = False
        self._in_body = False
        self._until_eof = False
        self._fed = 0
        self._chunks = 0
        self._received = 0
        self._pairs: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._reply: Reply | None = None
        self._parser = httptools.HttpResponseParser(self)

    def expect(self, *, bodiless: bool) -> None:
        """Say what is asked next: an answer to HEAD has a length and no body."""
        self._bodiless = bodiless

    def feed(self, data: bytes) -> Reply | None:
        """Take in what was received.

        Returns:
            The reply, once it is whole.

        Raises:
            BadMessage: it is not HTTP, over a limit, or ambiguous.
        """
        self.begun = True
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise BadMessage(502, "it switched protocols, which nobody asked for") from None
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, BadMessage):
                raise cause from None
            if self._reply is None or self.keep_alive:
                raise BadMessage(502, f"it is not valid HTTP/1.1: {error}") from None
            # Bytes after a reply that ends the connection: the reply itself stands.
        reply = self._reply
        if reply is None:
            overhead = self._fed - self._received
            if overhead > self._head_limit:
                if not self._in_body:
                    raise BadMessage(502, f"its head is over {self._head_limit} bytes")
                if overhead > self._head_limit + CHUNK_OVERHEAD + EACH_CHUNK * self._chunks:
                    raise BadMessage(502, "its chunk extensions or trailers are too long")
            return None
        self._reply = None
        self.begun = False
        self._fed = 0
        return reply

    def end(self) -> Reply | None:
        """Take in the end of the stream, which ends a reply that has no length.

        Returns:
            The reply, when the end made one whole.
        """
        if not self._until_eof:
            return None
        self.keep_alive = False
        self._finish()
        return self._reply

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Refuse the beginning of an answer that nobody asked for.

        Kept, it would be taken for the start of the answer to the connection's next request.
        """
        if self._reply is not None:
            raise BadMessage(502, "it sent more than one answer")

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._chunks += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; trailers are dropped."""
        if not self._in_body:
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head."""
        pairs = self._pairs
        if len(pairs) > self._limits.header_count:
            raise BadMessage(502, f"it has more than {self._limits.header_count} header fields")
        lengths = 0
        chunked = False
        for name, value in pairs:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                lengths += 1
                if int(value) > self._limits.body_bytes and not self._bodiless:
                    raise BadMessage(502, f"its body is over {self._limits.body_bytes} bytes")
            elif size == 17 and name.lower() == b"transfer-encoding":
                if chunked or value.lower() != b"chunked":
                    raise BadMessage(502, "its Transfer-Encoding is not exactly chunked")
                chunked = True
        if lengths > 1 or (lengths and chunked):
            raise BadMessage(502, "its length is given twice")
        if chunked and self._parser.get_http_version() != "1.1":
            raise BadMessage(502, "it is chunked, which only HTTP/1.1 knows")
        self._in_body = True
        if self._bodiless:
            if self._parser.get_status_code() >= 200:
                # llhttp cannot be told that no body follows, so this connection is not used again.
                self._finish()
                self.keep_alive = False
        elif not lengths and not chunked:
            status = self._parser.get_status_code()
            self._until_eof = status >= 200 and status not in (204, 304)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._received += len(data)
        if self._received > self._limits.body_bytes:
            raise BadMessage(502, f"its body is over {self._limits.body_bytes} bytes")
        self._parts.append(data)

    def on_message_complete(self) -> None:
        """Hand the reply out; an interim one (1xx) is passed over."""
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100:
                raise BadMessage(502, f"its status is {status}")
            self._reset()
            return
        if self._bodiless:
            return
        self.keep_alive = self._parser.should_keep_alive()
        self._finish()

    def _finish(self) -> None:
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._reply = Reply(self._parser.get_status_code(), self._pairs, body)
        self._reset()

    def _reset(self) -> None:
        self._pairs = []
        self._parts = []
        self._received = 0
        self._chunks = 0
        self._in_body = False
        self._until_eof = False
