"""Joins a registry, the rule and the memory: the one word by which a caller goes.

A registry that does not answer at once is not waited for: what was known when this machine last
heard of it is told meanwhile. What it then says is measured against that. A registry that does
answer at once (a folder, whose locks the kernel vouches for; a static one) is taken at its first
word, and nothing is remembered of it: yesterday's addresses are no use beside today's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ...clock import Clock
from ...values import Endpoint
from ..interface import Listener, Registry
from .belief import IsGone, Known, believe, confirm
from .memory import Memory

# How often the fleet is asked of those that are held (seconds).
LOOK_S = 1.0
# How long changes are gathered before they are written (seconds).
WRITE_S = 3.0
# How often all is written anew, so that it does not look old while nothing changes (seconds).
REWRITE_S = 600.0
# Longer than any registry is silent that is there: each rereads all every 15 s (seconds).
_IN_TOUCH_S = 60.0

_log = Logger()


class Watched(Protocol):
    """What a caller goes by."""

    def watch(self, service: str, listener: Listener, is_gone: IsGone) -> Callable[[], None]:
        """Follow a service.

        Args:
            service: its name.
            listener: called with all of its endpoints, those on standby too, at each change.
            is_gone: asked whether calls have found that a replica is gone, about once a second
                while the registry tells of it no more; it may look into that itself.

        Returns:
            A function that ends it.
        """

    def look(self, service: str) -> None:
        """Calls may have found a replica of a service to be gone: ask now."""


class View:
    """See the module."""

    def __init__(self, registry: Registry, clock: Clock, memory: Memory | None) -> None:
        """Watch nothing yet.

        Args:
            registry: the source.
            clock: monotonic.
            memory: for a registry that has to be asked; None for none.
        """
        self._registry = registry
        self._clock = clock
        self._memory = memory
        self._followed: dict[str, list[_Followed]] = {}
        self._unwritten: set[_Followed] = set()
        self._writing: IDelayedCall | None = None

    def watch(self, service: str, listener: Listener, is_gone: IsGone) -> Callable[[], None]:
        """Follow a service; see `Watched`."""
        followed = _Followed(service, listener, is_gone, self._clock, self._changed)
        same = self._followed.setdefault(service, [])
        same.append(followed)
        followed.begin(self._registry)
        if not followed.answered:
            followed.remembers = self._memory is not None
            if self._memory is not None:
                followed.remember(*self._memory.read(service))

        def unwatch() -> None:
            if followed not in same:
                return
            followed.end()
            same.remove(followed)
            self._unwritten.discard(followed)
            if not same and self._followed.get(service) is same:
                del self._followed[service]

        return unwatch

    def look(self, service: str) -> None:
        """Ask now; see `Watched`. Cost: next to nothing while nothing is held."""
        for followed in self._followed.get(service, ()):
            followed.look()

    def age_s(self) -> float | None:
        """How long ago the registry told or confirmed what is gone by, in seconds.

        None while nothing is known at all.
        """
        age_s = self._registry.age_s()
        if age_s is not None:
            return age_s
        ages = [each.remembered_s() for same in self._followed.values() for each in same]
        return min((age_s for age_s in ages if age_s is not None), default=None)

    def held(self) -> dict[str, int]:
        """How many replicas of each service are used that the registry tells of no more."""
        found: Counter[str] = Counter()
        for service, same in self._followed.items():
            found[service] = max(len(followed.known.held) for followed in same)
        return dict(found)

    def remembered(self) -> tuple[list[Endpoint], float]:
        """What was known last of all services, for when the registry cannot be asked.

        Returns:
            The endpoints, and how old the newest of this is, in seconds; none when nothing is
            remembered.
        """
        return self._memory.read_all() if self._memory is not None else ([], 0.0)

    def close(self) -> None:
        """Write what is not written yet, and end all watching of this view."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        self._write()
        for same in self._followed.values():
            for followed in same:
                followed.end()
        self._followed.clear()

    def _changed(self, followed: _Followed) -> None:
        if self._memory is None or not followed.remembers:
            return
        if not self._unwritten:
            if self._writing is not None:  # the next time of all was meant
                self._writing.cancel()
            self._writing = self._clock.callLater(WRITE_S, self._write_again)
        self._unwritten.add(followed)

    def _write_again(self) -> None:
        age_s = self._registry.age_s()
        if age_s is not None and age_s < _IN_TOUCH_S and not self._unwritten:
            self._unwritten.update(
                each
                for same in self._followed.values()
                for each in same
                if each.remembers and each.answered
            )
        self._write()
        self._writing = self._clock.callLater(REWRITE_S, self._write_again)

    def _write(self) -> None:
        if self._memory is None:
            return
        age_s = self._registry.age_s() or 0.0
        now = self._clock.seconds()
        for followed in self._unwritten:
            known = followed.known
            self._memory.write(
                followed.service,
                [
                    *((endpoint, age_s) for endpoint in known.told),
                    *((held.endpoint, now - held.since) for held in known.held),
                ],
            )
        self._unwritten.clear()


class _Followed:
    """One service as one listener follows it.

    Attributes:
        service: its name.
        known: what is known of it.
        answered: whether the registry has told anything.
        remembers: whether what it tells is to be remembered.
    """

    def __init__(
        self,
        service: str,
        listener: Listener,
        is_gone: IsGone,
        clock: Clock,
        changed: Callable[[_Followed], None],
    ) -> None:
        self.service = service
        self.known = Known()
        self.answered = False
        self.remembers = False
        self._listener = listener
        self._is_gone = is_gone
        self._clock = clock
        self._changed = changed
        self._looking: IDelayedCall | None = None
        # When the remembered was told, in monotonic seconds.
        self._remembered_at: float | None = None
        self._asking = False
        self._ended = False
        self._unwatch: Callable[[], None] | None = None

    def begin(self, registry: Registry) -> None:
        """Follow it there; what the registry tells at once is told within this call."""
        self._unwatch = registry.watch(self.service, self.told)

    def told(self, endpoints: Sequence[Endpoint]) -> None:
        """Take the registry's word."""
        if self._ended:
            return
        now = self._clock.seconds()
        had = len(self.known.held)
        self.answered = True
        self.known = believe(self.known, endpoints, self._is_gone, now)
        if len(self.known.held) > had:
            _log.info(
                "the registry tells of {told} replicas of {service} and not of {held} others that "
                "it told of just now; these are used until calls find that they are gone",
                told=len(self.known.told),
                service=self.service,
                held=len(self.known.held),
            )
        self._pass_on()

    def remember(self, endpoints: Sequence[Endpoint], age_s: float) -> None:
        """Go by what was known before, until the registry says something."""
        if not endpoints:
            return
        self.known = Known(told=tuple(endpoints))
        self._remembered_at = self._clock.seconds() - age_s
        _log.debug(
            "what was known of {service} {age:.0f} s ago is used until the registry answers",
            service=self.service,
            age=age_s,
        )
        self._listener(self.known.endpoints())

    def remembered_s(self) -> float | None:
        """How old what was remembered is, in seconds; None when nothing was."""
        if self._remembered_at is None:
            return None
        return self._clock.seconds() - self._remembered_at

    def look(self) -> None:
        """Let go of those that are gone."""
        if not self.known.held or self._asking:
            return
        self._asking = True  # whoever is asked may find out something at once, and say so
        known = confirm(self.known, self._is_gone, self._clock.seconds())
        self._asking = False
        if known is not self.known:
            self.known = known
            self._pass_on()

    def end(self) -> None:
        """Follow it no more, and tell nothing."""
        self._ended = True
        if self._unwatch is not None:
            self._unwatch()
        self._rest()

    def _pass_on(self) -> None:
        if not self.known.held:
            self._rest()
        elif self._looking is None:
            self._looking = self._clock.callLater(LOOK_S, self._look_again)
        self._changed(self)
        self._listener(self.known.endpoints())

    def _look_again(self) -> None:
        self._looking = self._clock.callLater(LOOK_S, self._look_again)
        self.look()

    def _rest(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
