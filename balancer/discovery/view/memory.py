"""What was known last, on disk: for callers that start while the registry is lost.

One small file a service and registry, in a folder that all callers of a machine may share. A file
is written whole under another name and then renamed, so readers see the old one or the new one, and
of several writers the last wins: each of them wrote all that there is. It is a convenience, never a
need: what cannot be written or read is told once in the log, and calls go on.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from twisted.logger import Logger

from ...values import Endpoint
from ..names import is_name
from .belief import FORGET_S

# Greater than any (bytes): ten thousand replicas take three million.
_MOST_BYTES = 16_777_216

_log = Logger()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One replica as it is remembered.

    Attributes:
        endpoint: as it was last told.
        told: when that was, in seconds since the epoch.
    """

    endpoint: Endpoint
    told: float


class _File(msgspec.Struct, frozen=True, kw_only=True):
    service: str
    registry: str
    entries: list[Entry]


class Memory:
    """See the module."""

    def __init__(self, folder: Path, url: str, wall: Callable[[], float]) -> None:
        """Use a folder, which need not exist yet.

        Args:
            folder: where the files are.
            url: the registry's, without its password: what one registry tells is no news of
                another.
            wall: now, in seconds since the epoch: the files outlive every monotonic clock.
        """
        self._folder = folder
        self._url = url
        self._wall = wall
        self._suffix = f".{sha256(url.encode('utf-8')).hexdigest()[:12]}.json"
        self._complained: set[str] = set()

    def read(self, service: str) -> tuple[list[Endpoint], float]:
        """What is remembered of a service.

        Args:
            service: its name; nothing is remembered of one that cannot be a service's.

        Returns:
            The endpoints, and how old the newest of this is, in seconds; none when nothing of the
            last day is known.
        """
        entries = self._read(service) if is_name(service) else []
        if not entries:
            return [], 0.0
        newest = max(entry.told for entry in entries)
        return [entry.endpoint for entry in entries], max(0.0, self._wall() - newest)

    def read_all(self) -> tuple[list[Endpoint], float]:
        """What is remembered of all services; see `read`."""
        try:
            names = sorted(path.name for path in self._folder.glob(f"*{self._suffix}"))
        except OSError:
            names = []
        found = [self.read(name.removesuffix(self._suffix)) for name in names]
        known = [(endpoints, age_s) for endpoints, age_s in found if endpoints]
        age_s = min((age_s for _, age_s in known), default=0.0)
        return [endpoint for endpoints, _ in known for endpoint in endpoints], age_s

    def write(self, service: str, entries: Iterable[tuple[Endpoint, float]]) -> None:
        """Remember a service.

        Args:
            service: its name; one that cannot be a service's is not remembered.
            entries: its endpoints, each with the time since it was told, in seconds. When there is
                none the file goes.
        """
        if not is_name(service):
            return
        now = self._wall()
        document = _File(
            service=service,
            registry=self._url,
            entries=[
                Entry(endpoint=endpoint, told=round(now - age_s, 3)) for endpoint, age_s in entries
            ],
        )
        path = self._path(service)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            if not document.entries:
                path.unlink(missing_ok=True)
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(document))
            draft.replace(path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            self._complain(
                "write", "what is known of the registry cannot be kept in", self._folder, error
            )

    def _path(self, service: str) -> Path:
        return self._folder / f"{service}{self._suffix}"

    def _read(self, service: str) -> list[Entry]:
        path = self._path(service)
        try:
            with path.open("rb") as file:
                document = msgspec.json.decode(file.read(_MOST_BYTES), type=_File)
            if document.service != service or document.registry != self._url:
                raise ValueError("it is another service's, or another registry's")  # noqa: TRY301
            if any(entry.endpoint.service != service for entry in document.entries):
                raise ValueError("it has another service's replicas")  # noqa: TRY301
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:  # msgspec's are ValueErrors
            self._complain(path.name, "what was known of the registry is ignored:", path, error)
            return []
        now = self._wall()
        return [entry for entry in document.entries if now - entry.told < FORGET_S]

    def _complain(self, about: str, what: str, where: os.PathLike[str], error: Exception) -> None:
        if about not in self._complained:
            self._complained.add(about)
            why = error.strerror if isinstance(error, OSError) else str(error)
            _log.warn("{what} {where} ({why})", what=what, where=os.fspath(where), why=why)
