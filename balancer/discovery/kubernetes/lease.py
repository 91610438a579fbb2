"""The Lease of coordination.k8s.io/v1 that stands for a lock. Pure: what it says, what comes next.

All times in it are the API server's own, so the clocks of the processes need not agree.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from .objects import Metadata

NOTE = "txmesh/note"
LOCK = "txmesh/lock"
# Added to the end of a Lease (seconds): the time is read from the date on the server's answers,
# which has whole seconds and comes a little late, for the holder as for who asks.
SLACK_S = 2.0

_PART = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
# What `take_lock` puts behind the holder's own words.
_token = re.compile(r" [0-9a-f]{8}\Z")
_is_object_name = re.compile(rf"{_PART}(\.{_PART})*").fullmatch
_looks_made = re.compile(r".*-[0-9a-f]{12}").fullmatch


def lease_name(lock: str) -> str:
    """The name of the Lease that stands for a lock; no two locks have one.

    The cluster takes less in a name than a lock's may have. A name that had to be changed gets a
    hash of the lock's at its end, and so does one that looks as if it had.

    Args:
        lock: its name, at most 200 characters; the Lease's stays within the cluster's 253.
    """
    if _is_object_name(lock) and not _looks_made(lock):
        return f"txmesh.{lock}"
    plain = re.sub(r"[^a-z0-9]+", "-", lock.lower()).strip("-")
    return f"txmesh.{plain}-{sha256(lock.encode('utf-8')).hexdigest()[:12]}"


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who holds it, and until when.

    Attributes:
        holder_identity: absent or empty when nobody does.
        lease_duration_seconds: how long after its renewal it is held.
        acquire_time: when the holder took it.
        renew_time: when the holder was last heard of.
        lease_transitions: how often it was taken.
    """

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(msgspec.Struct, frozen=True, rename="camel"):
    """The object as the API server has it."""

    metadata: Metadata
    spec: LeaseSpec = LeaseSpec()
    api_version: str = "coordination.k8s.io/v1"
    kind: str = "Lease"

    @property
    def note(self) -> str:
        """What the last holder left."""
        return (self.metadata.annotations or {}).get(NOTE, "")

    @property
    def holder(self) -> str:
        """Whose name is on it, in its own words; "" for nobody's."""
        return _token.sub("", self.spec.holder_identity or "")

    def is_held(self, now: float) -> bool:
        """Whether somebody holds it.

        Args:
            now: by the API server's clock, in seconds since the epoch.
        """
        if not self.spec.holder_identity or not self.spec.renew_time:
            return False
        renewed = datetime.fromisoformat(self.spec.renew_time).timestamp()
        return now < renewed + (self.spec.lease_duration_seconds or 0) + SLACK_S

    def taken(self, holder: str, duration_s: int, now: float) -> Lease:
        """It, with a new holder.

        Args:
            holder: unlike any other's.
            duration_s: how long after a renewal it is held, in seconds.
            now: as in `is_held`.
        """
        spec = LeaseSpec(
            holder_identity=holder,
            lease_duration_seconds=duration_s,
            acquire_time=_time(now),
            renew_time=_time(now),
            lease_transitions=(self.spec.lease_transitions or 0) + 1,
        )
        return msgspec.structs.replace(self, spec=spec)

    def renewed(self, now: float) -> Lease:
        """It, with its holder heard of now."""
        spec = msgspec.structs.replace(self.spec, renew_time=_time(now))
        return msgspec.structs.replace(self, spec=spec)

    def released(self, note: str | None) -> Lease:
        """It, with nobody holding it.

        Args:
            note: for the next holder; None leaves what was there.
        """
        annotations = dict(self.metadata.annotations or {})
        if note is not None:
            annotations[NOTE] = note
        return msgspec.structs.replace(
            self,
            metadata=msgspec.structs.replace(self.metadata, annotations=annotations),
            spec=msgspec.structs.replace(self.spec, holder_identity=None),
        )


def _time(now: float) -> str:
    # Exactly six digits, or the API server refuses it.
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
