"""An `IAgent` over the balancer.

Plain treq, or anything else that takes an agent, gets replicas, deadlines and retries by naming a
service as the host of a URL: ``http://users/v1/users/u_1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from .ambient import current
from .dispatch import Dispatcher
from .errors import DeadlineExceeded
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
# The greatest request body (bytes): it is held whole, for another attempt.
_LARGEST_BODY = 16 * 1024 * 1024
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
            ValueError: the URL is not ``http://SERVICE/...``, quoted, or the method is none. A body
                over 16 MiB fails the Deferred with one.
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
        # Both now, in the context of whoever asks: what fires the body's producer has another.
        deadline = self._deadline(self._deadline_s)
        ambient = current.get()
        if ambient is not None:
            lines += ambient.inherited_lines(lines)
        retryable = method in _IDEMPOTENT or headers.hasHeader(b"idempotency-key")

        def send(data: bytes) -> Deferred[IResponse]:
            request = Request(service.decode("ascii"), method, target, lines, data)
            return self._dispatcher.call(
                request, deadline, lambda reply, attempts: _Response(reply), retryable=retryable
            )

        if bodyProducer is None:
            return send(b"")
        left_s = max(0.0, deadline - self._dispatcher.clock.seconds())
        body = _read_body(bodyProducer)

        def too_late(_result: object, _wait_s: float) -> NoReturn:
            raise DeadlineExceeded(
                f"{service.decode()}: the deadline ran out before the request's body was whole",
                service=service.decode("ascii"),
            )

        body.addTimeout(left_s, cast("IReactorTime", self._dispatcher.clock), too_late)
        return body.addCallback(send)


def _read_body(producer: IBodyProducer) -> Deferred[bytes]:
    """The whole of a request's body: it must be at hand for another attempt."""
    whole: Deferred[bytes] = Deferred(lambda _: producer.stopProducing())
    buffer = _Buffer(producer, whole)

    def done(result: object) -> None:
        if whole.called:
            return
        if isinstance(result, Failure):
            whole.errback(result)
        else:
            whole.callback(b"".join(buffer.parts))

    producer.startProducing(buffer).addBoth(done)
    return whole


@implementer(IConsumer)
class _Buffer:
    def __init__(self, producer: IBodyProducer, whole: Deferred[bytes]) -> None:
        self.parts: list[bytes] = []
        self._bytes = 0
        self._producer = producer
        self._whole = whole

    def write(self, data: bytes) -> None:
        if self._whole.called:
            return
        self._bytes += len(data)
        if self._bytes > _LARGEST_BODY:
            self._producer.stopProducing()
            self._whole.errback(
                Failure(ValueError(f"a request's body is over {_LARGEST_BODY} bytes"))
            )
            return
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
