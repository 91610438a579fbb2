"""Talking to a Kubernetes API server: whole answers, and watches as they come.

Each request has a connection of its own. There are few of them (a watch a minute, a renewal every
few seconds), and so a token or certificate that was rotated counts at once, and a connection that
froze is given up with its request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import msgspec
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from ...clock import Clock
from ...errors import RegistryError
from ...values import split_address
from .objects import Status
from .place import Place

# How long a connection may take to come about, and an answer, or the head of a watch (seconds): an
# API server that is being replaced answers late, and one that is well within milliseconds.
_CONNECT_S = 5.0
WITHIN_S = 10.0
# A list of 10,000 endpoints is some 10 MB.
_BODY_BYTES = 64 << 20
_DONE = Failure(ResponseDone())
_PEM_END = b"-----END CERTIFICATE-----\n"


class Answer(NamedTuple):
    """What the API server said.

    Attributes:
        status: the HTTP status.
        body: raw; b"" where it was taken as it came.
    """

    status: int
    body: bytes

    @property
    def why(self) -> str:
        """What it says of a refusal."""
        try:
            return msgspec.json.decode(self.body, type=Status).message or str(self.status)
        except (ValueError, RecursionError):  # what msgspec raises is a ValueError
            return str(self.status)


class KubernetesApi:
    """See the module."""

    def __init__(self, place: Place, reactor: Any, clock: Clock) -> None:
        """Take a server; nothing is connected before the first request.

        Args:
            place: with the server.
            reactor: where the sockets live.
            clock: monotonic.
        """
        self._place = place
        self._reactor = reactor
        self._clock = clock
        self._ahead_s: float | None = None

    def seconds(self) -> float:
        """What time it is by the API server's own clock, in seconds since the epoch.

        At most about a second behind: it is the date on its last answer, carried on.

        Raises:
            RegistryError: it never said.
        """
        if self._ahead_s is None:
            raise RegistryError(f"the API server {self._place.server} does not say what time it is")
        return self._clock.seconds() + self._ahead_s

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Deferred[Answer]:
        """Make a request and wait for the whole answer.

        Args:
            method: such as "GET".
            path: such as "/apis/apps/v1/namespaces/mesh/deployments/users".
            query: parameters.
            body: what to send.
            content_type: the body's.

        Returns:
            Fires with the answer, whatever its status; fails with `RegistryError` when there is
            none.
        """
        whole = _Whole()
        request = _Request(method, path, query or {}, body, content_type)
        followed = self._send(request, _nothing, whole.take, WITHIN_S)
        return followed.addCallback(
            lambda answer: answer._replace(body=answer.body or bytes(whole.body))
        )

    def follow(
        self,
        path: str,
        query: Mapping[str, str],
        begin: Callable[[], None],
        take: Callable[[bytes], None],
        within_s: float,
    ) -> Deferred[Answer]:
        """Ask, and take the answer as it comes.

        Args:
            path: as in `ask`.
            query: as in `ask`.
            begin: called when an answer with status 200 begins.
            take: called with each part of its body; what it raises ends the request.
            within_s: after which the request is given up, in seconds.

        Returns:
            Fires when the answer is at its end, with its body only where the status is another;
            fails with `RegistryError` when there is none, or when it was cut.
        """
        return self._send(_Request("GET", path, query, None, ""), begin, take, within_s)

    def _send(
        self,
        request: _Request,
        begin: Callable[[], None],
        take: Callable[[bytes], None],
        within_s: float,
    ) -> Deferred[Answer]:
        exchange = _Exchange(self._place, self._reactor)
        sent: Deferred[Answer] = Deferred.fromCoroutine(self._sent(request, exchange, begin, take))
        sent.addTimeout(within_s, cast("IReactorTime", self._clock))
        return sent.addBoth(self._ended, exchange)

    async def _sent(
        self,
        request: _Request,
        exchange: _Exchange,
        begin: Callable[[], None],
        take: Callable[[bytes], None],
    ) -> Answer:
        place = self._place
        headers = Headers({"Accept": ["application/json"], "User-Agent": ["txmesh"]})
        if place.token is not None:
            token = place.token.read_text(encoding="ascii").strip()
            headers.addRawHeader("Authorization", f"Bearer {token}")
        if request.body is not None:
            headers.addRawHeader("Content-Type", request.content_type)
        asked = HTTPClient(exchange.agent()).request(
            request.method,
            f"{'https' if place.tls else 'http'}://{place.server}{request.path}",
            params=dict(request.query),
            headers=headers,
            data=request.body,
            allow_redirects=False,
            unbuffered=True,
        )
        # The head of a watch comes at once, however long it then lasts.
        asked.addTimeout(WITHIN_S, cast("IReactorTime", self._clock))
        response: IResponse = await asked
        for date in response.headers.getRawHeaders("Date", []):
            self._ahead_s = parsedate_to_datetime(date).timestamp() - self._clock.seconds()
        refusal = _Whole()
        if response.code == HTTPStatus.OK:
            begin()
            reader = _Reader(take)
        else:
            reader = _Reader(refusal.take)
        response.deliverBody(reader)
        await reader.done
        return Answer(response.code, bytes(refusal.body))

    def _ended(self, result: Answer | Failure, exchange: _Exchange) -> Answer | Failure:
        exchange.abort()
        if not isinstance(result, Failure) or result.check(RegistryError):
            return result
        return Failure(
            RegistryError(f"the API server {self._place.server} cannot be asked: {_why(result)}")
        )


class _Request(NamedTuple):
    """What is asked."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes | None
    content_type: str


class _Whole:
    """A body that is kept, up to a size."""

    def __init__(self) -> None:
        self.body = bytearray()

    def take(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > _BODY_BYTES:
            raise ValueError(f"the answer is longer than {_BODY_BYTES} bytes")


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class _Exchange:
    """The way to the server for one request, which can be cut."""

    def __init__(self, place: Place, reactor: Any) -> None:
        self._place = place
        self._reactor = reactor
        self._protocol: Any = None

    def agent(self) -> Agent:
        agent: Agent = Agent.usingEndpointFactory(self._reactor, self)
        return agent

    def endpointForURI(self, _uri: Any) -> IStreamClientEndpoint:
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        host, port = split_address(self._place.server)
        way: IStreamClientEndpoint = HostnameEndpoint(self._reactor, host, port, timeout=_CONNECT_S)
        if self._place.tls:
            way = wrapClientTLS(optionsForClientTLS(host, trustRoot=self._trusted()), way)
        return way.connect(protocolFactory).addCallback(self._connected)

    def abort(self) -> None:
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.abortConnection()

    def _connected(self, protocol: Any) -> Any:
        self._protocol = protocol
        return protocol

    def _trusted(self) -> Any:
        if self._place.ca is None:
            return None  # those of the system
        found = self._place.ca.read_bytes().split(_PEM_END)
        return trustRootFromCertificates(
            [Certificate.loadPEM(each + _PEM_END) for each in found if each.strip()]
        )


class _Reader(Protocol):
    """Hands the body on; `done` fires at its end, and fails when it was cut."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.done: Deferred[None] = Deferred()
        self._take = take

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        try:
            self._take(data)
        except Exception:  # noqa: BLE001 - it fails the request
            self.done.errback()

    def connectionLost(self, reason: Failure = _DONE) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(None)
        else:
            self.done.errback(reason)


def _nothing() -> None:
    pass


def _why(failure: Failure) -> str:
    error = failure.value
    if isinstance(error, ResponseFailed) and error.reasons:
        error = error.reasons[0].value
    if isinstance(error, defer.TimeoutError | defer.CancelledError):
        return "no answer in time"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error).rstrip(".") or type(error).__name__
