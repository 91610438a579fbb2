"""A lock in Kubernetes: a Lease, renewed for as long as the lock is held.

Every change names the version that it changes, and the API server refuses it when somebody else was
first: so no two processes take one lock, nor does one renew what another has taken meanwhile.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from .api import Answer, KubernetesApi
from .lease import LOCK, Lease, lease_name
from .objects import Metadata

# As shares of the time to live: when it is renewed, and when the holder learns that it is lost. The
# rest is for the holder to stop before another can have it.
_RENEW = 1 / 3
_LOST = 0.8
# Wait before a renewal that failed is tried again (seconds).
_RETRY_S = 0.5

_log = Logger()


async def take_lock(
    api: KubernetesApi,
    namespace: str,
    lock: str,
    holder: str,
    ttl_s: float,
    clock: Clock,
    ended: Callable[[KubernetesLock], None],
) -> KubernetesLock | None:
    """Take a lock, if nobody has it.

    Args:
        api: the server.
        namespace: where the Lease is.
        lock: its name.
        holder: who takes it, for people.
        ttl_s: how long it stays taken when its holder is silent, in seconds.
        clock: monotonic.
        ended: called when it is not held any more.

    Raises:
        RegistryError: the server does not answer, or refuses.
    """
    leases, name = _leases(namespace), lease_name(lock)
    path = f"{leases}/{name}"
    answer = await api.ask("GET", path)
    is_new = answer.status == HTTPStatus.NOT_FOUND
    found = (
        Lease(Metadata(name, annotations={LOCK: lock})) if is_new else _decoded(answer, namespace)
    )
    if found.is_held(api.seconds()):
        return None
    # Two processes of one name must still be told apart; `Lease.holder` knows what is added.
    identity = f"{holder} {secrets.token_hex(4)}"
    taken = msgspec.json.encode(found.taken(identity, ceil(ttl_s), api.seconds()))
    asked_at = clock.seconds()
    answer = await api.ask("POST" if is_new else "PUT", leases if is_new else path, body=taken)
    if answer.status == HTTPStatus.CONFLICT:
        return None  # somebody else was first
    lease = _decoded(answer, namespace)
    return KubernetesLock(api, path, lease, namespace, ttl_s, asked_at, clock, ended)


async def ask_holder(api: KubernetesApi, namespace: str, lock: str) -> str:
    """Who has a lock now; "" when nobody has.

    Args:
        api: the server.
        namespace: where the Lease is.
        lock: its name.

    Raises:
        RegistryError: the server does not answer, or refuses.
    """
    answer = await api.ask("GET", f"{_leases(namespace)}/{lease_name(lock)}")
    if answer.status == HTTPStatus.NOT_FOUND:
        return ""
    lease = _decoded(answer, namespace)
    return lease.holder if lease.is_held(api.seconds()) else ""


class KubernetesLock:
    """A lock that is held; see `balancer.discovery.Lock`."""

    def __init__(
        self,
        api: KubernetesApi,
        path: str,
        lease: Lease,
        namespace: str,
        ttl_s: float,
        asked_at: float,
        clock: Clock,
        ended: Callable[[KubernetesLock], None],
    ) -> None:
        """Begin with a Lease that was taken.

        Args:
            api: the server.
            path: the Lease's.
            lease: as the server has it now.
            namespace: where it is.
            ttl_s: how long it stays taken without a renewal, in seconds.
            asked_at: when it was asked for, in monotonic seconds.
            clock: monotonic.
            ended: called when it is not held any more.
        """
        self.note = lease.note
        self.lost: Deferred[None] = Deferred()
        self._api = api
        self._path = path
        self._lease = lease
        self._namespace = namespace
        self._ttl_s = ttl_s
        self._clock = clock
        self._ended = ended
        self._held = True
        # One change at a time: each names the version that the one before it made.
        self._turn = DeferredLock()
        self._losing: IDelayedCall | None = None
        self._renewing: IDelayedCall | None = None
        self._extend(asked_at)

    def release(self, note: str | None = None) -> Deferred[None]:
        """Give it back; harmless the second time.

        Returns:
            Fires when the server has it; fails with `RegistryError` when it does not answer.
        """
        if not self._held:
            return succeed(None)
        self._end()
        return self._in_turn(self._release(note))

    def _in_turn(self, change: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        return self._turn.run(Deferred.fromCoroutine, change)

    def _extend(self, asked_at: float) -> None:
        """Reckon from when the server was asked: it has heard of the holder no earlier."""
        self._end_timers()
        left_s = asked_at + self._ttl_s * _LOST - self._clock.seconds()
        self._losing = self._clock.callLater(max(left_s, 0.0), self._lose)
        self._renewing = self._clock.callLater(self._ttl_s * _RENEW, self._renew_in_turn)

    def _renew_in_turn(self) -> None:
        self._in_turn(self._renew()).addErrback(self._try_again)

    def _try_again(self, failure: Failure) -> None:
        if failure.check(RegistryError) is None:
            _log.failure("a renewal of {path} failed", failure, path=self._path)
        if self._held:
            self._renewing = self._clock.callLater(_RETRY_S, self._renew_in_turn)

    async def _renew(self) -> None:
        if not self._held:
            return
        asked_at = self._clock.seconds()
        if await self._put(self._lease.renewed(self._api.seconds())):
            if self._held:
                self._extend(asked_at)
        elif self._held:
            self._lose()

    async def _release(self, note: str | None) -> None:
        await self._put(self._lease.released(note))

    async def _put(self, lease: Lease) -> bool:
        """Change the Lease.

        Returns:
            Whether it was this holder's to change.

        Raises:
            RegistryError: the server does not answer, or refuses.
        """
        while True:
            answer = await self._api.ask("PUT", self._path, body=msgspec.json.encode(lease))
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            if answer.status != HTTPStatus.CONFLICT:
                self._lease = _decoded(answer, self._namespace)
                return True
            # Either another has it, or the answer to an earlier change of our own was lost.
            answer = await self._api.ask("GET", self._path)
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            there = _decoded(answer, self._namespace)
            if there.spec.holder_identity != self._lease.spec.holder_identity:
                return False
            version = there.metadata.resource_version
            metadata = msgspec.structs.replace(lease.metadata, resource_version=version)
            lease = msgspec.structs.replace(lease, metadata=metadata)

    def _lose(self) -> None:
        self._end()
        self.lost.callback(None)

    def _end(self) -> None:
        self._held = False
        self._end_timers()
        self._ended(self)

    def _end_timers(self) -> None:
        for timer in (self._losing, self._renewing):
            if timer is not None and timer.active():
                timer.cancel()


def _leases(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _decoded(answer: Answer, namespace: str) -> Lease:
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        hint = ""
        if answer.status == HTTPStatus.FORBIDDEN:
            hint = (
                "; a Role must allow get, create and update on leases of coordination.k8s.io "
                f"in namespace {namespace}"
            )
        raise RegistryError(
            f"the API server does not give the lock ({answer.status}: {answer.why}){hint}"
        )
    try:
        return msgspec.json.decode(answer.body, type=Lease)
    except (ValueError, RecursionError) as error:  # what msgspec raises is a ValueError
        raise RegistryError(f"the API server's Lease is not understood: {error}") from None
