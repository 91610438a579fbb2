"""EndpointSlices and Leases over real sockets, from an API server inside this process."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from balancer import Endpoint, MonotonicClock, RegistryError
from balancer.discovery import Lock
from balancer.discovery.kubernetes import KubernetesRegistry, Place
from tests.kubernetes_api import LEASES, SLICES, KubernetesApiServer, recorded
from tests.logs import said_by
from tests.processes import children, until
from tests.txmesh import txmesh

OLD, NEW, NEXT = "users-5d8c7b9f6d-4xk2p", "users-5d8c7b9f6d-q9vtz", "users-7f6b5c4d9-m2hnw"


class Hurried:
    """A clock on which waits are over sooner; what is done in them takes its real time."""

    def __init__(self, reactor: Any, times: float) -> None:
        self._clock = MonotonicClock(reactor)
        self._times = times

    def seconds(self) -> float:
        return self._clock.seconds() * self._times

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        return self._clock.callLater(delay / self._times, callable, *args, **kwargs)


class Watched:
    """A registry of the test's API server, and all that it told."""

    def __init__(self, server: KubernetesApiServer, clock: Any, **changes: Any) -> None:
        self.told: list[list[Endpoint]] = []
        place = Place(server=server.address, tls=False, namespace="mesh")._replace(**changes)
        self.registry = KubernetesRegistry(
            place, reactor=server.reactor, clock=clock, rng=Random(1), ttl_s=10
        )

    def watch(self, service: str = "users") -> Callable[[], None]:
        def listen(endpoints: Sequence[Endpoint]) -> None:
            self.told.append(list(endpoints))

        return self.registry.watch(service, listen)

    def names(self) -> list[str] | None:
        return [each.replica for each in self.told[-1] if not each.standby] if self.told else None

    async def sees(self, *names: str) -> None:
        await until(lambda: self.names() == list(names), f"{names}, not {self.told[-1:]}")


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def server() -> AsyncIterator[KubernetesApiServer]:
    from twisted.internet import reactor

    server = KubernetesApiServer(reactor)
    server.start()
    yield server
    await server.stop()


@pytest.fixture
def open_watched(
    server: KubernetesApiServer, request: pytest.FixtureRequest
) -> Callable[..., Watched]:
    def opened(clock: Any = None, times: float = 1, **changes: Any) -> Watched:
        watched = Watched(server, clock or Hurried(server.reactor, times), **changes)
        request.addfinalizer(watched.registry.close)
        return watched

    return opened


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    with said_by("balancer.discovery") as said:
        yield said


Open = Callable[..., Watched]


def asked(server: KubernetesApiServer, watches: bool) -> list[str]:
    """The versions from which slices were watched, or listed."""
    return [
        query.get("resourceVersion", "")
        for _, path, query in server.asked
        if path == SLICES and ("watch" in query) is watches
    ]


async def test_recorded_events_are_followed(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    events = recorded()
    server.replay(events[0])
    watched = open_watched()
    assert not server.asked, "nothing is connected before somebody watches"
    assert watched.registry.age_s() is None
    end = watched.watch()
    await watched.sees(OLD)
    products: list[Sequence[Endpoint]] = []
    watched.registry.watch("products", products.append)
    await until(lambda: products == [[]], "what is known already is told")
    await until(lambda: server.watches, "a watch")
    for event in events[1:]:
        server.replay(event)
    await watched.sees(NEW, NEXT)
    assert [[each.replica for each in found] for found in products][-1] == [
        "products-66bd9c8f7-8kq5r"
    ]
    assert (watched.registry.age_s() or 9) < 5
    assert asked(server, watches=False) == ["0"]
    assert asked(server, watches=True) == ["184402"]
    _, _, query = server.asked[-1]
    assert query["labelSelector"] == "app.kubernetes.io/part-of=txmesh"
    end()
    assert server.watches, "somebody watches products still"
    watched.registry.close()
    await until(lambda: not server.watches, "the watch is given up")


async def test_a_watch_that_ends_goes_on_from_the_bookmark(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    events = recorded()
    server.replay(events[0])
    watched = open_watched(times=20)
    watched.watch()
    await until(lambda: server.watches, "a watch")
    server.bookmark(184_600)
    server.watches[0].end()
    await until(lambda: len(asked(server, watches=True)) == 2, "another watch")
    assert asked(server, watches=True) == ["184402", "184600"]
    for event in events[7:9]:
        server.replay(event)
    await watched.sees(NEW, NEXT)
    assert len(asked(server, watches=False)) == 1, "nothing was listed anew"


@pytest.mark.parametrize("said_as", ["status", "event"])
async def test_a_version_that_was_forgotten_is_listed_anew(
    server: KubernetesApiServer, open_watched: Open, said_as: str, warnings: list[str]
) -> None:
    events = recorded()
    server.gone_as = said_as
    server.replay(events[0])
    watched = open_watched(times=20)
    watched.watch()
    await until(lambda: server.watches, "a watch")
    # What happened meanwhile cannot be watched any more, deletions included.
    server.cut()
    for event in events[1:]:
        server.replay(event)
    server.version += 1
    server.forget()
    await watched.sees(NEW, NEXT)
    assert asked(server, watches=False) == ["0", ""], "and not from a cache that is behind"
    await until(lambda: server.watches, "a watch")
    server.remove(SLICES, "users-x7k2p")
    await watched.sees()
    assert not warnings, "that is nothing unusual"


async def test_a_watch_that_is_cut_anywhere_loses_nothing(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str]
) -> None:
    """At every byte of an event and its neighbours' ends."""
    labels = {"kubernetes.io/service-name": "users", "app.kubernetes.io/part-of": "txmesh"}

    def put(name: str) -> None:
        target = {"kind": "Pod", "name": name}
        server.put(
            SLICES,
            {
                "metadata": {"name": "users-a", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": target}],
                "ports": [{"name": "http", "port": 80}],
            },
        )

    put("pod-0")
    watched = open_watched(times=100)
    watched.watch()
    await watched.sees("pod-0")
    _, _, event = server.log[-1]
    length = len(json.dumps(event, separators=(",", ":")))
    server.chunk_bytes = 7
    for offset in range(length + 3):
        await until(lambda: server.watches, "a watch")
        server.watches[0]._cut_after = offset
        put(f"pod-{offset + 1}")
        await watched.sees(f"pod-{offset + 1}")
    assert asked(server, watches=False) == ["0"], "nothing was listed anew"
    assert len(asked(server, watches=True)) > length
    names = [found[0].replica for found in watched.told]
    assert names == [f"pod-{number}" for number in range(length + 4)], "each once, in order"
    assert not warnings


async def test_a_server_that_freezes_is_noticed(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str]
) -> None:
    events = recorded()
    server.replay(events[0])
    clock = Clock()
    watched = open_watched(clock)
    watched.watch()
    await until(lambda: server.watches, "a watch")
    await until(lambda: watched.registry.age_s() is not None, "it is confirmed")
    frozen = server.watches[0]
    frozen._timer.cancel()
    frozen._timer = server.reactor.callLater(3600, lambda: None)
    server.frozen = True
    clock.advance(59)
    assert server.watches == [frozen]
    assert watched.registry.age_s() == 59
    clock.advance(1)
    await until(lambda: not server.watches, "it is given up")
    assert watched.names() == [OLD], "what was known last stays"
    assert watched.registry.age_s() == 60, "nothing was confirmed by that"
    clock.advance(0.1)
    await until(lambda: len(asked(server, watches=True)) == 2, "it is tried again")
    clock.advance(10)
    await until(lambda: warnings, "the loss is in the log")
    assert "no answer in time; the replicas known last stay" in warnings[0]
    server.frozen = False
    for event in events[1:]:
        server.replay(event)

    def sees() -> bool:
        clock.advance(0.05)
        return watched.names() == [NEW, NEXT]

    await until(sees, "it is followed again")
    assert warnings[1:] == [f"the API server {server.address} answers again"]


async def test_a_server_that_is_gone_changes_nothing(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str]
) -> None:
    server.replay(recorded()[0])
    watched = open_watched(times=20)
    watched.watch()
    await until(lambda: server.watches, "a watch")
    await server.stop()
    await until(lambda: warnings, "the loss is in the log")
    with pytest.raises(RegistryError, match="cannot be asked"):
        await watched.registry.endpoints()
    assert watched.names() == [OLD]
    for event in recorded()[1:]:
        server.replay(event)
    server.start()
    await watched.sees(NEW, NEXT)
    assert len(warnings) == 2, warnings


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "does not know who asks (401: no entry); check the token in no file"),
        (403, "a Role must allow get, list and watch on endpointslices of discovery.k8s.io"),
    ],
)
async def test_a_refusal_says_once_what_is_needed(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str], status: int, told: str
) -> None:
    server.refuse = (status, "no entry")
    server.replay(recorded()[0])
    watched = open_watched(times=20)
    watched.watch()
    await until(lambda: len(asked(server, watches=False)) > 3, "it goes on trying")
    assert len(warnings) == 1, warnings
    assert told in warnings[0]
    with pytest.raises(RegistryError, match="no entry"):
        await watched.registry.endpoints()
    server.refuse = None
    await watched.sees(OLD)


async def test_what_is_not_understood_is_listed_anew(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str]
) -> None:
    server.replay(recorded()[0])
    watched = open_watched(times=20)
    watched.watch()
    await until(lambda: server.watches, "a watch")
    server.watches[0].write({"type": "MODIFIED", "object": {"metadata": []}})
    await until(lambda: len(asked(server, watches=False)) == 2, "a list")
    await until(lambda: len(warnings) == 2, "it is in the log, and that it is over")
    assert "is not understood" in warnings[0]
    await watched.sees(OLD)


async def test_all_services_are_told_without_a_watch(
    server: KubernetesApiServer, open_watched: Open, warnings: list[str]
) -> None:
    for event in recorded():
        server.replay(event)
    watched = open_watched()
    found = await watched.registry.endpoints()
    assert [each.replica for each in found] == ["products-66bd9c8f7-8kq5r", NEW, NEXT]
    assert not server.watches
    watched = open_watched(port="web")
    watched.watch()
    await watched.sees()
    assert "has no port named web" in warnings[0]
    lease = watched.registry.announce(found[0])
    lease.change(found[0])
    lease.withdraw()


def certified(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's API server")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    made = folder / "key.pem", folder / "ca.crt"
    made[0].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made[1].write_bytes(certificate.public_bytes(pem))
    return made


async def test_tokens_rotate_and_certificates_are_checked(
    server: KubernetesApiServer, open_watched: Open, tmp_path: Path, warnings: list[str]
) -> None:
    from twisted.internet.ssl import DefaultOpenSSLContextFactory

    key, ca = certified(tmp_path)
    await server.stop()
    context = DefaultOpenSSLContextFactory(str(key), str(ca))
    server.start(lambda site: server.reactor.listenSSL(0, site, context, interface="127.0.0.1"))
    server.replay(recorded()[0])
    token = tmp_path / "token"
    token.write_text("first\n")
    server.token = "first"
    watched = open_watched(times=20, tls=True, token=token, ca=ca)
    watched.watch()
    await watched.sees(OLD)
    await until(lambda: server.watches, "a watch")
    server.token = "second"
    server.cut()
    await until(lambda: warnings, "the refusal is in the log")
    assert f"check the token in {token}" in warnings[0]
    assert "first" not in "".join(warnings)
    token.write_text("second\n")
    for event in recorded()[1:]:
        server.replay(event)
    await watched.sees(NEW, NEXT)

    (tmp_path / "other").mkdir()
    _, other = certified(tmp_path / "other")
    stranger = open_watched(tls=True, token=token, ca=other)
    with pytest.raises(RegistryError, match=r"cannot be asked: .*certificate"):
        await stranger.registry.endpoints()
    missing = open_watched(tls=True, token=tmp_path / "none", ca=ca)
    with pytest.raises(RegistryError, match="none: No such file"):
        await missing.registry.endpoints()


async def test_a_pod_is_called_by_its_slice(server: KubernetesApiServer, tmp_path: Path) -> None:
    where = f"kubernetes+http://{server.address}?namespace=mesh"
    (tmp_path / "mesh.toml").write_text(f'[registry]\nurl = "{where}"\n')
    with children(tmp_path) as start:
        child = start(
            "users", "users-1", "--config", "mesh.toml", "--listen", "tcp:0:interface=127.0.0.1"
        )
        address, admin = await child.ready()
        found = recorded()[0]["object"]
        pod = {**found["endpoints"][0], "addresses": ["127.0.0.1"]}
        ports = [
            {"name": name, "port": int(of.rpartition(":")[2])}
            for name, of in (("http", address), ("admin", admin))
        ]
        server.put(SLICES, {**found, "endpoints": [pod], "ports": ports})
        called = await deferToThread(
            txmesh,
            tmp_path,
            "call",
            "users",
            "fetch",
            "id=u_22yuwt6yiuetv5zn",
            "--config",
            "mesh.toml",
        )
        assert called.returncode == 0, called.stderr
        shown = await deferToThread(txmesh, tmp_path, "status", "--json", "--config", "mesh.toml")
        assert shown.returncode == 0, shown.stderr
        report = json.loads(shown.stdout)
        assert report["registry"]["url"] == where
        [replica] = report["replicas"]
        assert (replica["replica"], replica["admin"], replica["state"]) == (OLD, admin, "ready")


async def taken(watched: Watched, holder: str = "me") -> Lock | None:
    return await watched.registry.lock("replace.users", holder)


async def test_one_process_has_a_lock(server: KubernetesApiServer, open_watched: Open) -> None:
    first, second = open_watched(), open_watched()
    both = [first.registry.lock("replace.users", "a"), second.registry.lock("replace.users", "b")]
    found = [await each for each in both]
    assert sum(lock is not None for lock in found) == 1, "they asked at once"
    lock = found[0] or found[1]
    assert lock is not None
    assert lock.note == ""
    assert await taken(second) is None
    lease = server.objects[LEASES]["txmesh.replace.users"]
    assert lease["spec"]["holderIdentity"].startswith(("a ", "b "))
    await lock.release("half done")
    await lock.release("again")
    again = await taken(second)
    assert again is not None
    assert again.note == "half done"
    other = await first.registry.lock("job.users.flush", "a")
    assert other is not None
    with pytest.raises(RegistryError, match="lock name"):
        await first.registry.lock("Replace users", "a")
    people = await first.registry.lock("job.users.Flush_all", "a")
    assert people is not None
    named = [lease["metadata"].get("annotations", {}) for lease in server.objects[LEASES].values()]
    assert [each.get("txmesh/lock") for each in named if each][-1] == "job.users.Flush_all"
    await people.release()
    assert people not in first.registry._locks, "what is given back is not kept"
    second.registry.close()
    await until(
        lambda: not server.objects[LEASES]["txmesh.replace.users"]["spec"].get("holderIdentity"),
        "closing gives it back",
    )


async def test_a_lock_is_renewed_and_outlives_lost_answers(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    watched = open_watched(times=20)
    lock = await taken(watched)
    assert lock is not None
    lost: list[object] = []
    lock.lost.addCallback(lost.append)

    def renewed() -> str:
        return str(server.objects[LEASES]["txmesh.replace.users"]["spec"]["renewTime"])

    first = renewed()
    await until(lambda: renewed() != first, "a renewal")
    server.lost_answers = 1
    await until(lambda: server.lost_answers == 0, "a renewal whose answer is lost")
    puts = len([1 for method, _, _ in server.asked if method == "PUT"])
    await until(
        lambda: len([1 for method, _, _ in server.asked if method == "PUT"]) > puts + 3,
        "it goes on",
    )
    assert not lost
    await lock.release()
    assert not lost, "it never fires after that"


async def test_a_holder_learns_in_time_that_its_lock_is_lost(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    clock = Clock()
    watched = open_watched(clock)
    lock = await taken(watched)
    assert lock is not None
    lost: list[float] = []
    lock.lost.addCallback(lambda _: lost.append(clock.seconds()))
    server.frozen = True
    for _ in range(80):
        clock.advance(0.125)
    assert lost == [8.0], "two seconds before another can have it"
    server.frozen = False
    await lock.release("too late")
    clock.advance(60)
    assert not [call for call in clock.getDelayedCalls() if call.active()]


async def test_a_lock_whose_holder_died_is_free_after_its_time(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    watched = open_watched()
    assert await taken(watched) is not None
    lease = server.objects[LEASES]["txmesh.replace.users"]
    now = dt.datetime.now(dt.UTC)
    for ago_s, is_free in ((11, False), (14, True)):
        renewed = now - dt.timedelta(seconds=ago_s)
        lease["spec"]["renewTime"] = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        server.put(LEASES, lease)
        assert await watched.registry.holder("replace.users") == ("" if is_free else "me")
        assert (await taken(open_watched()) is not None) is is_free


async def test_a_lock_that_another_took_is_lost_at_once(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    for how in ("taken", "deleted"):
        watched = open_watched(times=20)
        lock = await taken(watched)
        assert lock is not None
        lost: Deferred[None] = lock.lost
        if how == "deleted":
            server.remove(LEASES, "txmesh.replace.users")
        else:
            lease = server.objects[LEASES]["txmesh.replace.users"]
            lease["spec"] = {**lease["spec"], "holderIdentity": "somebody"}
            server.put(LEASES, lease)
        await until(lambda lost=lost: lost.called, "it is lost")  # type: ignore[misc]
        await lock.release("not mine")
        left = server.objects[LEASES].pop("txmesh.replace.users", None)
        assert "not mine" not in str(left)


async def test_a_lock_that_cannot_be_had_says_why(
    server: KubernetesApiServer, open_watched: Open
) -> None:
    server.refuse = (403, "no entry")
    with pytest.raises(RegistryError, match="get, create and update on leases"):
        await taken(open_watched())
    with pytest.raises(RegistryError, match="get, create and update on leases"):
        await open_watched().registry.holder("replace.users")
    server.refuse = None
    await server.stop()
    with pytest.raises(RegistryError, match="cannot be asked"):
        await taken(open_watched())
    server.start()
