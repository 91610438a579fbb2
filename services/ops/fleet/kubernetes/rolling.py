"""One replacement on a cluster: look, decide, do, again, until it has ended.

The cluster itself keeps what was decided (`change.Replacing`), so that a command that is killed, on
whatever machine it ran, is gone on with by the next one from anywhere.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults, succeed

from balancer import Clock, RegistryError
from clients.contract import Contract

from ..bake.comparison import Comparison, Figures
from ..bake.sampling import Samples
from ..claim import Claim
from ..drivers.interface import DriverError
from ..ended import Ended
from ..plan.steps import Outcome
from ..rest import Rest
from .change import Replacing, change, danger, read_replacing, read_running
from .cluster import Cluster, ClusterError
from .decide import Apply, Decision, Order, Seen, Settle, SmokePods, decide
from .manifest import ADMIN_PORT, SERVICE_PORT
from .observed import Pod, read_rollout
from .pods import Pods

# Between two looks (seconds): two small questions to the API server.
_LOOK_S = 1.0


class RollingProgress(Protocol):
    """Who is told how it goes."""

    def found(self, replacing: Replacing | None) -> None:
        """This is what an earlier command has left; None for nothing."""

    def looked(self, seen: Seen, decided: Decision) -> None:
        """A look was taken, and this is to be done."""

    def waits(self, why: str) -> None:
        """Nothing can be done for now."""


class Rolling:
    """See the module."""

    def __init__(
        self,
        name: str,
        order: Order,
        *,
        cluster: Cluster,
        contract: type[Contract],
        claim: Claim,
        progress: RollingProgress,
        rest: Rest,
        clock: Clock,
    ) -> None:
        """Take what is wanted and who does it.

        Args:
            name: the Deployment's, which is the service's.
            order: what is asked for.
            cluster: has the Deployment.
            contract: says which smoke calls there are.
            claim: one replacement a service at a time.
            progress: is told.
            rest: between two looks.
            clock: monotonic.
        """
        self._name = name
        self._order = order
        self._cluster = cluster
        self._pods = Pods(cluster, contract)
        self._claim = claim
        self._progress = progress
        self._clock = clock
        self._rest = rest
        self._phase: object = None
        self._since = clock.seconds()
        self._well_since: float | None = None
        self._smoked: dict[str, str] = {}
        self._samples = Samples()
        # By pod: the cluster forgets a log with its pod, which an undo takes away.
        self._logs: dict[str, list[str]] = {}

    def stop(self) -> None:
        """Have it undone."""
        self._order = replace(self._order, stop=True)
        self._rest.wake()

    async def leave(self, why: str) -> None:
        """Leave it as it is, for the next run.

        Args:
            why: what that is told.
        """
        await self._claim.give_up(why)

    def tail(self, pod: str) -> Deferred[list[str]]:
        """The last lines of a pod's log, also of the one that failed and is no more.

        Fails with `DriverError`.
        """
        kept = self._logs.get(pod)
        return self._cluster.tail(pod) if kept is None else succeed(kept)

    async def run(self) -> Ended:
        """Do it; the lock has been given back at the end."""
        try:
            seen = await self._look()
        except (ClusterError, RegistryError) as error:
            return Ended(Outcome.REFUSED, str(error))
        # A command that was killed half-way may still have the lock for a while.
        left = None if seen is None else seen.replacing
        self._progress.found(left)
        ended = await self._claim.take(patient=left is not None)
        if ended is not None:
            return ended
        while ended is None:
            if not self._claim.held:
                ended = await self._claim.take(patient=True)
                continue
            try:
                ended = await self._round()
            except ClusterError as error:
                ended = Ended(Outcome.UNFINISHED if self._phase else Outcome.REFUSED, str(error))
            except RegistryError as error:  # the API server does not answer
                self._progress.waits(str(error))
                await self._rest.sleep(_LOOK_S)
        await self._claim.release(ended.why if ended.outcome is Outcome.UNFINISHED else "")
        return ended

    async def _round(self) -> Ended | None:
        seen = await self._look()
        if seen is None:
            return Ended(
                Outcome.REFUSED,
                f"there is no Deployment {self._name} in namespace {self._cluster.namespace}; "
                "make the first one with `kubectl apply --server-side -k deploy/kubernetes`",
            )
        decided = decide(seen, self._order, self._clock.seconds())
        self._progress.looked(seen, decided)
        if isinstance(decided.step, Apply) and decided.step.replacing.failed:
            await self._keep_log(decided.step.replacing.failed)
        if not self._claim.held:
            return None  # it was lost while we looked
        await self._do(decided)
        if decided.ended is not None:
            return Ended(decided.ended, decided.why, decided.failed)
        if decided.step is None:
            await self._rest.sleep(_LOOK_S)
        return None

    async def _look(self) -> Seen | None:
        deployment = await self._cluster.deployment(self._name)
        if deployment is None:
            return None
        rollout = read_rollout(deployment, await self._cluster.pods(deployment))
        try:
            replacing = read_replacing(deployment)
        except ValueError as error:
            raise ClusterError(
                f"the annotation txmesh/replacing of Deployment {self._name} is none of ours "
                f"({error}); see what runs, and remove it"
            ) from None
        now = self._clock.seconds()
        if replacing != self._phase:
            self._phase, self._since, self._well_since = replacing, now, None
        if rollout.complete and self._well_since is None:
            self._well_since = now
        seen = Seen(
            running=read_running(deployment),
            rollout=rollout,
            replacing=replacing,
            danger=danger(deployment),
            smoked=dict(self._smoked),
            since=self._since,
            well_since=self._well_since,
        )
        return replace(seen, comparison=await self._compared(seen))

    async def _compared(self, seen: Seen) -> Comparison | None:
        """New against old, as long as there are old ones; what these answered stays the measure."""
        if seen.replacing is None or seen.replacing.phase != "roll":
            return None
        new = [pod for pod in seen.new() if pod.ready]
        if not new:
            return None
        now = self._clock.seconds()
        if self._samples.due(seen.replacing.wanted.generation, now, _LOOK_S):
            old = [pod for pod in seen.rollout.pods if pod not in seen.new()]
            fair = len(new) / len(old) if old else 1.0
            self._samples.add(now, await self._figures(new), await self._figures(old), fair)
        return self._samples.comparison()

    async def _figures(self, pods: list[Pod]) -> dict[str, Figures]:
        asked = [Deferred.fromCoroutine(self._pods.figures(pod.name, ADMIN_PORT)) for pod in pods]
        found = await gatherResults(asked)
        pairs = zip(pods, found, strict=True)
        return {pod.name: figures for pod, figures in pairs if figures is not None}

    async def _do(self, decided: Decision) -> None:
        namespace = self._cluster.namespace
        match decided.step:
            case Apply(replacing):
                await self._cluster.apply(
                    change(self._name, namespace, replacing.target, replacing)
                )
            case Settle(running):
                await self._cluster.apply(change(self._name, namespace, running))
            case SmokePods(pods):
                for pod in pods:
                    self._smoked[pod] = await self._pods.smoke(pod, SERVICE_PORT)

    async def _keep_log(self, pod: str) -> None:
        with suppress(DriverError):  # that it is undone is worth more than the log
            self._logs[pod] = await self._cluster.tail(pod)
