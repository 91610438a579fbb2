"""The mesh as a caller has it: one object a process, a typed client for each service."""

from __future__ import annotations

import random
import re
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from balancer import (
    BadReply,
    Clock,
    ConfigFile,
    Dispatcher,
    DispatchSettings,
    MeshAgent,
    MonotonicClock,
    Reply,
    Request,
    Settings,
    current,
    read_config,
)
from balancer.discovery import Memory, Registry, RegistrySettings, View, open_registry
from balancer.policy import Fleet
from balancer.telemetry import CallStats, DecisionLog, DecisionSettings
from balancer.transport import Channel, Pool, PoolSettings, Sweep
from balancer.wire import WireLimits

from .contract import AnswerDecoder, Call, CallOptions, Contract, Message, RequestEncoder
from .refusal import refusal

Client = TypeVar("Client", bound=Contract)
Answer = TypeVar("Answer", bound=Message)

# Idle connections are looked at with this grain (seconds): they live for a minute.
_IDLE_TICK_S = 1.0
_FIELD_VALUE = re.compile(r"[\x21-\x7e]+").fullmatch


class ClientSettings(Settings, frozen=True, kw_only=True):
    """How this process calls.

    Attributes:
        caller: its name in the services' records; "" takes the program's.
        agent_deadline_s: how long a request through the agent may take, in seconds.
        dispatch: how calls are tried.
        pool: how connections are kept.
        limits: what an answer may be.
        decisions: which decisions are kept, to answer "why this replica?".
    """

    caller: str = ""
    agent_deadline_s: float = 10.0
    dispatch: DispatchSettings = DispatchSettings()
    pool: PoolSettings = PoolSettings()
    limits: WireLimits = WireLimits()
    decisions: DecisionSettings = DecisionSettings()


class Mesh:
    """Calls services by name; make one and keep it.

    ::

        mesh = Mesh("mesh.toml")
        users = mesh.client(Users)
        user = await users.fetch(id="u_...")

    Attributes:
        clock: monotonic.
        registry: the source: who exists by its word, and where to announce a replica.
        view: what calls go by: that word as far as it is believed.
    """

    def __init__(
        self,
        config: str | Path | ConfigFile | None = None,
        *,
        registry: str | Registry | None = None,
        caller: str | None = None,
        decisions: DecisionSettings | None = None,
        reactor: Any = None,
        rng: random.Random | None = None,
        dispatcher: Dispatcher | None = None,
    ) -> None:
        """Open the mesh; nothing is connected before the first call.

        Args:
            config: a TOML file (its ``[registry]`` and ``[client]`` are read); None for the
                embedded defaults.
            registry: its URL, instead of the file's; or an open registry.
            caller: this process's name, instead of the file's.
            decisions: which decisions are kept, instead of what the file says.
            reactor: None for the process's own.
            rng: for picks and jitter; None for one seeded by the system.
            dispatcher: makes the calls by its own clock; None for one on sockets. Tests hand in
                that of a `balancer.testing.World`.

        Raises:
            ConfigError: a file or URL that cannot be used.
        """
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415, TID251 - the edge that says which
        file = config if isinstance(config, ConfigFile) else read_config(config)
        settings = file.section("client", ClientSettings)
        self._settings = settings
        self._reactor = reactor
        self.clock: Clock = dispatcher.clock if dispatcher else MonotonicClock(reactor)
        self._idle_sweep = Sweep(self.clock, _IDLE_TICK_S)
        rng = rng or random.Random()  # noqa: S311 - picks and jitter are no secret
        found = file.section("registry", RegistrySettings)
        if isinstance(registry, str):
            found = msgspec.structs.replace(found, url=registry)
        if registry is None or isinstance(registry, str):
            registry = open_registry(found, file.folder, reactor=reactor, clock=self.clock, rng=rng)
        self.registry: Registry = registry
        memory = (
            Memory(file.folder / found.known, registry.url, time.time)  # noqa: TID251 - the edge
            if found.known
            else None
        )
        self.view = View(registry, self.clock, memory)
        self._seconds = self.clock.seconds
        caller = caller or settings.caller or Path(sys.argv[0]).name or "python"
        self._dispatcher = dispatcher or Dispatcher(
            clock=self.clock,
            rng=rng,
            registry=self.view,
            open_channel=self._open_channel,
            sweep=Sweep(self.clock),
            settings=settings.dispatch,
            caller=caller,
            decisions=DecisionLog(
                decisions or settings.decisions,
                caller=caller,
                clock=self.clock,
                wall=time.time(),  # noqa: TID251 - only tells readers of the log when it was
                salt=secrets.token_bytes(16),
            ),
        )
        self._plans: dict[Call[Any, Any, Any], _Plan] = {}

    def client(self, contract: type[Client]) -> Client:
        """The typed client of a service."""
        return contract(self)

    def agent(self, deadline_s: float | None = None) -> MeshAgent:
        """An `IAgent` that takes ``http://SERVICE/...``.

        Args:
            deadline_s: how long each request may take, in seconds; None for the setting.
        """
        wait_s = self._settings.agent_deadline_s if deadline_s is None else deadline_s
        return MeshAgent(self._dispatcher, self._deadline, wait_s)

    def carry(
        self, call: Call[Any, Any, Answer], message: Message, options: CallOptions | None
    ) -> Deferred[Answer]:
        """Make one call; typed clients use it (see `clients.contract.Carrier`).

        Raises:
            ValueError: a field that cannot stand in a path or header.
        """
        plan = self._plans.get(call)
        if plan is None:
            plan = self._plans[call] = _Plan(call)
        target, body = plan.encode(message)
        ambient = current.get()
        headers = plan.headers
        deadline_s = call.deadline_s
        hedge = call.hedge
        if options is not None:
            if options.priority is not None:
                headers = plan.unranked_headers
            headers += _option_lines(call, options)
            deadline_s = options.deadline_s or deadline_s
            hedge = hedge if options.hedge is None else options.hedge
        if call.keyed and (options is None or options.idempotency_key is None):
            # From the system's source, never a seeded one: two processes with the same keys would
            # be given each other's answers.
            headers += b"Idempotency-Key: %b\r\n" % secrets.token_hex(16).encode("ascii")
        deadline = self._seconds() + deadline_s
        if ambient is not None:
            deadline = min(deadline, ambient.deadline)
            headers += ambient.inherited_lines(headers)
        key = str(getattr(message, call.affinity)) if call.affinity else None
        request = Request(call.service, plan.method, target, headers, body, key, hedge, call.name)
        return self._dispatcher.call(request, deadline, plan.settle, retryable=plan.retryable)

    def fleet(self, service: str) -> Fleet:
        """The replicas of a service as this process sees them; it is followed from now on."""
        return self._dispatcher.fleet(service)

    def stats(self) -> list[CallStats]:
        """What was counted of this process's calls, a service each."""
        return self._dispatcher.stats()

    def decisions(self) -> DecisionLog:
        """Why calls went where they went: the decisions of those that were sampled."""
        return self._dispatcher.decisions

    def close(self) -> None:
        """Close the connections and end watching the registry."""
        self._dispatcher.close()
        self.view.close()
        self.registry.close()

    def _deadline(self, wait_s: float) -> float:
        deadline = self._seconds() + wait_s
        ambient = current.get()
        return deadline if ambient is None else min(deadline, ambient.deadline)

    def _open_channel(self, address: str) -> Channel:
        return Pool(
            address,
            reactor=self._reactor,
            clock=self.clock,
            sweep=self._idle_sweep,
            settings=self._settings.pool,
            limits=self._settings.limits,
        )


class _Plan:
    """What is worked out once for each call."""

    __slots__ = (
        "_call",
        "_decode",
        "encode",
        "headers",
        "method",
        "retryable",
        "unranked_headers",
    )

    def __init__(self, call: Call[Any, Any, Any]) -> None:
        self._call = call
        self._decode = AnswerDecoder(call).decode
        self.encode: Callable[[Any], tuple[bytes, bytes]] = RequestEncoder(call).encode
        self.method = call.method.encode("ascii")
        self.retryable = call.retryable
        self.headers = b"Content-Type: application/json\r\n" if call.has_body else b""
        self.unranked_headers = self.headers  # for a caller who gives a priority
        if call.priority != 1:
            self.headers += b"Mesh-Priority: %d\r\n" % call.priority

    def settle(self, reply: Reply, _attempts: int) -> Any:
        """The final reply as an answer, or as the error that it is."""
        if reply.status >= 400:
            raise refusal(self._call.service, self._call.name, reply)
        try:
            return self._decode(reply.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadReply(
                f"{self._call.service}.{self._call.name}: the answer is not what the contract "
                f"says ({error}); are caller and service of different versions?",
                sent=True,
            ) from None


def _option_lines(call: Call[Any, Any, Any], options: CallOptions) -> bytes:
    lines = []
    if options.idempotency_key is not None:
        if not call.keyed:
            raise ValueError(f"{call.service}.{call.name} takes no Idempotency-Key")
        lines.append(("Idempotency-Key", options.idempotency_key))
    if options.site is not None:
        lines.append(("Mesh-Site", options.site))
    if options.priority is not None:
        lines.append(("Mesh-Priority", str(options.priority)))
    for name, value in lines:
        if not _FIELD_VALUE(value) or len(value) > 255:
            raise ValueError(f"{name} must be 1 to 255 visible ASCII characters")
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode("ascii")
