"""One replacement a service at a time: the registry's lock, taken, and taken again if lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from balancer import Clock, RegistryError
from balancer.discovery import Lock, Registry

from .ended import Ended
from .plan.steps import Outcome
from .rest import Rest

# Between two tries (seconds).
_AGAIN_S = 1.0


class Claim:
    """See the module."""

    def __init__(
        self,
        service: str,
        *,
        registry: Registry,
        holder: str,
        lock_s: float,
        clock: Clock,
        rest: Rest,
        waits: Callable[[str], None],
        notices: Callable[[str], None],
    ) -> None:
        """Take nothing yet.

        Args:
            service: whose replicas are replaced.
            registry: has the lock.
            holder: who this is, for whoever finds the lock taken.
            lock_s: how long a dead holder's lock may stay, in seconds.
            clock: monotonic.
            rest: between two tries.
            waits: told what is waited for.
            notices: told, once, the word that the last holder left.
        """
        self._name = f"replace.{service}"
        self._service = service
        self._registry = registry
        self._holder = holder
        self._lock_s = lock_s
        self._clock = clock
        self._rest = rest
        self._waits = waits
        self._notices = notices
        self._note = ""
        self._lock: Lock | None = None
        self._given_up: Ended | None = None

    @property
    def held(self) -> bool:
        """Whether it is ours now."""
        return self._lock is not None

    async def take(self, *, patient: bool) -> Ended | None:
        """Take the lock.

        Args:
            patient: whether to wait for a registry that is lost, and until a dead holder's lock
                has gone back: a replacement is under way.

        Returns:
            None when it is taken; otherwise how the command ends.
        """
        end: float | None = None
        while self._given_up is None:
            try:
                self._lock = await self._registry.lock(self._name, self._holder)
            except RegistryError as error:
                if not patient:
                    return Ended(Outcome.REFUSED, str(error))
                self._waits(f"the registry's locks cannot be had ({error})")
            else:
                if self._lock is not None:
                    self._pass_on(self._lock.note)
                    self._lock.lost.addCallback(self._lost, self._lock)
                    return None
                now = self._clock.seconds()
                end = now + (self._lock_s if patient else 0.0) if end is None else end
                if now >= end:
                    return Ended(Outcome.BUSY, await self._busy())
                self._waits(await self._taken())
            await self._rest.sleep(_AGAIN_S)
        return self._given_up

    async def give_up(self, why: str) -> None:
        """Give it back, and have whoever goes on taking it end unfinished.

        Args:
            why: it ends so; what the next one should know.
        """
        self._given_up = Ended(Outcome.UNFINISHED, why)
        await self.release(why)

    async def release(self, note: str = "") -> None:
        """Give it back; harmless when it is not held.

        Args:
            note: what the next one should know.
        """
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(RegistryError):  # then it goes back by itself
                await lock.release(note[:4096])

    async def _busy(self) -> str:
        holder = await self._who()
        return (
            f"another replacement of {self._service} is running: "
            f"{f'{holder} has' if holder else 'it holds'} the lock {self._name} of "
            f"{self._registry.url}"
        )

    async def _taken(self) -> str:
        holder = await self._who()
        if holder:
            return f"{holder} has the lock {self._name}"
        return f"the lock {self._name} is somebody else's"

    async def _who(self) -> str:
        """Who has the lock; "" where that cannot be said."""
        try:
            return await self._registry.holder(self._name)
        except RegistryError:
            return ""  # what is to be said is true without it

    def _pass_on(self, note: str) -> None:
        if note and note != self._note:
            self._notices(f"the last replacement of {self._service} did not get through: {note}")
        self._note = note

    def _lost(self, _: None, lock: Lock) -> None:
        if self._lock is lock:
            self._lock = None
