"""From nothing to new replicas that take calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from ...probe import STANDBY
from ..drivers.interface import Build
from ..journal import Journal, Phase
from .steps import Announce, Make, Note, Outcome, Plan, Smoke, Step
from .view import Seen, View, Wanted


def begin(view: View, wanted: Wanted) -> Plan:
    """Decide to replace, if it can be done at all."""
    if wanted.abort:
        return Plan(ended=Outcome.ABORTED, why="there is nothing to undo")
    if wanted.stop:
        return Plan(ended=Outcome.ROLLED_BACK, why="it was interrupted before anything was done")
    for each in view.replicas:
        if each.endpoint is not None and not each.endpoint.admin:
            return Plan(
                ended=Outcome.REFUSED,
                why=f"{each.replica} is announced without an admin port, so it can be told nothing "
                "and not be seen to leave; a static registry knows none: use another one",
            )
    announced = sum(each.announced for each in view.replicas)
    for each in view.replicas:
        if each.built is None or each.ended or each.listed:
            continue
        # It starts, or the registry has forgotten it: of how many there are to be the registry
        # knows too few.
        if not announced or wanted.replicas is None:
            hint = "" if wanted.replicas else "; --replicas says how many there are to be"
            waiting = f"{each.replica} runs and is not in the registry{hint}"
            return Plan(waiting=waiting, stuck=True)
    count = wanted.replicas or announced or wanted.otherwise
    journal = Journal(
        service=wanted.service,
        version=wanted.version,
        code=wanted.code,
        image=wanted.image,
        driver=wanted.driver,
        generation=wanted.generation,
        members=tuple(_name(wanted, number) for number in range(1, count + 1)),
        replicas=count,
        before=announced,
        share=wanted.share,
    )
    return Plan(steps=(Note(journal),))


def _name(wanted: Wanted, number: int) -> str:
    return f"{wanted.service}-{wanted.version}.{wanted.generation}-{number}"


def build(view: View, wanted: Wanted, journal: Journal) -> Plan:
    """Have all new ones answer on standby, and pass their smoke call."""
    steps = list(grow(view.members(journal), journal))
    ready = sum(each.smoked == "" and each.up for each in view.members(journal))
    if not steps and ready == len(journal.members):
        phase: Phase = "bake" if wanted.share is None else "canary"
        return Plan(steps=(Note(replace(journal, phase=phase, share=wanted.share)),))
    return Plan(
        steps=tuple(steps),
        waiting=f"{ready} of {len(journal.members)} new replicas answer",
    )


def grow(new: Iterable[Seen], journal: Journal) -> Iterable[Step]:
    """The steps towards a new replica that stands by and is known to answer well."""
    for each in new:
        if each.built is None:
            yield Make(
                Build(
                    service=journal.service,
                    replica=each.replica,
                    version=journal.version,
                    code=journal.code,
                    image=journal.image,
                )
            )
        elif each.up and each.state == STANDBY and each.smoked is None and each.endpoint:
            yield Smoke(each.endpoint)


def watch(view: View, wanted: Wanted, journal: Journal) -> Plan:
    """Announce the new ones, and see how they do."""
    new = view.members(journal)
    weights = full_weights(journal)
    if journal.phase == "canary" and journal.share is not None:
        old = [each.endpoint for each in view.others(journal) if each.announced]
        least = max(1, sum(each.announced for each in new))
        count, weight = canary(
            journal.share, sum(each.weight for each in old if each), least=least, most=len(new)
        )
        weights = {each.replica: weight for each in new[:count]}
    steps = tuple(take_calls(new, weights))
    taking, count = sum(each.serving for each in new), len(weights)
    comparison = view.comparison
    if steps or taking < count or comparison is None:
        return Plan(steps=steps, waiting=f"{taking} of {count} new replicas take calls")
    if comparison.seconds < wanted.bake_s:
        return Plan(waiting=f"watched for {comparison.seconds:.0f} of {wanted.bake_s:g} s")
    if wanted.hold:
        return Plan(steps=(Note(replace(journal, phase="held")),))
    phase: Phase = "bake" if journal.phase == "canary" else "drain"
    return Plan(steps=(Note(replace(journal, phase=phase)),))


def canary(share: float, old_weight: float, *, least: int, most: int) -> tuple[int, float]:
    """How a share of the calls is made up.

    Args:
        share: above 0, below 1.
        old_weight: the sum of the old replicas' weights.
        least: how many new replicas take calls already, or 1.
        most: how many there are.

    Returns:
        How many of them to announce, and the weight of each: about 1, so that each takes about as
        much as an old one; below where one alone would be too many.
    """
    weight = share / (1 - share) * (old_weight or 1.0)
    count = min(most, max(least, round(weight)))
    return count, min(1000.0, max(0.001, round(weight / count, 3)))


def full_weights(journal: Journal) -> dict[str, float]:
    """The new ones' own weights."""
    return {endpoint.replica: endpoint.weight for endpoint in journal.known}


def take_calls(new: Iterable[Seen], weights: Mapping[str, float]) -> Iterable[Announce]:
    """Have new ones take calls by these weights; those without one are left as they are."""
    for each in new:
        weight = weights.get(each.replica)
        if weight is None or each.endpoint is None or not each.up:
            continue
        if each.state == STANDBY or (each.announced and each.endpoint.weight != weight):
            yield Announce(each.endpoint, weight)


def held(wanted: Wanted, journal: Journal) -> Plan:
    """Leave both versions side by side, or go on."""
    if wanted.hold and wanted.share == journal.share:
        return Plan(ended=Outcome.HELD, why="both versions take calls; run it again to go on")
    phase: Phase = "canary" if wanted.hold and wanted.share is not None else "bake"
    return Plan(steps=(Note(replace(journal, phase=phase, share=wanted.share)),))
