"""What a hostile peer can make a replica's process grow by."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.http.peer import connect
from tests.processes import Child, children, until

# Growth that nobody can tell from the usual breathing of an allocator.
_BOUND_BYTES = 10_000_000
# It fills quickly: what is not held after three seconds is not held after thirty.
_FLOOD_S = float(os.environ.get("TXMESH_FLOOD_S", "3"))


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Child]:
    with children(tmp_path) as start:
        yield start(
            "users", "users-1", "--listen", "tcp:0:interface=127.0.0.1",
            "--admin", "tcp:0:interface=127.0.0.1", "--log", "json",
        )  # fmt: skip


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _warm(address: str) -> None:
    """Have everything loaded that a first request loads."""
    peer = await connect(address)
    for path in (b"/openapi.json", b"/v1/users/u_nobody", b"/nowhere"):
        peer.clear()
        peer.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        await peer.answers(1)
    peer.hang_up()


class Flood:
    """One connection that sends as much as the kernel takes and reads nothing."""

    def __init__(self, address: str, request: bytes) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setblocking(False)
        self._piece = request * 1000
        self._at = 0

    def push(self) -> int:
        try:
            sent = self._socket.send(self._piece[self._at :])
        except BlockingIOError:
            return 0
        self._at = (self._at + sent) % len(self._piece)
        return sent

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize(
    ("path", "count"), [("/openapi.json", 1), ("/v1/users/u_nobody", 1), ("/nowhere", 20)]
)
async def test_pipelined_requests_whose_answers_nobody_reads(
    path: str, count: int, replica: Child, record_property: Callable[[str, object], None]
) -> None:
    address, _ = await replica.ready()
    await _warm(address)
    before = resident_bytes(replica.pid)
    request = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode()
    floods = [Flood(address, request) for _ in range(count)]
    end = time.monotonic() + _FLOOD_S
    most = sent = 0

    def pushed_to_the_end() -> bool:
        nonlocal most, sent
        sent += sum(flood.push() for flood in floods)
        most = max(most, resident_bytes(replica.pid))
        return time.monotonic() > end

    await until(pushed_to_the_end, "the flood is over", _FLOOD_S + 10)
    record_property("bytes_sent", sent)
    record_property("bytes_grown", most - before)
    assert sent > 100_000
    assert most - before < _BOUND_BYTES
    # It still serves others.
    await _warm(address)
    for flood in floods:
        flood.close()


async def test_a_body_in_the_smallest_pieces(replica: Child) -> None:
    address, _ = await replica.ready()
    await _warm(address)
    before = resident_bytes(replica.pid)
    peers = [await connect(address) for _ in range(32)]
    head = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for peer in peers:
        # Two bytes a piece: single ones are shared objects and cost next to nothing.
        peer.send(head + b"2\r\nxx\r\n" * 30_000)
    most = 0

    def grown() -> bool:
        nonlocal most
        most = max(most, resident_bytes(replica.pid))
        return most - before > 32 * 60_000 // 2

    await until(grown, "the bodies have come")
    for peer in peers:
        peer.send(b"0\r\n\r\n")
    for peer in peers:
        assert (await peer.answer()).status == 404
        most = max(most, resident_bytes(replica.pid))
        peer.hang_up()
    # Ten times the two megabytes of bodies; as separate pieces they would take sixty.
    assert most - before < 4 * _BOUND_BYTES // 2
