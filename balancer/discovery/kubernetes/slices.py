"""From EndpointSlices to endpoints. Pure: events in, endpoints out.

What comes out depends on the slices that there are and on nothing else: not on the order in which
they came, nor on how often the watch was broken. An endpoint may stand in several slices, while the
cluster moves it or because the Service has two address families; it is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...values import Endpoint
from .objects import EndpointSlice, SliceEndpoint

SERVICE_LABEL = "kubernetes.io/service-name"
# For slices whose Service is not called as its service is: two versions side by side are two
# Services, both labelled with the one name, and each with its version. (A slice has the labels of
# its Service and not those of the pods, so without this label a version is not known.)
OWN_SERVICE_LABEL = "txmesh/service"
VERSION_LABEL = "txmesh/version"
# In which order address families are preferred.
_FAMILIES = ("IPv4", "IPv6", "FQDN")


class SliceView:
    """All slices that there are, and the endpoints that they amount to."""

    def __init__(self, port: str, admin: str) -> None:
        """Begin with none.

        Args:
            port: the name of the port that is called.
            admin: the name of the admin port.
        """
        self._port = port
        self._admin = admin
        self._slices: dict[str, EndpointSlice] = {}

    def replace(self, slices: Iterable[EndpointSlice]) -> set[str]:
        """Take a whole list: what is not in it is gone.

        Returns:
            The services that may have changed.
        """
        before, self._slices = self._slices, {each.metadata.name: each for each in slices}
        names = before.keys() | self._slices.keys()
        changed = [name for name in names if before.get(name) != self._slices.get(name)]
        return {
            service_of(found)
            for name in changed
            for found in (before.get(name), self._slices.get(name))
            if found is not None
        }

    def put(self, found: EndpointSlice) -> set[str]:
        """Take a slice that was added or modified.

        Returns:
            The services that may have changed.
        """
        before = self._slices.get(found.metadata.name)
        self._slices[found.metadata.name] = found
        return {service_of(each) for each in (before, found) if each is not None}

    def remove(self, found: EndpointSlice) -> set[str]:
        """Let a slice go.

        Returns:
            The services that may have changed.
        """
        before = self._slices.pop(found.metadata.name, None)
        return {service_of(before)} if before is not None else set()

    def services(self) -> set[str]:
        """All services that have a slice."""
        return {service_of(each) for each in self._slices.values()}

    def endpoints(self, service: str) -> list[Endpoint]:
        """The endpoints of a service, by name, each once."""
        best: dict[str, tuple[tuple[object, ...], Endpoint]] = {}
        for each in self._slices.values():
            if service_of(each) != service:
                continue
            for endpoint in self._of(each, service):
                # One that is ready somewhere is ready: old news of a pod that has gone costs an
                # attempt, old news of one that has come would cost its capacity.
                rank = (endpoint.standby, _family(each), not endpoint.version, endpoint.address)
                known = best.get(endpoint.replica)
                if known is None or rank < known[0]:
                    best[endpoint.replica] = (rank, endpoint)
        return [best[name][1] for name in sorted(best)]

    def portless(self, found: EndpointSlice) -> bool:
        """Whether a slice has endpoints, and not the port to call them on."""
        return bool(found.endpoints) and self._number(found, self._port) is None

    def _of(self, found: EndpointSlice, service: str) -> Iterator[Endpoint]:
        port = self._number(found, self._port)
        if port is None:
            return
        admin = self._number(found, self._admin)
        version = (found.metadata.labels or {}).get(VERSION_LABEL, "")
        for each in found.endpoints or ():
            # Who leaves finishes what it has and is to get nothing new, ready or not.
            if each.conditions.terminating or not each.addresses:
                continue
            host = f"[{each.addresses[0]}]" if ":" in each.addresses[0] else each.addresses[0]
            yield Endpoint(
                service=service,
                replica=_name(each),
                address=f"{host}:{port}",
                admin=f"{host}:{admin}" if admin is not None and admin != port else "",
                version=version,
                zone=each.zone or "",
                standby=each.conditions.ready is False,
            )

    def _number(self, found: EndpointSlice, name: str) -> int | None:
        ports = found.ports or ()
        for each in ports:
            if each.name == name:
                return each.port
        # A Service with one port need not name it.
        if name == self._port and len(ports) == 1 and not ports[0].name:
            return ports[0].port
        return None


def service_of(found: EndpointSlice) -> str:
    """The service that a slice is of; "" when it does not say."""
    labels = found.metadata.labels or {}
    return labels.get(OWN_SERVICE_LABEL) or labels.get(SERVICE_LABEL, "")


def _family(found: EndpointSlice) -> int:
    kind = found.address_type
    return _FAMILIES.index(kind) if kind in _FAMILIES else len(_FAMILIES)


def _name(found: SliceEndpoint) -> str:
    return (
        found.target_ref.name if found.target_ref and found.target_ref.name else found.addresses[0]
    )
