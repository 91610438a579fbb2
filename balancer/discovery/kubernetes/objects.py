"""What is read of the API server's objects: discovery.k8s.io/v1 and its watch events.

Whatever is not needed is left out, and what is new in a later version is ignored.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Of any object.

    Attributes:
        name: unique in its namespace.
        resource_version: which state of it this is.
        labels: for an EndpointSlice, those of its Service.
        annotations: free text.
    """

    name: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Conditions(msgspec.Struct, frozen=True):
    """How one endpoint is; what is absent is not known.

    Attributes:
        ready: whether it takes connections; unknown counts as yes.
        terminating: whether it was told to leave; unknown counts as no.
    """

    ready: bool | None = None
    terminating: bool | None = None


class Reference(msgspec.Struct, frozen=True):
    """Which object an endpoint is: its pod."""

    kind: str = ""
    name: str = ""


class SliceEndpoint(msgspec.Struct, frozen=True, rename="camel"):
    """One endpoint of a slice.

    Attributes:
        addresses: interchangeable ones; the first is enough.
        conditions: how it is.
        target_ref: its pod, where it is one.
        zone: where it runs.
    """

    addresses: tuple[str, ...] = ()
    conditions: Conditions = Conditions()
    target_ref: Reference | None = None
    zone: str | None = None


class SlicePort(msgspec.Struct, frozen=True):
    """One port of all endpoints of a slice."""

    name: str | None = None
    port: int | None = None


class EndpointSlice(msgspec.Struct, frozen=True, rename="camel"):
    """A part of a Service's endpoints.

    Attributes:
        metadata: its name and labels.
        address_type: "IPv4", "IPv6" or "FQDN".
        endpoints: null where there are none.
        ports: null where there are none.
    """

    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] | None = None
    ports: tuple[SlicePort, ...] | None = None


class EndpointSliceList(msgspec.Struct, frozen=True):
    """All slices at one moment."""

    metadata: Metadata
    items: tuple[EndpointSlice, ...] | None = None


class Status(msgspec.Struct, frozen=True):
    """Why the API server did not do what it was asked.

    Attributes:
        message: for people.
        reason: one word, such as "Expired".
        code: the HTTP status that fits.
    """

    message: str = ""
    reason: str = ""
    code: int = 0


class Event(msgspec.Struct, frozen=True):
    """One line of a watch.

    Attributes:
        type: what happened; BOOKMARK only says how far the watch has come.
        object: the EndpointSlice, or for ERROR the `Status`, still encoded.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw
