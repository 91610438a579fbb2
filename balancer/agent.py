"""An `IAgent` over the balancer.

Plain treq, or anything else that takes an agent, gets replicas, deadlines and retries by naming a
service as the host of a URL: ``http://users/v1/users/u_1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer, IProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from .dispatch import Dispatcher
from .values import Reply, Request

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"})
# Fields that the balancer writes itself.
_OURS = frozenset(
    {
        b"host",
        b"content-length",
        b"connection",
        b"transfer-encoding",
        b"mesh-attempt",
        b"mesh-caller",
        b"mesh-deadline",
    }
)
# Nothing that would end the line or the word that it stands in.
_URL = re.compile(rb"[Hh][Tt][Tt][Pp]://([A-Za-z0-9][A-Za-z0-9._-]*)(?=[/?#]|\Z)([!-~]*)").fullmatch
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


@implementer(IAgent)
class MeshAgent:
    """See the module."""

    def __init__(
        self, dispatcher: Dispatcher, deadline: Callable[[float], float], deadline_s: float
    ) -> None:
        """Make an agent.

        Args:
            dispatcher: makes the calls.
            deadline: from seconds to the instant that also respects the request being handled.
            deadline_s: how long each request may take, in seconds, body included.
        """
        self._dispatcher = dispatcher
        self._deadline = deadline
        self._deadline_s = deadline_s

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """Make a request; see `IAgent`.

        Raises:
            ValueError: the URL is not ``http://SERVICE/...``, quoted, or the method is none.
        """
        match = _URL(uri)
        if match is None:
            raise ValueError(
                f"{uri!r} is not http://SERVICE/..., with a service's name such as users for a "
                "host, no port, and all else percent-quoted; the mesh speaks plain HTTP"
            )
        if not _METHOD(method):
            raise ValueError(f"{method!r} is no HTTP method")
        service, target = match[1], match[2].partition(b"#")[0]
        if not target.startswith(b"/"):
            target = b"/" + target
        headers = headers or Headers()
        lines = b"".join(
            b"%b: %b\r\n" % (name, value)
            for name, values in headers.getAllRawHeaders()
            if name.lower() not in _OURS
            for value in values
        )
        retryable = method in _IDEMPOTENT or headers.hasHeader(b"idempotency-key")
        body: Deferred[bytes] = _read_body(bodyProducer)

        def send(data: bytes) -> Deferred[IResponse]:
            request = Request(service.decode("ascii"), method, target, lines, data)
            return self._dispatcher.call(
                request,
                self._deadline(self._deadline_s),
                lambda reply, attempts: _Response(reply),
                retryable=retryable,
            )

        return body.addCallback(send)


def _read_body(producer: IBodyProducer | None) -> Deferred[bytes]:
    """The whole of a request's body: it must be at hand for another attempt."""
    if producer is None:
        return succeed(b"")
    buffer = _Buffer()
    done: Deferred[None] = producer.startProducing(buffer)
    return done.addCallback(lambda _: b"".join(buffer.parts))


@implementer(IConsumer)
class _Buffer:
    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass


@implementer(IPushProducer)
class _Delivered:
    """The transport of a body that has already come: there is nothing to pause or stop."""

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    def abortConnection(self) -> None:
        pass


@implementer(IResponse)
class _Response:
    """A whole reply as an `IResponse`."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = None
    previousResponse = None

    def __init__(self, reply: Reply) -> None:
        self.code = reply.status
        self.headers = Headers()
        for name, value in reply.headers:
            self.headers.addRawHeader(name, value)
        self._body = reply.body
        self.length = len(reply.body)

    def deliverBody(self, protocol: IProtocol) -> None:
        protocol.makeConnection(cast("ITransport", _Delivered()))
        if self._body:
            protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: IResponse) -> None:
        self.previousResponse = response
