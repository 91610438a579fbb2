"""Where the API server is, and what is watched there: a registry's URL, read. Pure.

kubernetes:[?namespace=mesh&label=...]           in a pod
kubernetes://HOST:PORT?namespace=mesh&token=FILE&ca=FILE
kubernetes+http://127.0.0.1:8001?namespace=mesh  through `kubectl proxy`
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from ...errors import ConfigError
from ...values import split_address

SCHEMES = ("kubernetes", "kubernetes+http")
# Where a pod finds what it needs to call the API server.
POD_FILES = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The Services of the mesh; their label is copied to their EndpointSlices.
LABEL = "app.kubernetes.io/part-of=txmesh"
PORT_NAME = "http"
ADMIN_PORT_NAME = "admin"

_KEYS = ("namespace", "label", "port", "admin", "token", "ca")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?").fullmatch
_EXAMPLE = (
    "such as kubernetes:?namespace=mesh in a pod, "
    "kubernetes://HOST:PORT?namespace=mesh&token=FILE&ca=FILE elsewhere, or "
    "kubernetes+http://127.0.0.1:8001?namespace=mesh through `kubectl proxy`"
)


class Place(NamedTuple):
    """See the module.

    Attributes:
        server: "host:port" of the API server; "" for the one of the pod that this runs in.
        tls: whether it is spoken to over TLS.
        namespace: where the Services are; "" for the pod's own.
        label: which EndpointSlices count, as a label selector.
        port: the name of the port that is called.
        admin: the name of the admin port.
        token: a file with the bearer token, read for each request since tokens rotate; None for
            none.
        ca: a file with the certificates that the server's is checked against; None for those of
            the system.
    """

    server: str
    tls: bool
    namespace: str
    label: str = LABEL
    port: str = PORT_NAME
    admin: str = ADMIN_PORT_NAME
    token: Path | None = None
    ca: Path | None = None

    @property
    def url(self) -> str:
        """The registry's URL for people: what is watched, and where."""
        scheme = "kubernetes" if self.tls else "kubernetes+http"
        server = f"//{self.server}" if self.server else ""
        given = {"namespace": self.namespace} if self.namespace else {}
        if self.label != LABEL:
            given["label"] = self.label
        return f"{scheme}:{server}?{urlencode(given, safe='/=,')}".rstrip("?")


def parse_kubernetes(url: str, folder: Path) -> Place:
    """Read a registry's URL.

    Args:
        url: with its scheme, ``kubernetes`` or ``kubernetes+http``.
        folder: what the files' relative paths are relative to.

    Raises:
        ConfigError: it reads otherwise.
    """
    scheme, _, rest = url.partition(":")
    where, _, query = rest.partition("?")
    given = _given(url, query)
    server = where.removeprefix("//").removesuffix("/")
    tls = scheme == "kubernetes"
    if server and not where.startswith("//"):
        raise ConfigError(f"registry url {url!r} is not understood; write it {_EXAMPLE}")
    if server:
        try:
            split_address(server)
        except ConfigError as error:
            raise ConfigError(f"registry url {url!r}: {error}") from None
    elif not tls:
        raise ConfigError(f"registry url {url!r} needs the proxy's address, {_EXAMPLE}")
    if not tls and ("token" in given or "ca" in given):
        raise ConfigError(
            f"registry url {url!r}: a token is never sent without TLS, and there is no certificate "
            "to check; use kubernetes://, or leave token and ca out"
        )
    namespace = given.get("namespace", "")
    if server and not namespace:
        raise ConfigError(f"registry url {url!r} needs a namespace, {_EXAMPLE}")
    if namespace and not _NAMESPACE(namespace):
        raise ConfigError(
            f"registry url {url!r}: {namespace!r} is no namespace; "
            "use lower-case letters, digits and '-'"
        )
    inside = not server
    return Place(
        server=server,
        tls=tls,
        namespace=namespace,
        label=given.get("label", LABEL),
        port=given.get("port", PORT_NAME),
        admin=given.get("admin", ADMIN_PORT_NAME),
        token=_file(given.get("token"), folder, POD_FILES / "token" if inside else None),
        ca=_file(given.get("ca"), folder, POD_FILES / "ca.crt" if inside else None),
    )


def in_pod(place: Place, host: str, port: str, namespace: str) -> Place:
    """Fill in what a pod is told by its environment and files.

    Args:
        place: as the URL says; given back as it is where that names a server.
        host: ``KUBERNETES_SERVICE_HOST``.
        port: ``KUBERNETES_SERVICE_PORT``.
        namespace: the pod's own.

    Raises:
        ConfigError: this is no pod.
    """
    if place.server:
        return place
    namespace = place.namespace or namespace
    if not host or not port or not namespace:
        raise ConfigError(
            "registry url kubernetes: works in a pod with a service account, and this is none "
            "(KUBERNETES_SERVICE_HOST or the account's namespace is missing); name the API server, "
            f"{_EXAMPLE}"
        )
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return place._replace(server=server, namespace=namespace)


def _given(url: str, query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise ConfigError(f"registry url {url!r}: {error}; write it {_EXAMPLE}") from None
    for key, value in pairs:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(_KEYS)}"
            raise ConfigError(f"registry url {url!r}: there is no {key!r}; {hint}")
        if key in given or not value:
            raise ConfigError(f"registry url {url!r}: give {key!r} one value")
        given[key] = value
    return given


def _file(text: str | None, folder: Path, otherwise: Path | None) -> Path | None:
    return otherwise if text is None else folder / text
