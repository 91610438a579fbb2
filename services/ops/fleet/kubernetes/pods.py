"""Pods asked through the API server: smoke calls and figures, from wherever the command runs."""

from __future__ import annotations

from typing import Any

from balancer import RegistryError, Reply
from clients.contract import Call, Contract, RequestEncoder

from ..bake.comparison import Figures
from ..bake.figures import read_figures
from ..direct import misfit, smoke_calls
from .cluster import Cluster


class Pods:
    """The pods of one service."""

    def __init__(self, cluster: Cluster, contract: type[Contract]) -> None:
        """Take the way to them.

        Args:
            cluster: where they are.
            contract: says which smoke calls there are.
        """
        self._cluster = cluster
        self._smokes: list[Call[Any, Any, Any]] = smoke_calls(contract)

    async def smoke(self, pod: str, port: int) -> str:
        """Make the smoke calls on a pod.

        Args:
            pod: its name.
            port: its service port.

        Returns:
            What is wrong; "" for nothing.

        Raises:
            RegistryError: the API server does not answer, which says nothing of the pod.
        """
        for call in self._smokes:
            assert call.smoke is not None
            target, body = RequestEncoder(call).encode(call.smoke.request)
            answer = await self._cluster.ask_pod(
                pod, port, target.decode("ascii"), method=call.method, body=body
            )
            if why := misfit(call, Reply(answer.status, [], answer.body)):
                return f"{call.name}: {why}"
        return ""

    async def figures(self, pod: str, port: int) -> Figures | None:
        """What a pod answered since it started; None when it does not say.

        Args:
            pod: its name.
            port: its admin port.
        """
        try:
            answer = await self._cluster.ask_pod(pod, port, "/metrics")
            return read_figures(answer.body.decode("utf-8")) if answer.status == 200 else None
        except (RegistryError, ValueError):
            return None
