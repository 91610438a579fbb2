"""What to do next about a Deployment, from what is seen and what is asked for. Pure.

The cluster does the replacing; what is decided here is what it cannot know: that a new pod's smoke
call failed, that the new version answers worse than the old one, that it stays well for long
enough, that somebody wants to stop. Each of these leads back to what was there before.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec.structs import replace

from ..bake.comparison import Comparison, fault
from ..plan.steps import Outcome
from ..plan.trouble import Trouble
from .change import Replacing, Running
from .observed import Pod, Rollout
from .progress import progress


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for.

    Attributes:
        version: what the new pods announce.
        image: the container's; "" for the one that runs now.
        replicas: how many pods; None for as many as there are.
        generation: a token for the pods, if a replacement begins.
        bake_s: how long all new ones are watched, in seconds.
        ready_s: how long the cluster may take to replace all pods, in seconds.
        traffic: whether a bake without a single call has failed.
        abort: go back, begin nothing.
        stop: somebody wants the command to end.
    """

    version: str = ""
    image: str = ""
    replicas: int | None = None
    generation: str = ""
    bake_s: float = 10.0
    ready_s: float = 300.0
    traffic: bool = False
    abort: bool = False
    stop: bool = False

    def matches(self, replacing: Replacing) -> bool:
        """Whether a replacement under way is the one that is asked for."""
        wanted, before = replacing.wanted, replacing.before
        return (
            not self.abort
            and (self.version, self.image or before.image) == (wanted.version, wanted.image)
            and self.replicas in (None, wanted.replicas)
        )


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a Deployment.

    Attributes:
        running: what it is to run, as the cluster has it.
        rollout: how far it has come.
        replacing: the replacement under way; None when none is.
        danger: why replacing its pods would lose calls; "" when it would not.
        smoked: what came of the new pods' smoke calls, by pod: "" well, otherwise what is wrong.
        since: when this run began the phase, or found it, in the clock's seconds.
        well_since: since when all pods are new and well; None while they are not.
        comparison: new against old since the first new one took calls; None before.
    """

    running: Running
    rollout: Rollout
    replacing: Replacing | None = None
    danger: str = ""
    smoked: dict[str, str] = {}
    since: float = 0.0
    well_since: float | None = None
    comparison: Comparison | None = None

    def new(self) -> list[Pod]:
        """The new pods that stay."""
        replacing = self.replacing
        if replacing is None:
            return []
        generation = replacing.wanted.generation
        return [p for p in self.rollout.pods if p.generation == generation and not p.leaving]


class Apply(msgspec.Struct, frozen=True):
    """Change the pods, and leave word of it."""

    replacing: Replacing


class Settle(msgspec.Struct, frozen=True):
    """Take the word away: nothing is under way any more."""

    running: Running


class SmokePods(msgspec.Struct, frozen=True):
    """Make the smoke call on these pods."""

    pods: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do now.

    Attributes:
        step: None to wait.
        waiting: what is waited for, for people.
        ended: how it ended, when the step is done; None while it has not.
        why: why it ended so.
        failed: the pod whose trouble that was; "" for none.
    """

    step: Apply | Settle | SmokePods | None = None
    waiting: str = ""
    ended: Outcome | None = None
    why: str = ""
    failed: str = ""


def decide(seen: Seen, order: Order, now: float) -> Decision:
    """Decide what to do.

    Args:
        seen: one look.
        order: what is asked for.
        now: in the clock's seconds.
    """
    replacing = seen.replacing
    if replacing is None:
        return _begin(seen, order)
    if replacing.phase == "undo":
        return _undo(seen, replacing, order, now)
    unwanted = _against(order, replacing)
    found = Trouble(unwanted) if unwanted else _trouble(seen, order, now)
    if found.why:
        undone = replace(replacing, phase="undo", why=found.why, failed=found.failed)
        return Decision(step=Apply(undone))
    return _roll(seen, replacing, order, now)


def _begin(seen: Seen, order: Order) -> Decision:
    if order.abort:
        return Decision(ended=Outcome.ABORTED, why="there is nothing to undo")
    if order.stop:
        why = "it was interrupted before anything was done"
        return Decision(ended=Outcome.ROLLED_BACK, why=why)
    if seen.danger:
        return Decision(ended=Outcome.REFUSED, why=seen.danger)
    wanted = Running(
        version=order.version,
        image=order.image or seen.running.image,
        replicas=order.replicas or seen.running.replicas,
        generation=order.generation,
    )
    return Decision(step=Apply(Replacing(wanted=wanted, before=seen.running)))


def _against(order: Order, replacing: Replacing) -> str:
    if order.stop:
        return "it was interrupted"
    if order.abort:
        return "it is to be undone"
    if not order.matches(replacing):
        return f"version {order.version} is wanted instead"
    return ""


def _trouble(seen: Seen, order: Order, now: float) -> Trouble:
    for pod in seen.new():
        if seen.smoked.get(pod.name):
            why = f"pod {pod.name} failed its smoke call: {seen.smoked[pod.name]}"
            return Trouble(why, pod.name)
        if seen.well_since is not None and not pod.ready:
            return Trouble(f"pod {pod.name} was ready and is not any more", pod.name)
    found = progress(seen.rollout, _generation(seen), now - seen.since, order.ready_s)
    if found.state == "failed" and seen.well_since is None:
        return Trouble(found.why, found.pod)
    return Trouble(fault(seen.comparison) if seen.comparison is not None else "")


def _roll(seen: Seen, replacing: Replacing, order: Order, now: float) -> Decision:
    asked = tuple(pod.name for pod in seen.new() if pod.ready and pod.name not in seen.smoked)
    if asked:
        return Decision(step=SmokePods(asked))
    found = progress(seen.rollout, replacing.wanted.generation, now - seen.since, order.ready_s)
    if seen.well_since is None or found.state != "through":
        return Decision(waiting=found.why)
    watched_s = now - seen.well_since
    if watched_s < order.bake_s:
        return Decision(waiting=f"watched for {watched_s:.0f} of {order.bake_s:g} s")
    if order.traffic and (seen.comparison is None or not seen.comparison.new.requests):
        why = "the new version was not called once"
        return Decision(step=Apply(replace(replacing, phase="undo", why=why)))
    return Decision(step=Settle(replacing.wanted), ended=Outcome.REPLACED)


def _undo(seen: Seen, replacing: Replacing, order: Order, now: float) -> Decision:
    found = progress(seen.rollout, replacing.before.generation, now - seen.since, order.ready_s)
    if found.state == "through":
        ended: Literal[Outcome.ABORTED, Outcome.ROLLED_BACK] = (
            Outcome.ABORTED if order.abort else Outcome.ROLLED_BACK
        )
        return Decision(
            step=Settle(replacing.before),
            ended=ended,
            why=replacing.why,
            failed=replacing.failed,
        )
    if found.state == "failed":
        why = f"the old version does not come back: {found.why}"
        return Decision(ended=Outcome.UNFINISHED, why=why)
    return Decision(waiting=found.why)


def _generation(seen: Seen) -> str:
    return seen.replacing.wanted.generation if seen.replacing is not None else ""
