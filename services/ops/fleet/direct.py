"""Replicas asked and told at their own ports: state, figures, smoke calls, announcing, draining."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred, ensureDeferred

from balancer import BadReply, CallError, Clock, ConnectFailed, Endpoint, Reply
from clients.contract import AnswerDecoder, Call, Contract, RequestEncoder

from ..asking import Asker, meant
from ..probe import Prober
from .bake.comparison import Figures
from .bake.figures import read_figures

# A smoke call may take so long (seconds): it is a replica's first call, on caches that are cold.
_SMOKE_S = 5.0


class DirectReplicas:
    """See the module, and `services.ops.fleet.gather.Replicas`."""

    def __init__(self, contract: type[Contract], *, reactor: Any, clock: Clock) -> None:
        """Take what says which smoke calls there are.

        Args:
            contract: the service's.
            reactor: where sockets live.
            clock: monotonic.
        """
        self._smokes = smoke_calls(contract)
        self._asker = Asker(reactor, clock)
        self._prober = Prober(reactor, clock)

    def state(self, endpoint: Endpoint) -> Deferred[str]:
        """See `Replicas`."""
        return self._prober.state(endpoint)

    def figures(self, endpoint: Endpoint) -> Deferred[Figures]:
        """See `Replicas`."""
        told = self._asker.ask(endpoint.admin, meant(endpoint, "/metrics"))
        return told.addCallback(_figures)

    def smoke(self, endpoint: Endpoint) -> Deferred[str]:
        """See `Replicas`."""
        return ensureDeferred(self._smoke(endpoint))

    async def _smoke(self, endpoint: Endpoint) -> str:
        for call in self._smokes:
            assert call.smoke is not None
            target, body = RequestEncoder(call).encode(call.smoke.request)
            try:
                reply = await self._asker.ask(
                    endpoint.address,
                    target.decode("ascii"),
                    method=call.method,
                    body=body,
                    deadline_s=max(_SMOKE_S, call.deadline_s),
                )
            except CallError as error:
                return f"{call.name}: {error}"
            if why := misfit(call, reply):
                return f"{call.name}: {why}"
        return ""

    def announce(self, endpoint: Endpoint, weight: float) -> Deferred[None]:
        """See `Replicas`."""
        return self._tell(endpoint, "/announce", weight=repr(weight))

    def drain(self, endpoint: Endpoint) -> Deferred[None]:
        """See `Replicas`."""
        return self._tell(endpoint, "/drain")

    def _tell(self, endpoint: Endpoint, path: str, **fields: str) -> Deferred[None]:
        told = self._asker.ask(endpoint.admin, meant(endpoint, path, **fields), method="POST")
        return told.addCallback(_heard, endpoint)


def smoke_calls(contract: type[Contract]) -> list[Call[Any, Any, Any]]:
    """The calls of a contract that declare how to try a new replica."""
    return [call for call in contract.calls.values() if call.smoke is not None]


def misfit(call: Call[Any, Any, Any], reply: Reply) -> str:
    """What is wrong with the answer to a smoke call; "" for nothing. Pure.

    Args:
        call: one of `smoke_calls`.
        reply: what the replica answered.
    """
    smoke = call.smoke
    assert smoke is not None
    status = call.status if smoke.status is None else smoke.status
    if reply.status != status:
        return f"answered {reply.status} instead of {status}"
    try:
        if status < 300:
            AnswerDecoder(call).decode(reply.body)
        elif smoke.type and msgspec.json.decode(reply.body).get("type") != smoke.type:
            return f"its {status} is not {smoke.type!r}"
    except (ValueError, AttributeError, RecursionError) as error:
        return f"its answer is not what the contract says ({error})"
    return ""


def _figures(reply: Reply) -> Figures:
    if reply.status != 200:
        raise BadReply(f"/metrics answered {reply.status}", sent=True)
    try:
        return read_figures(reply.body.decode("utf-8"))
    except ValueError as error:
        raise BadReply(f"/metrics is not understood ({error})", sent=True) from None


def _heard(reply: Reply, endpoint: Endpoint) -> None:
    if reply.status == 421:
        raise ConnectFailed(
            f"another replica answers at {endpoint.admin} (421): {endpoint.replica} is not there "
            "any more"
        )
    # A replica that is told to announce itself while it leaves says so with a 503: it was heard.
    if reply.status not in (200, 202, 503):
        raise BadReply(f"its admin port answered {reply.status}", sent=True)
