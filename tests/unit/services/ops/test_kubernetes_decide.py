"""Replacement on a cluster, decision by decision, against a controller without a cluster."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from services.ops.fleet.bake.comparison import Comparison, Figures
from services.ops.fleet.kubernetes.change import change, danger, read_replacing, read_running
from services.ops.fleet.kubernetes.decide import (
    Apply,
    Decision,
    Order,
    Seen,
    Settle,
    SmokePods,
    decide,
)
from services.ops.fleet.kubernetes.observed import read_rollout
from services.ops.fleet.plan.steps import Outcome
from tests.kubernetes_cluster import CRASHES, FAILS_LATER, MISSING, NEVER_READY, FakeCluster

ORDER = Order(version="2", image="txmesh:2", generation="g1", bake_s=5, ready_s=30)


class Run:
    """The command, from its start to its end or its death."""

    def __init__(self, cluster: FakeCluster, order: Order, *, smoke: str = "") -> None:
        self.cluster = cluster
        self.order = order
        self.smoke = smoke
        self.now = 0.0
        self.comparison: Comparison | None = None
        self._phase: object = None
        self._since = 0.0
        self._smoked: dict[str, str] = {}
        self._well_since: float | None = None

    def look(self) -> Seen:
        deployment = self.cluster.deployment()
        rollout = read_rollout(deployment, self.cluster.pods())
        replacing = read_replacing(deployment)
        if replacing != self._phase:
            self._phase, self._since, self._well_since = replacing, self.now, None
        if rollout.complete and self._well_since is None:
            self._well_since = self.now
        return Seen(
            running=read_running(deployment),
            rollout=rollout,
            replacing=replacing,
            danger=danger(deployment),
            smoked=dict(self._smoked),
            since=self._since,
            well_since=self._well_since,
            comparison=self.comparison,
        )

    def step(self) -> Decision:
        decision = decide(self.look(), self.order, self.now)
        match decision.step:
            case Apply(replacing):
                self.cluster.apply(change("users", "txmesh", replacing.target, replacing))
            case Settle(running):
                self.cluster.apply(change("users", "txmesh", running))
            case SmokePods(pods):
                self._smoked |= dict.fromkeys(pods, self.smoke)
        if decision.step is None:
            self.cluster.turn()
            self.now += 1
        return decision

    def finish(self, steps: int = 500) -> Decision:
        for _ in range(steps):
            decision = self.step()
            if decision.ended is not None:
                return decision
        raise AssertionError("it does not end")


def clean(cluster: FakeCluster) -> bool:
    return read_replacing(cluster.deployment()) is None


def test_all_pods_are_new_in_the_end_and_never_too_few() -> None:
    cluster = FakeCluster(replicas=3)
    assert Run(cluster, ORDER).finish().ended is Outcome.REPLACED
    assert cluster.images == ["txmesh:2"] * 3
    assert cluster.least == 3
    assert clean(cluster)


def test_the_same_version_is_replaced_again_and_the_number_changed() -> None:
    cluster = FakeCluster(replicas=2)
    order = replace(ORDER, version="1", image="", replicas=4)
    assert Run(cluster, order).finish().ended is Outcome.REPLACED
    assert cluster.images == ["txmesh:1"] * 4
    before = {pod["metadata"]["name"] for pod in cluster.pods()["items"]}
    again = replace(order, generation="g2", replicas=None)
    assert Run(cluster, again).finish().ended is Outcome.REPLACED
    assert not before & {pod["metadata"]["name"] for pod in cluster.pods()["items"]}
    assert cluster.least >= 2


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (NEVER_READY, "not through after 30 s"),
        (CRASHES, "CrashLoopBackOff"),
        (MISSING, "ImagePullBackOff"),
        (FAILS_LATER, "was ready and is not any more"),
    ],
)
def test_pods_that_do_not_work_are_taken_back(image: str, why: str) -> None:
    cluster = FakeCluster()
    ended = Run(cluster, replace(ORDER, image=image)).finish()
    assert ended.ended is Outcome.ROLLED_BACK
    assert why in ended.why
    assert f"pod {ended.failed} " in ended.why or (ended.failed and image == NEVER_READY)
    assert cluster.images == ["txmesh:1"] * 2
    if image != FAILS_LATER:
        assert cluster.least == 2
    assert clean(cluster)


def test_a_failed_smoke_call_takes_back_before_the_old_ones_are_gone() -> None:
    cluster = FakeCluster()
    ended = Run(cluster, ORDER, smoke="500 broken").finish()
    assert ended.ended is Outcome.ROLLED_BACK
    assert f"pod {ended.failed} failed its smoke call: 500 broken" in ended.why
    assert cluster.images == ["txmesh:1"] * 2


def test_a_version_that_answers_worse_is_taken_back() -> None:
    cluster = FakeCluster()
    run = Run(cluster, ORDER)
    for _ in range(20):
        run.step()
    run.comparison = Comparison(
        seconds=3, new=Figures(requests=50, errors=50), old=Figures(requests=500)
    )
    ended = run.finish()
    assert ended.ended is Outcome.ROLLED_BACK
    assert "50 of 50 requests failed" in ended.why
    assert ended.failed == ""


def test_what_would_lose_calls_is_refused() -> None:
    deployment = FakeCluster().deployment()
    assert danger(deployment) == ""
    deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] = "25%"
    assert "maxUnavailable" in danger(deployment)
    del deployment["spec"]["template"]["spec"]["containers"][0]
    assert "no container" in danger(deployment)


def test_a_bake_without_calls_fails_where_calls_are_required() -> None:
    cluster = FakeCluster()
    ended = Run(cluster, replace(ORDER, traffic=True)).finish()
    assert (ended.ended, ended.why) == (
        Outcome.ROLLED_BACK,
        "the new version was not called once",
    )


@pytest.mark.parametrize("seed", range(0, 300, 100))
def test_killed_anywhere_a_rerun_ends_all_old_or_all_new(seed: int) -> None:
    for one in range(seed, seed + 100):
        history(random.Random(one))


def history(rng: random.Random) -> None:
    cluster = FakeCluster(replicas=rng.randint(1, 4))
    replicas = cluster.ready
    image = rng.choice(["txmesh:2", "txmesh:2", NEVER_READY, CRASHES])
    order = replace(ORDER, image=image)
    for _ in range(rng.randint(0, 3)):
        run = Run(cluster, order)
        for _ in range(rng.randint(0, 40)):
            if run.step().ended is not None:
                break
        if rng.random() < 0.3:
            run.order = replace(order, stop=True)
            run.finish()
        if rng.random() < 0.3:
            cluster.turn()
        order = replace(order, generation=f"g{rng.randint(2, 99)}")
    ended = Run(cluster, replace(order, abort=rng.random() < 0.3)).finish()
    assert ended.ended in (Outcome.REPLACED, Outcome.ROLLED_BACK, Outcome.ABORTED)
    for _ in range(10):
        cluster.turn()
    assert len(set(cluster.images)) == 1
    assert len(cluster.images) == replicas
    assert set(cluster.images) <= {"txmesh:1", "txmesh:2"}
    assert cluster.least == replicas
    assert clean(cluster)
