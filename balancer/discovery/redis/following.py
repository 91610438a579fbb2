"""One service as this process follows it: subscribed, read, told to those who listen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ...clock import Clock
from ...values import Endpoint
from .connect import Lost
from .scripts import READ
from .session import Session
from .state import Change, State

# Changes that come within this time (seconds) are told together: when a thousand replicas enter
# themselves in a second, that is twenty updates of a fleet instead of a thousand.
_TOGETHER_S = 0.05

_log = Logger()
_change = msgspec.json.Decoder(Change).decode
_endpoint = msgspec.json.Decoder(Endpoint).decode


class Following:
    """See the module."""

    def __init__(
        self,
        service: str,
        channel: str,
        clock: Clock,
        tell: Callable[[str, Sequence[Endpoint]], None],
    ) -> None:
        """Begin without a connection.

        Args:
            service: its name.
            channel: where its changes are published.
            clock: monotonic.
            tell: called with the service and all its endpoints after each change.
        """
        self.service = service
        self.channel = channel
        self._clock = clock
        self._tell = tell
        self._state = State()
        self._session: Session | None = None
        self._reading = False
        self._telling: IDelayedCall | None = None
        self._refused: set[int] = set()

    def resume(self, session: Session) -> None:
        """Go on over a new session: subscribe first, then read, so that nothing falls between."""
        self._session = session
        self._reading = False
        self._state.begin_anew()
        session.subscribe(self.channel).addCallbacks(
            lambda _: self.read(), lambda failure: failure.trap(Lost) and None
        )

    def read(self) -> None:
        """Read everything anew, unless that is under way."""
        session = self._session
        if session is None or self._reading:
            return
        self._reading = True
        self._state.ask()
        session.run(READ, self.service).addCallbacks(
            self._read, lambda failure: failure.trap(Lost) and None, (session,)
        )

    def read_anew(self) -> None:
        """Read everything, whatever was known: the database was emptied."""
        self._state.begin_anew()
        self.read()

    def hear(self, message: bytes) -> None:
        """Take a message of the channel."""
        try:
            change = _change(message)
        except (ValueError, RecursionError):  # what msgspec raises is a ValueError
            # Somebody else's: what the registry says itself is read.
            self.read()
            return
        if not self._state.hear(change):
            self.read()
        self._tell_soon()

    def confirm(self, version: int) -> None:
        """Compare with the version that the registry has."""
        if not self._state.confirm(version):
            self.read()

    def close(self) -> None:
        """Follow it no more."""
        if self._session is not None:
            self._session.unsubscribe(self.channel)
            self._session = None
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _read(self, reply: bytes, session: Session) -> None:
        if session is not self._session:
            return  # of a connection that has broken, or nobody follows it any more
        self._reading = False
        version, _, text = reply.partition(b"\n")
        whole = self._state.read(int(version), decode(text, self._refused, self.service))
        if not whole:
            self.read()
        self._tell_now()

    def _tell_soon(self) -> None:
        if self._telling is None:
            self._telling = self._clock.callLater(_TOGETHER_S, self._tell_late)

    def _tell_late(self) -> None:
        self._telling = None
        self._tell_now()

    def _tell_now(self) -> None:
        if self._state.version is not None:
            self._tell(self.service, self._state.endpoints())


def decode(text: bytes, refused: set[int], service: str | None = None) -> list[Endpoint]:
    """Decode a line for each endpoint; one that is none is left out, and said once.

    Args:
        text: the lines.
        refused: hashes of those that were said already; it is brought up to date.
        service: whose they are; None for any.
    """
    found = []
    bad = set()
    for line in text.split(b"\n") if text else ():
        try:
            endpoint = _endpoint(line)
            if service not in (None, endpoint.service):
                raise ValueError(f"it is an entry of {endpoint.service}")  # noqa: TRY301
        except (ValueError, RecursionError) as error:  # what msgspec raises is a ValueError
            bad.add(hash(line))
            if hash(line) not in refused:
                _log.warn(
                    "an entry of {service} in Redis is no replica's and is ignored: {error}",
                    service=service or "a service",
                    error=error,
                )
            continue
        found.append(endpoint)
    refused.clear()
    refused.update(bad)
    return found
