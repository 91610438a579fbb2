"""How a rollout goes: on its way, through, or not going to get through. Pure.

The cluster has its own progress deadline and does nothing when it passes; whether to go back is
decided here, and earlier where waiting cannot help.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .observed import Pod, Rollout

# A container that was started again this often before its pod was ever ready will not get ready:
# the first time may have been bad luck.
_HOPELESS_RESTARTS = 2


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rollout stands.

    Attributes:
        state: "rolling"; "through" when all pods are new and well; "failed" when it will not get
            there by waiting.
        why: for people: what is waited for, or what went wrong.
        pod: the one of which that is said; "" for none.
    """

    state: Literal["rolling", "through", "failed"]
    why: str
    pod: str = ""


def progress(rollout: Rollout, generation: str, waited_s: float, patience_s: float) -> Progress:
    """Tell how a rollout goes.

    Args:
        rollout: as observed now.
        generation: of the new pods.
        waited_s: seconds since it was applied.
        patience_s: how many of these are enough.
    """
    if rollout.complete:
        return Progress(state="through", why=f"{rollout.available} new pods are well")
    new = [pod for pod in rollout.pods if pod.generation == generation and not pod.leaving]
    failure, pod = _failure(rollout, new)
    if failure:
        return Progress(state="failed", why=failure, pod=pod)
    waits, pod = _waited_for(rollout, new)
    if waited_s > patience_s:
        why = f"not through after {patience_s:g} s: {waits}"
        return Progress(state="failed", why=why, pod=pod)
    return Progress(state="rolling", why=waits, pod=pod)


def _failure(rollout: Rollout, new: list[Pod]) -> tuple[str, str]:
    """What went wrong, and with which pod."""
    # What the status says of an earlier change is no news of this one.
    if rollout.current and rollout.stuck:
        return rollout.stuck, ""
    for pod in new:
        hopeless = pod.restarts >= _HOPELESS_RESTARTS or (pod.hopeless and pod.restarts > 0)
        if hopeless and not pod.ready:
            what = pod.waiting or "it ends again and again"
            return f"pod {pod.name} does not get ready: {what}", pod.name
    return "", ""


def _waited_for(rollout: Rollout, new: list[Pod]) -> tuple[str, str]:
    """What is waited for, and with which pod."""
    if not rollout.current:
        return "the cluster has not taken note of the change yet", ""
    for pod in new:
        if pod.waiting:
            return f"pod {pod.name} waits: {pod.waiting}", pod.name
    # Of those that run and do not get ready, any one's log says why.
    unready = next((pod.name for pod in new if not pod.ready), "")
    if rollout.updated < rollout.wanted:
        return f"{rollout.updated} of {rollout.wanted} new pods are there", unready
    if rollout.every > rollout.updated:
        return f"{rollout.every - rollout.updated} old pods are leaving", unready
    return f"{rollout.available} of {rollout.wanted} new pods are well", unready
