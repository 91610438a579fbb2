"""One connection to the server: requests in order, answers in order, and every wait ends.

Requests are answered one at a time, so answers cannot change places. Reading stops while the
peer does not read its answers, or has sent more requests than are worth keeping; a peer that is
slow or silent in any state is cut when that state's time is over.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet import protocol
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from balancer.transport import OptimisticServer
from balancer.wire import BadMessage, IncomingRequest, RequestParser

from ..answer import Answer
from ..problem import Problem, problem_answer
from .exchange import Exchange
from .serving import Serving

# Whole requests kept of one connection before reading stops: what one packet may hold.
_QUEUED = 16
# A large piece of stream is parsed in slices of this size (bytes), so that it is not turned into
# thousands of requests at once.
_SLICE = 8192
# After a refusal the peer's further bytes are taken and dropped for this long (seconds) and this
# much (bytes): closing at once would make its kernel throw our answer away.
_LINGER_S = 2.0
_LINGER_BYTES = 1_048_576
# Who has just connected is about to send its first request: for so long (seconds) it is not taken
# for idle, or a server that leaves would close the door on what is on its way.
_FIRST_S = 1.0
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"Connection: close\r\n"


@implementer(IPushProducer, IHalfCloseableProtocol)
class HttpConnection(protocol.Protocol):
    """See the module."""

    transport: OptimisticServer

    def __init__(self, serving: Serving, on_end: Callable[[HttpConnection], None]) -> None:
        """Begin unconnected.

        Args:
            serving: what it shares with the port's other connections.
            on_end: told when it is closed.
        """
        self._serving = serving
        self._on_end = on_end
        self._parser = RequestParser(serving.settings.limits, self._take_head)
        self._requests = self._parser.requests
        self._unparsed = b""
        self._error: BadMessage | None = None
        self._busy = False
        self._running = False
        self._unread = False
        self._paused = False
        self._resting = False
        self._closing = False
        self._all_sent = False
        self._lingered = 0
        self._partial = False
        self._state = "head"
        self._expected_until = 0.0
        self._deadline = 0.0
        self.due = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of any request is here."""
        return not (
            self._busy or self._requests or self._unparsed or self._partial or self._closing
        )

    def connectionMade(self) -> None:
        """Begin to wait for the first head."""
        serving = self._serving
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        now = serving.seconds()
        self._expected_until = now + _FIRST_S
        self._deadline = now + serving.settings.header_deadline_s
        serving.slow_sweep.add(self, self._deadline)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        """Forget the connection; a handler that runs may end, its answer goes nowhere."""
        self._closing = True
        self._requests.clear()
        self._serving.slow_sweep.remove(self)
        self._on_end(self)

    def readConnectionLost(self) -> None:
        """The peer sends no more: what it has sent whole is answered, then the connection ends.

        Whether it still listens cannot be known, so it is taken to.
        """
        self._all_sent = True
        if self._closing:
            self.transport.loseConnection()
        else:
            self._go_on()

    def writeConnectionLost(self) -> None:
        """Our own side is closed: nothing is to be done."""

    def dataReceived(self, data: bytes) -> None:
        """Take in a piece of the stream."""
        if self._closing or self._error is not None:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self.transport.abortConnection()
            return
        if self._unparsed:
            self._unparsed += data
        elif len(data) <= _SLICE:
            self._feed(data)
        else:
            self._unparsed = data
        self._go_on()

    def _take_head(self, request: IncomingRequest) -> int | None:
        self._expected_until = 0.0
        request.handle = exchange = Exchange(self._serving, self, request)
        return exchange.body_limit

    def _feed(self, data: bytes) -> None:
        parser = self._parser
        try:
            parser.feed(data)
        except BadMessage as error:
            self._error = error
            self._unparsed = b""
            return
        partial = parser.in_head or parser.in_body
        if partial or self._partial:
            self._waits_for_more(partial=partial)

    def _waits_for_more(self, *, partial: bool) -> None:
        """Keep the time of a message of which a part is missing."""
        settings = self._serving.settings
        self._partial = partial
        if not partial:
            return
        if self._parser.wants_continue and not self._busy and not self._requests:
            self._parser.wants_continue = False
            self.transport.write(_CONTINUE)
        # The head's time runs from its first byte and the body's from the head's end; bytes in
        # between do not renew them.
        state = "body" if self._parser.in_body else "head"
        if self._state != state:
            self._state = state
            wait_s = settings.body_deadline_s if state == "body" else settings.header_deadline_s
            self._set_deadline(self._serving.seconds() + wait_s)

    def _set_deadline(self, deadline: float) -> None:
        """Have `expired` called at an instant, even if it is before the one that was set."""
        sooner = deadline < self._deadline
        self._deadline = deadline
        if sooner and self.due:
            self._serving.slow_sweep.remove(self)
            self._serving.slow_sweep.add(self, deadline)

    def _go_on(self) -> None:
        """Begin requests as long as none runs and answers are read."""
        if self._running:
            return
        self._running = True
        began = False
        requests = self._requests
        while not self._busy and not self._unread and not self._closing:
            if requests:
                began = self._busy = True
                requests.popleft().handle.begin()
            elif self._unparsed:
                if began:
                    # A slice of requests a turn: who sends many at once must not hold up others.
                    self._rest()
                    break
                piece, self._unparsed = self._unparsed[:_SLICE], self._unparsed[_SLICE:]
                self._feed(piece)
            elif self._error is not None:
                self._refuse(self._error)
            else:
                break
        self._running = False
        if self._all_sent and not (self._busy or self._unparsed or self._unread or self._closing):
            self._close()
            return
        if self._partial and not (self._busy or self._unread or self._closing):
            self._waits_for_more(partial=True)
        full = self._unread or bool(self._unparsed) or len(requests) > _QUEUED
        if full != self._paused and not self._closing:
            self._paused = full
            if full:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self._serving.next_turn(self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._go_on()

    def answer(self, request: IncomingRequest, answer: Answer, now: float) -> None:
        """Send an answer to the request that runs, and begin the next.

        Args:
            request: what is answered.
            answer: what to send.
            now: monotonic seconds.
        """
        self._busy = False
        if self._closing:
            return
        serving = self._serving
        keep = request.keep_alive and serving.keeps()
        body = answer.body
        self.transport.write(
            b"%b%d\r\n%b%b%b\r\n%b"
            % (
                answer.head,
                len(body),
                answer.extra,
                serving.common_lines(now),
                b"" if keep else _CLOSE,
                body if request.method != b"HEAD" else b"",
            )
        )
        if not keep:
            # What was sent beyond it would have the kernel throw the answer away.
            more = self._requests or self._unparsed or self._partial or self._error
            self._close(linger=bool(more))
            return
        if not self._unread:
            self._state = "idle"
            deadline = now + serving.settings.idle_s
            if deadline < self._deadline:
                self._set_deadline(deadline)
            else:
                self._deadline = deadline
        if not self._running:
            self._go_on()

    def _refuse(self, error: BadMessage) -> None:
        """Answer a message that cannot be used, once, and end the connection."""
        serving = self._serving
        serving.refused(error.status)
        answer = problem_answer(Problem(error.status, "bad-message", detail=error.detail))
        now = serving.seconds()
        self.transport.write(
            b"%b%d\r\n%b%b\r\n%b"
            % (answer.head, len(answer.body), serving.common_lines(now), _CLOSE, answer.body)
        )
        self._close(linger=True)

    def _close(self, *, linger: bool = False) -> None:
        self._closing = True
        self._unparsed = b""
        self.transport.unregisterProducer()
        if linger:
            # Our side is closed when the answer is out; what the peer still sends is dropped.
            self._paused = False
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()
            self._set_deadline(self._serving.seconds() + _LINGER_S)
        else:
            self.transport.loseConnection()
            self._set_deadline(self._serving.seconds() + self._serving.settings.write_deadline_s)

    def close_idle(self, now: float) -> None:
        """Close now if nothing is here, and no first request is on its way.

        Args:
            now: monotonic seconds.
        """
        if self.idle and now >= self._expected_until:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close an idle connection, unless a request has just come: nothing may be lost."""
        self.transport.read_now()
        if self.idle:
            self._close()
            self.transport.close_now()

    def abort(self) -> None:
        """Close now, whatever is here."""
        self.transport.abortConnection()

    # What the sweep tells.

    def expired(self, now: float) -> None:
        """A state's time may be over: end the connection, or come again."""
        if self._closing or self._unread:
            over = now >= self._deadline
        elif self._busy:
            # The request's own deadline is its exchange's business.
            over = False
            self._deadline = max(self._deadline, now + 1.0)
        else:
            over = now >= self._deadline
        if over and (self._closing or self._unread):
            self.transport.abortConnection()
            return
        if over and self._partial:
            self._refuse(
                BadMessage(408, f"The request's {self._state} took longer than is allowed here.")
            )
        elif over:
            self._hang_up()
        if self.transport.connected:
            self._serving.slow_sweep.add(self, self._deadline)

    # What the transport tells: whether the peer reads its answers.

    def pauseProducing(self) -> None:
        """Answers wait to be read: begin nothing and read nothing."""
        self._unread = True
        self._set_deadline(self._serving.seconds() + self._serving.settings.write_deadline_s)
        if not self._running:
            self._go_on()

    def resumeProducing(self) -> None:
        """The answers are out: go on."""
        self._unread = False
        # What is partly here gets the time of its own state anew.
        self._state = "idle"
        self._set_deadline(self._serving.seconds() + self._serving.settings.idle_s)
        self._go_on()

    def stopProducing(self) -> None:
        """The connection is gone."""
