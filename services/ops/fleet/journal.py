"""What a replacement has decided, on disk before it is done: whoever comes next goes on from there.

The journal says what cannot be seen: which replicas are the new ones, and whether the old or the
new ones are to go. Everything else is looked at. It is written whole and put in its place at once,
so that a process killed at any moment leaves the one or the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from balancer import Endpoint

from ..faults import Failed

Phase = Literal["build", "canary", "bake", "held", "drain", "undo"]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """One replacement under way.

    Attributes:
        service: whose replicas.
        version: what the new ones announce.
        code: see `Build`.
        image: see `Build`.
        driver: who builds them.
        generation: the token in their names.
        members: the new replicas' names.
        replicas: how many there are to be in the end.
        before: how many were announced at the beginning.
        share: the canary's part of the calls; None for none.
        phase: "build" until all new ones answer on standby; "canary" while some take a share of
            the calls; "bake" while all take calls and are watched; "held" while both versions stay;
            "drain" from when the old ones leave: from there on there is no way back; "undo" from
            when the new ones leave.
        why: why it is undone.
        failed: the new one whose trouble that was; "" for none.
        known: the new ones as they first stood in the registry: callers may know of these, also
            when the registry tells of them no more.
    """

    service: str
    version: str
    code: str
    image: str
    driver: str
    generation: str
    members: tuple[str, ...]
    replicas: int
    before: int
    share: float | None
    phase: Phase = "build"
    why: str = ""
    failed: str = ""
    known: tuple[Endpoint, ...] = ()


class NotKept(Exception):
    """A journal could not be written or removed; the message says why and what to do."""


class JournalKeeper(Protocol):
    """Where a service's journal is."""

    def read(self) -> Journal | None:
        """The journal; None when there is none."""

    def write(self, journal: Journal) -> None:
        """Put it in the place of the last one.

        Raises:
            NotKept: it cannot be kept.
        """

    def clear(self) -> None:
        """Have none; harmless when there is none.

        Raises:
            NotKept: it cannot be removed.
        """


class JournalFile:
    """A `JournalKeeper` in a folder.

    Attributes:
        path: the file.
    """

    def __init__(self, folder: Path, service: str) -> None:
        """Name the file; nothing is touched yet.

        Args:
            folder: the state's, such as ``.mesh``.
            service: whose journal.
        """
        self.path = folder / "replace" / f"{service}.json"

    def read(self) -> Journal | None:
        """The journal; None when there is none.

        Raises:
            Failed: there is one, and it cannot be read.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Journal)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:  # what msgspec raises is a ValueError
            raise Failed(
                f"the journal {self.path} cannot be read ({error}); see with `txmesh status` what "
                "runs, and remove the file to begin anew"
            ) from None

    def write(self, journal: Journal) -> None:
        """Put it in the place of the last one, and on the disk."""
        with self._kept("written"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = self.path.with_suffix(".draft")
            try:
                with draft.open("wb") as file:
                    file.write(msgspec.json.format(msgspec.json.encode(journal)) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                draft.rename(self.path)
            except OSError:
                with suppress(OSError):  # why there is no draft is told, not why it stays
                    draft.unlink(missing_ok=True)
                raise
            self._settle()

    def clear(self) -> None:
        """Have none; harmless when there is none."""
        with self._kept("removed"):
            self.path.unlink(missing_ok=True)
            self._settle()

    @contextmanager
    def _kept(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NotKept(
                f"the journal {self.path} cannot be {what} ({error.strerror or error}); see to "
                "that folder and its disk, and run it again"
            ) from None

    def _settle(self) -> None:
        """Have the folder's own change on the disk too, where that can be done.

        Some file systems cannot. The change is made all the same, and whoever comes next sees it;
        only a machine that goes down now may come back with the journal before this one, from which
        a plan loses nothing either.
        """
        with suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
