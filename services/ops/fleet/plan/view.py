"""What is to be, and what is seen: all that a plan is made from. Pure."""

from __future__ import annotations

import msgspec

from balancer import Endpoint

from ...probe import READY, STANDBY
from ..bake.comparison import Comparison
from ..drivers.interface import Built
from ..journal import Journal


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for.

    Attributes:
        service: whose replicas.
        version: what the new ones announce.
        replicas: how many; None for as many as are announced now.
        otherwise: how many when none is announced.
        driver: who builds them.
        code: see `Build`.
        image: see `Build`.
        share: the new version's part of the calls at first, from 0 to 1; None for no canary.
        hold: stop while both versions run.
        bake_s: how long the new ones are watched under traffic, in seconds.
        ready_s: how long they may take until they answer, in seconds.
        leave_s: how long one may take to leave, or not answer, before it is removed, in seconds.
        lease_s: after how long a registry that was emptied has heard of all that run, in seconds.
        traffic: whether a bake without a single call has failed.
        abort: undo what is there, begin nothing.
        stop: somebody wants the command to end.
        generation: a token for the new replicas' names, if a replacement begins.
    """

    service: str
    version: str = ""
    replicas: int | None = None
    otherwise: int = 1
    driver: str = ""
    code: str = ""
    image: str = ""
    share: float | None = None
    hold: bool = False
    bake_s: float = 10.0
    ready_s: float = 60.0
    leave_s: float = 45.0
    lease_s: float = 10.0
    traffic: bool = False
    abort: bool = False
    stop: bool = False
    generation: str = ""

    def matches(self, journal: Journal) -> bool:
        """Whether a journal is about what is asked for."""
        return (
            not self.abort
            and (self.version, self.code, self.image)
            == (journal.version, journal.code, journal.image)
            and self.replicas in (None, journal.replicas)
        )


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One replica, old or new, as far as anybody knows of it.

    Attributes:
        replica: its own name.
        endpoint: as the registry tells of it, or told last; None while it never did.
        listed: whether the registry tells of it now.
        state: its own word on its admin port, as `Prober.state` says it; "" unless it is listed
            or was told to leave, for what was its port may be another's by now.
        built: what the driver knows of it; None for nothing.
        smoked: what came of its smoke call: None not tried, "" well, otherwise what is wrong.
        fault: why it cannot be built; "" otherwise.
        ill_since: since when it is not listed or not up by its own word; None when it is both.
        absent_since: since when the registry does not tell of it; None when it does.
        told: whether it has heard from this run that it is to leave.
        restarted: whether it is another process than when it was first seen.
    """

    replica: str
    endpoint: Endpoint | None = None
    listed: bool = False
    state: str = ""
    built: Built | None = None
    smoked: str | None = None
    fault: str = ""
    ill_since: float | None = None
    absent_since: float | None = None
    told: bool = False
    restarted: bool = False

    @property
    def announced(self) -> bool:
        """Whether callers may know of it."""
        return self.listed and self.endpoint is not None and not self.endpoint.standby

    @property
    def serving(self) -> bool:
        """Whether it takes calls: announced, and ready by its own word."""
        return self.announced and self.state == READY

    @property
    def up(self) -> bool:
        """Whether it answers, announced or not."""
        return self.listed and self.state in (READY, STANDBY)

    @property
    def ended(self) -> bool:
        """Whether the driver saw its end, or could never build it; its own word counts for more."""
        return self.built is not None and self.built.state != "running" and not self.up

    def ill_s(self, now: float) -> float:
        """For how long it has not been up."""
        return 0.0 if self.ill_since is None else now - self.ill_since

    def absent_s(self, now: float) -> float:
        """For how long the registry has not told of it."""
        return 0.0 if self.absent_since is None else now - self.absent_since


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One look at everything; instants are the clock's that the plan's ``now`` is of.

    Attributes:
        replicas: all of the service that the registry, the driver or the journal names.
        stale: why this cannot be relied on; "" when it can.
        since: when this run began the journal's phase, or found it.
        comparison: new against old since all new ones took calls; None while they do not.
    """

    replicas: tuple[Seen, ...] = ()
    stale: str = ""
    since: float = 0.0
    comparison: Comparison | None = None

    def members(self, journal: Journal) -> list[Seen]:
        """The new replicas, also those of which nothing is seen yet."""
        seen = {each.replica: each for each in self.replicas}
        return [seen.get(name, Seen(replica=name)) for name in journal.members]

    def others(self, journal: Journal) -> list[Seen]:
        """The old replicas: all that are not of this generation."""
        return [each for each in self.replicas if each.replica not in journal.members]
