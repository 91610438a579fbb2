"""Real Redis servers and Sentinels for tests: on free ports, in a folder, always cleaned up.

Nothing here needs a reactor: a server is awaited by asking it over a plain socket.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

_READY_S = 10.0


def free_port() -> int:
    """A port that nobody listens on; one that was given out is not given again soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, *words: str) -> bytes:
    """One command over a connection of its own, for short answers; as it came.

    Raises:
        OSError: nobody answers.
    """
    parts = [word.encode() for word in words]
    with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
        connection.sendall(
            b"*%d\r\n" % len(parts)
            + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        )
        return connection.recv(65_536)


class RedisServer:
    """One ``redis-server``, or a Sentinel.

    Attributes:
        port: where it listens on loopback; the same after a restart.
    """

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        """Start it and wait until it answers.

        Args:
            folder: where its files lie.
            *options: of its command line.
            port: 0 for a free one.
        """
        self.port = port or free_port()
        self._folder = folder / f"redis-{self.port}"
        self._folder.mkdir()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [
            *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
            *self._options,
        ]

    def start(self) -> None:
        """Start it anew: what it held is gone, unless its options say otherwise."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + _READY_S
        while True:
            with suppress(OSError):
                # One that wants a password answers as well.
                if ask(self.port, "PING")[:1] in (b"+", b"-"):
                    return
            log_text = (self._folder / "log").read_text(errors="replace")
            assert self._process.poll() is None, f"it ended: {log_text[-2000:]}"
            assert time.monotonic() < end, f"not ready: {log_text[-2000:]}"
            time.sleep(0.02)  # between two looks at the condition; no reactor runs here

    def kill(self) -> None:
        """Kill it outright; harmless when it is gone. A frozen one takes this too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        return ask(self.port, *words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


class Sentinel(RedisServer):
    """One ``redis-sentinel`` that watches a master called "mymaster"; it fails over after 1 s."""

    def __init__(self, folder: Path, master: RedisServer, *lines: str) -> None:
        """Start it.

        Args:
            folder: where its files lie.
            master: whom it watches.
            *lines: of its configuration, beside those that it needs.
        """
        self._master = master.port
        self._lines = lines
        super().__init__(folder)

    def command(self) -> list[str]:
        path = self._folder / "sentinel.conf"
        if not path.exists():
            path.write_text(
                f"port {self.port}\n"
                "bind 127.0.0.1\n"
                f"dir {self._folder}\n"
                f"sentinel monitor mymaster 127.0.0.1 {self._master} 2\n"
                "sentinel down-after-milliseconds mymaster 1000\n"
                "sentinel failover-timeout mymaster 5000\n"
                + "".join(f"{line}\n" for line in self._lines)
            )
        return ["redis-sentinel", str(path)]


class Replicated:
    """A master, its replica, and three Sentinels.

    Attributes:
        master: the one that is master at first.
        replica: the other.
        sentinels: all three.
        url: of the whole.
    """

    def __init__(
        self, master: RedisServer, replica: RedisServer, sentinels: list[Sentinel]
    ) -> None:
        self.master = master
        self.replica = replica
        self.sentinels = sentinels
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        self.url = f"redis+sentinel://{hosts}/mymaster/0"


@contextmanager
def replicated(folder: Path) -> Iterator[Replicated]:
    """Start them, and wait until the Sentinels agree; all are killed at the end."""
    started: list[RedisServer] = []
    try:
        master = RedisServer(folder)
        started.append(master)
        replica = RedisServer(folder, "--replicaof", "127.0.0.1", str(master.port))
        started.append(replica)
        sentinels = []
        for _ in range(3):
            sentinels.append(Sentinel(folder, master))
            started.append(sentinels[-1])
        end = time.monotonic() + 20.0
        while not (
            b"master_link_status:up" in replica.ask("INFO", "replication")
            and all(
                b"slaves=1,sentinels=3" in sentinel.ask("INFO", "sentinel")
                for sentinel in sentinels
            )
        ):
            assert time.monotonic() < end, "the Sentinels did not find each other"
            time.sleep(0.05)  # between two looks at the condition; no reactor runs here
        yield Replicated(master, replica, sentinels)
    finally:
        for server in started:
            server.kill()
