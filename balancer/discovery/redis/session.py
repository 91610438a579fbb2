"""The connections of one process while they stand: one for commands, one to be told.

Both go to the same server and end together, whichever breaks: so there is one thing to lose and to
open again, and what is read is never of another server than what is heard. The second one is made
when something is followed for the first time; a replica that calls nobody has only the first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from .connect import Lost, connect, log_in, lost
from .scripts import BEAT
from .url import RedisUrl


class Session:
    """See the module.

    Attributes:
        lost: fires once with the reason when it is over; not when it was closed from here.
        epoch: the database's, when it was opened.
        address: of the server.
    """

    def __init__(
        self,
        reactor: Any,
        address: tuple[str, int],
        url: RedisUrl,
        heard: Callable[[str, bytes], None],
    ) -> None:
        """Begin without a connection; `open` makes it.

        Args:
            reactor: where the sockets live.
            address: of the server.
            url: password, database and prefix.
            heard: called with the channel and each message.
        """
        self.lost: Deferred[Lost] = Deferred()
        self.epoch = b""
        self._reactor = reactor
        self.address = address
        self._at = f"{address[0]}:{address[1]}"
        self._url = url
        self._heard = heard
        self._commands: Any = None
        self._subscriber: Any = None
        self._subscribing = DeferredLock()
        self._over = False

    async def open(self, token: str) -> None:
        """Connect, and see that the server lets us read and write.

        Args:
            token: the database's epoch, if it has none yet.

        Raises:
            Lost: it cannot be used.
        """
        try:
            self._commands = await self._connect(None)
            if self._url.database:
                await self._commands.select(self._url.database)
            self.epoch = await self.run(BEAT, token)
        except BaseException as error:
            # Also when the attempt is given up from outside.
            self._abort()
            if isinstance(error, Exception):
                raise lost(error, self._at) from None
            raise
        self._watch(self._commands)

    def run(self, script: str, *arguments: object) -> Deferred[Any]:
        """Run one of the scripts.

        Returns:
            Fires with its reply: bytes or a number. Fails with `Lost`; the session ends with it.
        """
        if self._over:
            done: Deferred[Any] = Deferred()
            done.errback(Lost("the connection is closed"))
            return done
        command: Deferred[Any] = self._commands.eval(
            script, keys=[self._url.prefix, self._url.database], args=arguments
        )
        return command.addErrback(self._failed)

    def subscribe(self, channel: str) -> Deferred[Any]:
        """Be told what is published on a channel from now on.

        Returns:
            Fires when the server has taken note; fails with `Lost`.
        """
        # One after the other: the first makes the connection.
        return self._subscribing.run(self._subscribe, channel).addErrback(self._failed)

    def unsubscribe(self, channel: str) -> None:
        """Be told no more of a channel."""
        # In its turn too: what is still being subscribed to is left after that.
        self._subscribing.run(self._unsubscribe, channel)

    def ping(self) -> None:
        """See that the connection on which nothing may come for hours still stands."""
        if self._subscriber is not None and not self._over:
            # It fails by itself, and the connection with it.
            self._subscriber.execute_command("PING").addErrback(lambda _: None)

    def is_at(self, address: tuple[str, int]) -> None:
        """Give it up, if the server to use is another by now."""
        if address != self.address:
            self.end(Lost(f"the master is {address[0]}:{address[1]} now"))

    def end(self, why: Lost) -> None:
        """Give it up: something that it needs is refused."""
        if not self._over:
            self._abort()
            self.lost.callback(why)

    def close(self) -> None:
        """End it in good order: what was sent still arrives."""
        self._over = True
        for connection in (self._commands, self._subscriber):
            if connection is not None:
                connection.transport.loseConnection()

    async def _connect(self, heard: Callable[[str, bytes], None] | None) -> Any:
        protocol = await connect(self._reactor, *self.address, heard)
        try:
            await log_in(protocol, self._url, self._at)
        except BaseException:
            protocol.transport.abortConnection()
            raise
        return protocol

    async def _subscribe(self, channel: str) -> None:
        if self._subscriber is None:
            self._subscriber = await self._connect(self._heard)
            self._watch(self._subscriber)
        if self._over:
            self._abort()
            raise Lost("the connection is closed")
        # The library times no SUBSCRIBE; the ping behind it is timed, and ends both.
        subscribed = self._subscriber.subscribe(channel)
        self.ping()
        await subscribed

    def _unsubscribe(self, channel: str) -> None:
        if self._subscriber is not None and not self._over:
            self._subscriber.unsubscribe(channel).addErrback(lambda _: None)

    def _watch(self, protocol: Any) -> None:
        protocol.whenDisconnected().addCallback(
            lambda _: self.end(Lost(f"{self._at}: the connection broke"))
        )

    def _failed(self, failure: Any) -> Any:
        why = lost(failure.value, self._at)
        self.end(why)
        raise why from None

    def _abort(self) -> None:
        self._over = True
        for connection in (self._commands, self._subscriber):
            if connection is not None:
                connection.transport.abortConnection()
