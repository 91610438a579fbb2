"""Following EndpointSlices: a list, then a watch from where the list ends, for ever.

One watch for all services of the mesh, by their label. A process holds one connection to the API
server whatever it calls, and the server has one watch a process to serve, not one a process and
service; the events of services that it does not call cost it some microseconds each.

- The server ends a watch after ``timeoutSeconds``; the next one begins where it ended.
- A connection that is cut is made again, from the version that was seen last.
- 410 Gone, as a status or as an event, means that the server has forgotten that version: list anew.
- Bookmarks say how far the watch has come where nothing happens, so that 410 stays rare.
- A server that freezes sends nothing at all: the watch is given up some time after its own end.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar, cast

import msgspec
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ...clock import Clock
from ...errors import RegistryError
from ..backoff import ReconnectBackoff
from .api import Answer, KubernetesApi
from .lines import Lines
from .objects import EndpointSlice, EndpointSliceList, Event, Status
from .place import Place

# How long a watch lasts (seconds). It bounds how long a frozen server goes unnoticed, and it keeps
# what is known younger than the minute after which a registry counts as lost. client-go takes five
# to ten minutes; from 1,000 processes this is 20 requests a second that the server answers at once.
WATCH_S = 50
# How much later than that it is given up (seconds).
GRACE_S = 10
# Bounds of the wait after a failure, and between two watches (seconds).
_RETRY_S = (0.1, 10.0)
# A watch that lasted so long (seconds) went well even if nothing happened in it.
_WELL_S = 1.0

Kind = TypeVar("Kind", bound=msgspec.Struct)

_log = Logger()


class _Gone(RegistryError):
    """The server has forgotten the version to go on from."""


class _Refused(RegistryError):
    """The server knows the way, and this process may not go it."""


class _NotUnderstood(RegistryError):
    """The server says what nobody expects; all is listed anew."""


class SliceWatch:
    """See the module.

    Attributes:
        confirmed_at: when the server last told or confirmed what there is, in monotonic seconds;
            None before.
    """

    def __init__(
        self,
        api: KubernetesApi,
        place: Place,
        clock: Clock,
        rng: random.Random,
        *,
        listed: Callable[[tuple[EndpointSlice, ...]], None],
        changed: Callable[[EndpointSlice, bool], None],
    ) -> None:
        """Take what is needed; nothing is asked yet.

        Args:
            api: the server.
            place: which slices.
            clock: monotonic.
            rng: for the jitter.
            listed: called with all slices that there are.
            changed: called with a slice that was added or modified, or that is gone, and whether it
                is still there.
        """
        self.confirmed_at: float | None = None
        self._api = api
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{place.namespace}/endpointslices"
        self._place = place
        self._clock = clock
        self._listed = listed
        self._changed = changed
        self._backoff = ReconnectBackoff(rng, *_RETRY_S)
        # What to go on from; None before the first list, "" where a list must be made anew.
        self._version: str | None = None
        self._lost: type[RegistryError] | None = None
        self._following = False
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._following = True
        self._running = Deferred.fromCoroutine(self._run()).addErrback(_cancelled)

    def stop(self) -> None:
        """End; harmless the second time."""
        self._following = False
        if self._running is not None:
            self._running.cancel()

    async def list(self, version: str = "") -> EndpointSliceList:
        """Ask for all slices.

        Args:
            version: "0" for what the server has at hand, which costs it little and may be a moment
                old; "" for what is true now.

        Raises:
            RegistryError: the server does not answer, or refuses.
        """
        query = {"labelSelector": self._place.label} | (
            {"resourceVersion": version} if version else {}
        )
        answer = await self._api.ask("GET", self._path, query)
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        found = self._decoded(answer.body, EndpointSliceList)
        self._confirm()
        return found

    async def _run(self) -> None:
        while self._following:
            try:
                await self._turn()
            except _Gone:
                self._version = ""
            except RegistryError as error:
                self._say_lost(error)
            except Exception:  # noqa: BLE001 - the watch must not end by a fault of ours
                _log.failure("following the EndpointSlices failed; all are listed anew")
                self._version = ""
            if self._following:
                await deferLater(cast("IReactorTime", self._clock), self._backoff.failed())

    async def _turn(self) -> None:
        if not self._version:
            # The first list may be a moment old, for the watch tells the rest. A later one must not
            # be older than what is known already.
            found = await self.list("0" if self._version is None else "")
            self._listed(found.items or ())
            self._version = found.metadata.resource_version
        began = self._clock.seconds()
        await self._watch(self._version)
        if self._clock.seconds() - began >= _WELL_S:
            self._backoff.succeeded()

    async def _watch(self, version: str) -> None:
        lines = Lines()
        begun = False

        def begin() -> None:
            nonlocal begun
            begun = True
            self._confirm()

        def take(data: bytes) -> None:
            for line in lines.feed(data):
                self._take(self._decoded(line, Event))

        query = {
            "labelSelector": self._place.label,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_S),
        }
        try:
            answer = await self._api.follow(self._path, query, begin, take, WATCH_S + GRACE_S)
        except (_Gone, _NotUnderstood):
            raise
        except RegistryError:
            if not begun:
                raise
            return  # it was cut, which is nothing unusual; whether the server is lost is seen next
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer)
        self._confirm()

    def _take(self, event: Event) -> None:
        if event.type == "ERROR":
            status = self._decoded(event.object, Status)
            # Whatever it is, a new list is the way out; "Expired" is the one that has to be.
            self._version = ""
            if status.code == HTTPStatus.GONE:
                raise _Gone(status.message)
            raise _NotUnderstood(
                f"the API server {self._place.server} ends the watch: {status.message}"
            )
        found = self._decoded(event.object, EndpointSlice)
        if event.type != "BOOKMARK":
            self._changed(found, event.type != "DELETED")
        self._version = found.metadata.resource_version
        self._backoff.succeeded()
        self._confirm()

    def _decoded(self, data: bytes | msgspec.Raw, kind: type[Kind]) -> Kind:
        try:
            return msgspec.json.decode(data, type=kind)
        except (ValueError, RecursionError) as error:  # what msgspec raises is a ValueError
            self._version = ""
            raise _NotUnderstood(
                f"what the API server {self._place.server} says is not understood: {error}"
            ) from None

    def _refusal(self, answer: Answer) -> RegistryError:
        server, why = self._place.server, answer.why
        if answer.status == HTTPStatus.GONE:
            return _Gone(why)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return _Refused(
                f"the API server {server} does not know who asks (401: {why}); "
                f"check the token in {self._place.token or 'no file'}"
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return _Refused(
                f"the API server {server} refuses (403: {why}); a Role must allow get, list and "
                f"watch on endpointslices of discovery.k8s.io in namespace {self._place.namespace}"
            )
        return RegistryError(f"the API server {server} answers {answer.status}: {why}")

    def _confirm(self) -> None:
        self.confirmed_at = self._clock.seconds()
        if self._lost is not None:
            self._lost = None
            _log.info("the API server {server} answers again", server=self._place.server)

    def _say_lost(self, error: RegistryError) -> None:
        if self._following and self._lost is not type(error):
            self._lost = type(error)
            _log.warn("{error}; the replicas known last stay", error=str(error))


def _cancelled(failure: Failure) -> None:
    failure.trap(defer.CancelledError)
