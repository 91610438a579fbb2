"""A small Kubernetes API server inside the test's process: objects, watches, and its faults.

It keeps whatever is put, replays recorded events, and answers as the real one does where clients
depend on it: lists with a version, watches that go on from one, bookmarks, 409 for a change of an
old version, 410 for a version that was forgotten. What it does not know it answers with 404 or 405;
a new verb is a method ``answer_VERB``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

RECORDED = Path(__file__).parent / "recorded" / "endpointslices.jsonl"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/mesh/endpointslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/mesh/leases"

Object = dict[str, Any]


def recorded() -> list[Object]:
    """Watch events of EndpointSlices, as the API server writes them."""
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


class KubernetesApiServer:
    """See the module.

    Attributes:
        objects: by path of their collection, then by name.
        log: (version, collection, event) of all that happened, BOOKMARKs left out.
        version: of the last thing that happened.
        forgotten: versions up to this one cannot be watched from any more.
        gone_as: "status" or "event": how 410 is said.
        refuse: (status, message) for every request, or None.
        lost_answers: how many changes from now on are done, and their answers lost.
        frozen: whether requests are taken and never answered.
        cut_after: the next watch is cut after so many bytes, or None.
        chunk_bytes: how many bytes of a watch are written at a time.
        token: what a request must bear, or "".
        asked: (method, path, query) of every request.
        watches: those that are open.
    """

    def __init__(self, reactor: Any) -> None:
        self.objects: dict[str, dict[str, Object]] = {}
        self.log: list[tuple[int, str, Object]] = []
        self.version = 1000
        self.forgotten = 0
        self.gone_as = "status"
        self.refuse: tuple[int, str] | None = None
        self.lost_answers = 0
        self.frozen = False
        self.cut_after: int | None = None
        self.chunk_bytes = 1 << 20
        self.token = ""
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.watches: list[Watch] = []
        self.reactor = reactor
        self._port: Any = None
        self.address = ""

    def start(self, listen: Callable[[Site], Any] | None = None) -> None:
        """Listen on loopback.

        Args:
            listen: makes the port of a site; None for plain HTTP, where it listened before.
        """
        site = Site(_Root(self), reactor=self.reactor, timeout=None)
        site.noisy = False
        site.log = lambda _: None  # type: ignore[method-assign,assignment]
        port = int(self.address.rpartition(":")[2] or 0)
        self._port = (
            listen(site) if listen else self.reactor.listenTCP(port, site, interface="127.0.0.1")
        )
        self.address = f"127.0.0.1:{self._port.getHost().port}"

    async def stop(self) -> None:
        """Listen no more, and cut all connections."""
        self.cut()
        await self._port.stopListening()

    def cut(self) -> None:
        """Cut all watches."""
        for watch in list(self.watches):
            watch.cut()

    def put(self, collection: str, found: Object) -> Object:
        """Add or change an object; it gets a new version.

        Args:
            collection: its path, such as `SLICES`.
            found: with ``metadata.name``.
        """
        self.version += 1
        known = self.objects.setdefault(collection, {})
        name = found["metadata"]["name"]
        found = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
        kind = "MODIFIED" if name in known else "ADDED"
        known[name] = found
        self._tell(collection, {"type": kind, "object": found})
        return found

    def remove(self, collection: str, name: str) -> Object:
        """Delete an object."""
        self.version += 1
        found = self.objects[collection].pop(name)
        found = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
        self._tell(collection, {"type": "DELETED", "object": found})
        return found

    def replay(self, event: Object, collection: str = SLICES) -> None:
        """Let a recorded event happen, with its version."""
        if event["type"] == "BOOKMARK":
            self.bookmark(int(event["object"]["metadata"]["resourceVersion"]))
            return
        found = event["object"]
        self.version = int(found["metadata"]["resourceVersion"])
        known = self.objects.setdefault(collection, {})
        if event["type"] == "DELETED":
            known.pop(found["metadata"]["name"])
        else:
            known[found["metadata"]["name"]] = found
        self._tell(collection, event)

    def bookmark(self, version: int | None = None) -> None:
        """Tell all watches how far they have come."""
        self.version = version or self.version
        for watch in list(self.watches):
            watch.bookmark(self.version)

    def forget(self) -> None:
        """Forget what happened so far, as a compaction does; watches that are open go on."""
        self.forgotten = self.version
        self.log.clear()

    def _tell(self, collection: str, event: Object) -> None:
        self.log.append((self.version, collection, event))
        for watch in list(self.watches):
            watch.tell(collection, event)

    def answer(self, request: Any) -> Any:
        """Answer a request; a watch is answered later."""
        method, path = request.method.decode(), request.path.decode()
        query = {name.decode(): values[0].decode() for name, values in request.args.items()}
        self.asked.append((method, path, query))
        if self.frozen:
            return NOT_DONE_YET
        bearer = request.getHeader("Authorization")
        if self.token and bearer != f"Bearer {self.token}":
            return write_status(request, 401, "Unauthorized", "Unauthorized")
        if self.refuse:
            return write_status(request, self.refuse[0], "Refused", self.refuse[1])
        verb = getattr(self, f"answer_{method}", None)
        if verb is None:
            return write_status(request, 405, "MethodNotAllowed", f"no {method} here")
        return verb(request, path, query)

    def answer_GET(self, request: Any, path: str, query: Mapping[str, str]) -> Any:
        collection, _, name = path.rpartition("/")
        if collection in self.objects and name in self.objects[collection]:
            return write_json(request, 200, self.objects[collection][name])
        if collection.rpartition("/")[0].endswith("/namespaces"):
            return self._collection(request, path, query)
        return write_status(request, 404, "NotFound", f"{path} not found")

    def answer_POST(self, request: Any, path: str, query: Mapping[str, str]) -> Any:
        found = json.loads(request.content.read())
        if found["metadata"]["name"] in self.objects.get(path, {}):
            return write_status(request, 409, "AlreadyExists", "it already exists")
        return self._changed(request, 201, self.put(path, found))

    def answer_PUT(self, request: Any, path: str, query: Mapping[str, str]) -> Any:
        collection, _, name = path.rpartition("/")
        found, known = (
            json.loads(request.content.read()),
            self.objects.get(collection, {}).get(name),
        )
        if known is None:
            return write_status(request, 404, "NotFound", f"{path} not found")
        given = found["metadata"].get("resourceVersion")
        if given and given != known["metadata"]["resourceVersion"]:
            return write_status(request, 409, "Conflict", "the object has been modified")
        return self._changed(request, 200, self.put(collection, found))

    def _changed(self, request: Any, status: int, found: Object) -> Any:
        if self.lost_answers:
            self.lost_answers -= 1
            request.transport.abortConnection()
            return NOT_DONE_YET
        return write_json(request, status, found)

    def _collection(self, request: Any, path: str, query: Mapping[str, str]) -> Any:
        if query.get("watch") != "1":
            found = [each for each in self.objects.get(path, {}).values() if matches(each, query)]
            listed = {"metadata": {"resourceVersion": str(self.version)}, "items": found}
            return write_json(request, 200, listed)
        since = int(query["resourceVersion"])
        gone = since < self.forgotten
        message = f"too old resource version: {since} ({self.forgotten})"
        if gone and self.gone_as == "status":
            return write_status(request, 410, "Expired", message)
        watch = Watch(self, request, path, query)
        if gone:
            watch.write({"type": "ERROR", "object": status_object(410, "Expired", message)})
            watch.end()
        for version, collection, event in self.log:
            if version > since:
                watch.tell(collection, event)
        return NOT_DONE_YET


class Watch:
    """One open watch."""

    def __init__(
        self, server: KubernetesApiServer, request: Any, path: str, query: Mapping[str, str]
    ) -> None:
        self._server = server
        self._request = request
        self._path = path
        self._query = query
        self._cut_after, server.cut_after = server.cut_after, None
        self._open = True
        server.watches.append(self)
        request.notifyFinish().addBoth(lambda _: self._closed())
        request.setHeader("Content-Type", "application/json")
        request.write(b"")
        self._timer: IDelayedCall = server.reactor.callLater(
            float(query.get("timeoutSeconds", 3600)), self.end
        )

    def tell(self, collection: str, event: Object) -> None:
        if collection == self._path and matches(event["object"], self._query):
            self.write(event)

    def bookmark(self, version: int) -> None:
        if self._query.get("allowWatchBookmarks") == "true":
            kind = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1"}
            metadata = {"resourceVersion": str(version), "creationTimestamp": None}
            empty = {"addressType": "", "endpoints": None, "ports": None}
            self.write({"type": "BOOKMARK", "object": {**kind, "metadata": metadata, **empty}})

    def write(self, event: Object) -> None:
        data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        if not self._open or self._server.frozen:
            return
        if self._cut_after is not None:
            data, left = data[: self._cut_after], self._cut_after - len(data)
            self._cut_after = max(left, 0)
            self._write(data)
            if left <= 0:
                self.cut()
            return
        self._write(data)

    def end(self) -> None:
        """End it in good order, as its time is up."""
        if self._open:
            self._closed()
            self._request.finish()

    def cut(self) -> None:
        """End it in the middle of the answer."""
        if self._open:
            self._closed()
            self._request.transport.loseConnection()

    def _write(self, data: bytes) -> None:
        for piece in _pieces(data, self._server.chunk_bytes):
            self._request.write(piece)

    def _closed(self) -> None:
        if self._open:
            self._open = False
            self._server.watches.remove(self)
            self._timer.cancel()


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def matches(found: Object, query: Mapping[str, str]) -> bool:
    """Whether an object has the labels that are asked for."""
    labels = found["metadata"].get("labels", {})
    pairs = [each.partition("=") for each in query.get("labelSelector", "").split(",") if each]
    return all(labels.get(name) == value for name, _, value in pairs)


def write_json(request: Any, status: int, found: Object) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return json.dumps(found).encode()


def status_object(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def write_status(request: Any, code: int, reason: str, message: str) -> bytes:
    return write_json(request, code, status_object(code, reason, message))


class _Root(Resource):
    isLeaf = True

    def __init__(self, server: KubernetesApiServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server

    def render(self, request: Any) -> Any:
        return self._server.answer(request)
