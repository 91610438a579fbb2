"""A cloud's provider through Apache Libcloud: its calls block, so they are made in threads.

One call at a time: a driver of Libcloud's has one connection. A call that hangs is left to its
thread, and the next one gets a driver of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from libcloud.common.types import InvalidCredsError
from libcloud.compute.base import NodeDriver
from libcloud.compute.providers import get_driver
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from services.kit.driver_settings import CloudSettings

from ...faults import one_line
from .interface import DriverError

T = TypeVar("T")

# One works; the others may hang.
_THREADS = 8


class Credentials:
    """What a provider knows us by; it has no text form."""

    def __init__(self, settings: CloudSettings, environ: Mapping[str, str]) -> None:
        """Read them from the environment.

        Raises:
            DriverError: they are not there.
        """
        names = [name for name in (settings.key_variable, settings.secret_variable) if name]
        missing = [name for name in names if not environ.get(name)]
        if missing:
            raise DriverError(
                f"the cloud driver needs {' and '.join(missing)} in the environment; set them, or "
                "name others with key_variable and secret_variable in [fleet.cloud]"
            )
        self._texts = tuple(environ[name] for name in names)

    def connect(self, settings: CloudSettings) -> NodeDriver:
        """Make a driver of Libcloud's.

        Raises:
            DriverError: there is no such provider, or it does not take these settings.
        """
        try:
            kind = get_driver(settings.provider)
        except (AttributeError, ImportError):
            raise DriverError(
                f"Apache Libcloud knows no provider {settings.provider!r}; see provider in "
                "[fleet.cloud]"
            ) from None
        try:
            nodes: NodeDriver = kind(*self._texts, **settings.arguments)
        except (TypeError, ValueError) as error:
            raise DriverError(
                f"the provider {settings.provider!r} does not take these arguments "
                f"({self.hidden(error)}); see arguments in [fleet.cloud]"
            ) from None
        if connection := getattr(nodes, "connection", None):
            connection.timeout = settings.answer_s
        return nodes

    def hidden(self, error: BaseException) -> str:
        """What an error says, without these."""
        text = one_line(error)
        for secret in self._texts:
            text = text.replace(secret, "***")
        return text


class Provider:
    """See the module."""

    def __init__(
        self,
        settings: CloudSettings,
        credentials: Credentials,
        connect: Callable[[CloudSettings], NodeDriver],
        *,
        reactor: Any,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: the provider, and how long it may take.
            credentials: what no error may tell.
            connect: makes a driver of Libcloud's.
            reactor: takes the results back.
        """
        self._settings = settings
        self._credentials = credentials
        self._connect = connect
        self._reactor = reactor
        self._one_at_a_time = DeferredLock()
        self._pool = _Pool(minthreads=0, maxthreads=_THREADS, name="txmesh-cloud")
        self._pool.start()
        self._nodes: NodeDriver | None = None

    async def call(self, what: str, work: Callable[[NodeDriver], T]) -> T:
        """Make a call.

        Args:
            what: it is to do, for people.
            work: blocks as it likes.

        Raises:
            DriverError: it failed, or took too long.
        """
        await self._one_at_a_time.acquire()
        try:
            called: Deferred[T] = deferToThreadPool(self._reactor, self._pool, self._work, work)
            return await called.addTimeout(self._settings.answer_s, self._reactor)
        except DriverError:
            raise
        except TookTooLong:
            self._nodes = None
            raise DriverError(
                f"the provider {self._settings.provider!r} has not answered within "
                f"{self._settings.answer_s:g} s: {what}"
            ) from None
        except InvalidCredsError:
            raise DriverError(
                f"the provider {self._settings.provider!r} refuses the credentials in "
                f"{self._settings.key_variable} and {self._settings.secret_variable}"
            ) from None
        except Exception as error:  # noqa: BLE001 - Libcloud's drivers raise whatever they like
            raise DriverError(
                f"the provider {self._settings.provider!r} does not {what}: "
                f"{type(error).__name__}: {self._credentials.hidden(error)}"
            ) from None
        finally:
            self._one_at_a_time.release()

    def close(self) -> None:
        """End the threads; one that hangs is not waited for."""
        self._pool.threads.clear()
        self._pool.stop()

    def _work(self, work: Callable[[NodeDriver], T]) -> T:
        if self._nodes is None:
            self._nodes = self._connect(self._settings)
        return work(self._nodes)


class _Daemon(threading.Thread):
    """A thread that keeps no process from ending."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, daemon=True, **keywords)


class _Pool(ThreadPool):
    """Threads that keep no process from ending."""

    threadFactory = _Daemon
