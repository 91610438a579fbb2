"""What tests of workers need: a service whose code changes, load, and a look at the processes."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import treq
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from clients import Mesh
from clients.contract import Call, Contract, Message
from tests.processes import ROOT, Child, children, until

CONFIG = """
[registry]
url = "file:leases"
[storage]
url = "sqlite:data"
[workers]
hang_s = {hang_s}
retire_s = {retire_s}
"""
# A service of the test's own: what it says is its code. It takes its time, so that at any instant
# some calls are on their way.
SERVICE = """
from twisted.internet.task import deferLater

from clients.contract import Call, Contract, Message
from services.kit import Service


class Ask(Message):
    pass


class Told(Message):
    text: str


class Say(Contract, name="say"):
    say = Call(Ask, Told, get="/v1/say", deadline_s=2.0)


service = Service(Say)


@service.answers(Say.say)
async def say(_request: Ask) -> Told:
    from twisted.internet import reactor

    await deferLater(reactor, 0.02)
    return Told(text={text!r})
"""
PLUGIN = """
from services.plugin import service_plugin

said = service_plugin("say")
"""


class Ask(Message):
    pass


class Told(Message):
    text: str


class Say(Contract, name="say"):
    """The same service."""

    say = Call(Ask, Told, get="/v1/say", deadline_s=2.0)


class SayOnce(Contract, name="say"):
    """The same again, with a call that its client believes to be unsafe to repeat."""

    say = Call(Ask, Told, get="/v1/say", deadline_s=2.0, idempotent=False)


class Place:
    """A folder with the service, and the replicas that are started in it.

    Attributes:
        folder: where all lies.
        path: where its modules come from.
        adopt: takes a child that a test has started itself, to be cleaned up.
    """

    def __init__(
        self, folder: Path, path: str, start: Callable[..., Child], adopt: Callable[[Child], Child]
    ) -> None:
        self.folder = folder
        self.path = path
        self.adopt = adopt
        self._start = start

    def write(self, text: str) -> None:
        """Change the service's code."""
        (self.folder / "say.py").write_text(text)

    def configure(self, text: str = "", *, hang_s: float = 10.0, retire_s: float = 90.0) -> None:
        """Change the configuration."""
        config = CONFIG.format(hang_s=hang_s, retire_s=retire_s)
        (self.folder / "mesh.toml").write_text(config + text)

    def start(self, name: str, *options: str, **more: Any) -> Child:
        """Start a replica."""
        return self._start("say", name, "--config", "mesh.toml", *options, **more)

    def mesh(self) -> Mesh:
        """A caller."""
        return Mesh(self.folder / "mesh.toml")


@contextmanager
def place(folder: Path) -> Iterator[Place]:
    """Make the service in a folder; its replicas are killed at the end, and their workers leave."""
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "mesh_say.py").write_text(PLUGIN)
    started: list[Child] = []
    path = f"{folder}{os.pathsep}{ROOT}"
    with children(folder, path=Path(path)) as start_child:

        def adopt(child: Child) -> Child:
            started.append(child)
            return child

        def start(
            *line: str, environ: Mapping[str, str] = MappingProxyType({}), **more: Any
        ) -> Child:
            # Code that changes twice a second would be taken for its own bytecode.
            own = {"PYTHONDONTWRITEBYTECODE": "1"}
            return adopt(start_child(*line, environ={**own, **environ}, **more))

        made = Place(folder, path, start, adopt)
        made.configure()
        made.write(SERVICE.format(text="old"))
        try:
            yield made
        finally:
            for child in started:
                for pid in workers_of(child):
                    # A frozen one would never see that its master is gone.
                    os.kill(pid, signal.SIGKILL)
                if child.process.poll() is None:
                    child.process.kill()
                child.process.wait()


def workers_of(child: Child) -> list[int]:
    """The process ids of a master's living workers, the oldest first."""
    return children_of(child.pid)


def children_of(pid: int) -> list[int]:
    """The process ids of a process's living children, the oldest first."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return sorted(int(each) for each in listed if alive(int(each)))


def alive(pid: int) -> bool:
    """Whether a process runs: is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += link.readlink().name.startswith("socket:")
        except OSError:
            continue
    return count


async def counted(admin: str, name: str) -> float:
    """The value of one metric, by its whole name with labels."""
    response = await treq.get(f"http://{admin}/metrics", persistent=False)
    for line in (await response.text()).splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return -1.0


def connected(address: str, count: int) -> list[socket.socket]:
    """Connections that stay open without a word."""
    host, _, port = address.rpartition(":")
    return [socket.create_connection((host, int(port))) for _ in range(count)]


class Load:
    """Calls that start on time whatever the answers do.

    Attributes:
        calls: how many began.
        failures: what those ended with that had no answer.
        texts: how often each text was the answer.
    """

    def __init__(self, mesh: Mesh, *, rate: int = 300, once: bool = False) -> None:
        call = mesh.client(SayOnce).say if once else mesh.client(Say).say
        self._call: Callable[[], Deferred[Told]] = call
        self.calls = 0
        self.failures: list[str] = []
        self.texts: dict[str, int] = {}
        self._open: set[Deferred[Any]] = set()
        self._loop = LoopingCall.withCount(self._tick)
        self._loop.start(1 / rate)

    def _tick(self, due: int) -> None:
        for _ in range(due):
            self.calls += 1
            call = self._call()
            self._open.add(call)
            call.addBoth(self._ended, call)

    def _ended(self, result: Any, call: Deferred[Any]) -> None:
        self._open.discard(call)
        if isinstance(result, Failure):
            self.failures.append(repr(result.value))
        else:
            self.texts[result.text] = self.texts.get(result.text, 0) + 1

    async def more(self, count: int) -> None:
        """Wait until so many more calls have begun."""
        upto = self.calls + count
        await until(lambda: self.calls >= upto, f"{count} more calls")

    async def stop(self) -> None:
        """Begin no more, and wait for those that run."""
        self._loop.stop()
        await gatherResults(list(self._open))
