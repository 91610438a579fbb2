"""An IAgent over the balancer: what treq and others that take an agent see."""

from __future__ import annotations

from contextvars import copy_context
from io import BytesIO
from typing import Any, cast

import pytest
import treq.client
from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator
from twisted.web.client import FileBodyProducer, ResponseDone, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface.verify import verifyObject

from balancer import Ambient, DeadlineExceeded, MeshAgent, NoReplicas, current
from balancer.testing import Answer, Breaks, Silent, World


def agent(world: World, deadline_s: float = 1.0) -> MeshAgent:
    return MeshAgent(world.dispatcher, lambda wait_s: world.clock.seconds() + wait_s, deadline_s)


def result(world: World, deferred: Deferred[Any]) -> Any:
    """What a Deferred fires with once the world has run, an exception included."""
    seen: list[Any] = []
    deferred.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    world.settle()
    (only,) = seen
    return only


def producer(world: World, body: bytes) -> IBodyProducer:
    """A body that is read bit by bit, in the world's time."""
    turns = Cooperator(scheduler=lambda turn: world.clock.callLater(0.01, turn))
    return cast("IBodyProducer", FileBodyProducer(BytesIO(body), cooperator=turns))


def sent(world: World) -> list[bytes]:
    return [received.data for replica in world.replicas.values() for received in replica.received]


def test_it_is_an_agent() -> None:
    assert verifyObject(IAgent, agent(World()))


def test_treq_goes_through_it() -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Answer(body=b'{"id": 1}', headers=((b"Content-Type", b"application/json"),))
    client = treq.client.HTTPClient(agent(world))

    async def ask() -> tuple[int, object]:
        response = await client.get("http://users/v1/users/u_1", params={"a": "b c"})
        return response.code, await response.json()

    assert result(world, Deferred.fromCoroutine(ask())) == (200, {"id": 1})
    (data,) = sent(world)
    assert data.startswith(b"GET /v1/users/u_1?a=b+c HTTP/1.1\r\nHost: users\r\n")
    assert b"\r\nMesh-Deadline: 1000\r\n" in data


def test_a_body_is_sent_whole_with_every_attempt() -> None:
    world = World()
    for replica in world.add("users", 2):
        replica.behaviour = Answer(status=500)
    body = producer(world, b'{"a":1}')
    response = result(world, agent(world).request(b"PUT", b"http://users/v1/x", None, body))
    assert response.code == 500
    assert len(sent(world)) == 4
    for data in sent(world):
        head, _, rest = data.partition(b"\r\n\r\n")
        assert rest == b'{"a":1}'
        assert head.lower().count(b"content-length: 7") == 1
        assert head.lower().count(b"\r\nhost:") == 1


@pytest.mark.parametrize(
    ("method", "headers", "attempts"),
    [
        (b"GET", None, 2),
        (b"HEAD", None, 2),
        (b"PUT", None, 2),
        (b"DELETE", None, 2),
        (b"POST", None, 1),
        (b"PATCH", None, 1),
        (b"POST", Headers({b"Idempotency-Key": [b"k"]}), 2),
    ],
)
def test_what_may_be_done_twice_is_tried_again(
    method: bytes, headers: Headers | None, attempts: int
) -> None:
    world = World()
    first: list[object] = []
    for replica in world.add("users", 2):
        replica.behaviour = lambda self: (
            Breaks() if not first and not first.append(self) else Answer()  # type: ignore[func-returns-value]
        )
    outcome = result(world, agent(world).request(method, b"http://users/x", headers))
    assert len(sent(world)) == attempts
    assert getattr(outcome, "code", None) == (200 if attempts == 2 else None)


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        (b"http://users", b"/"),
        (b"http://users/", b"/"),
        (b"HTTP://users/a/b?c=d&e", b"/a/b?c=d&e"),
        (b"http://users/a#fragment", b"/a"),
        (b"http://users?x=1", b"/?x=1"),
        (b"http://users#x", b"/"),
        (b"http://users/a%20b", b"/a%20b"),
    ],
)
def test_the_url_names_service_and_target(uri: bytes, target: bytes) -> None:
    world = World()
    world.add("users")
    result(world, agent(world).request(b"GET", uri))
    assert sent(world)[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    "uri",
    [
        b"https://users/",
        b"ftp://users/",
        b"/v1/users",
        b"users",
        b"http:///x",
        b"http://users:80/",
        b"http://me@users/",
        b"http://../x",
        b"http://us ers/",
        b"http://\xc3\xbc/",
        b"http://users/a b",
        b"http://users/a\r\nX: y",
        b"http://users/\x00",
        b"http://users/\xc3\xbc",
    ],
)
def test_a_url_that_is_none_is_refused_and_nothing_is_sent(uri: bytes) -> None:
    world = World()
    world.add("users")
    with pytest.raises(ValueError, match=r"is not http://SERVICE/"):
        agent(world).request(b"GET", uri)
    assert sent(world) == []


@pytest.mark.parametrize("method", [b"", b"GET /x", b"GET\r\nX: y", b"G\xc3"])
def test_a_method_that_is_none_is_refused(method: bytes) -> None:
    with pytest.raises(ValueError, match="method"):
        agent(World()).request(method, b"http://users/")


def test_headers_are_passed_on_except_those_that_are_the_balancers() -> None:
    world = World()
    world.add("users")
    headers = Headers(
        {
            b"X-One": [b"1", b"2"],
            b"Host": [b"evil"],
            b"Content-Length": [b"99"],
            b"Connection": [b"close"],
            b"Transfer-Encoding": [b"chunked"],
            b"Mesh-Deadline": [b"999999"],
            b"Mesh-Attempt": [b"7"],
            b"Mesh-Caller": [b"somebody"],
            b"Mesh-Site": [b"greetwell"],
            b"X-Split": [b"a\r\nInjected: b"],
        }
    )
    result(world, agent(world).request(b"GET", b"http://users/", headers))
    (data,) = sent(world)
    lines = data.split(b"\r\n")
    assert [line for line in lines if line.startswith(b"X-One")] == [b"X-One: 1", b"X-One: 2"]
    assert b"Mesh-Site: greetwell" in lines
    names = [line.partition(b":")[0].lower() for line in lines[1:] if line]
    for single in (b"host", b"mesh-deadline", b"mesh-caller"):
        assert names.count(single) == 1
    for absent in (
        b"content-length",
        b"connection",
        b"transfer-encoding",
        b"mesh-attempt",
        b"injected",
    ):
        assert absent not in names
    assert b"evil" not in data
    assert b"999999" not in data


def test_errors_are_the_balancers() -> None:
    world = World()
    assert isinstance(result(world, agent(world).request(b"GET", b"http://nobody/")), NoReplicas)
    (replica,) = world.add("users")
    replica.behaviour = Silent()
    outcome = result(world, agent(world, 0.2).request(b"GET", b"http://users/"))
    assert isinstance(outcome, DeadlineExceeded)


def test_a_response_is_whole() -> None:
    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Answer(
        status=404, body=b"gone", headers=((b"X-A", b"1"), (b"X-A", b"2"), (b"ETag", b'"e"'))
    )
    response: IResponse = result(world, agent(world).request(b"GET", b"http://users/"))
    assert (response.code, response.length, response.version) == (404, 4, (b"HTTP", 1, 1))
    assert response.headers.getRawHeaders(b"x-a") == [b"1", b"2"]
    assert result(world, readBody(response)) == b"gone"
    response.setPreviousResponse(response)
    assert response.previousResponse is response


@pytest.mark.parametrize("body", [b"", b"x"])
def test_a_body_is_delivered_with_its_end(body: bytes) -> None:
    from twisted.internet.protocol import Protocol
    from twisted.python.failure import Failure

    ended: list[object] = []

    class Reader(Protocol):
        def __init__(self) -> None:
            self.got = b""

        def dataReceived(self, data: bytes) -> None:
            self.got += data

        def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008
            ended.append(reason.value)

    world = World()
    (replica,) = world.add("users")
    replica.behaviour = Answer(body=body)
    response = result(world, agent(world).request(b"GET", b"http://users/"))
    reader = Reader()
    response.deliverBody(reader)
    assert reader.got == body
    assert [type(reason) for reason in ended] == [ResponseDone]


def test_a_producer_of_a_body_is_read_first() -> None:
    world = World()
    world.add("users")
    body = producer(world, b"z" * 200_000)
    outcome = result(world, agent(world).request(b"POST", b"http://users/", None, body))
    assert outcome.code == 200
    assert sent(world)[0].endswith(b"\r\n\r\n" + b"z" * 200_000)


class Stuck:
    """A body that never ends."""

    length = 10
    stopped = False

    def startProducing(self, consumer: object) -> Deferred[None]:
        return Deferred()

    def stopProducing(self) -> None:
        self.stopped = True


def test_the_deadline_covers_the_reading_of_the_body() -> None:
    world = World()
    world.add("users")
    body = Stuck()
    began = world.clock.seconds()
    outcome = result(
        world,
        agent(world, 2.0).request(b"POST", b"http://users/", None, cast("IBodyProducer", body)),
    )
    assert isinstance(outcome, DeadlineExceeded)
    assert body.stopped
    assert world.clock.seconds() - began == pytest.approx(2.0, abs=0.1)
    assert sent(world) == []


def test_giving_up_stops_the_reading_of_the_body() -> None:
    world = World()
    world.add("users")
    body = Stuck()
    asked = agent(world).request(b"POST", b"http://users/", None, cast("IBodyProducer", body))
    asked.addErrback(lambda failure: None)
    asked.cancel()
    assert body.stopped


def test_it_hands_on_what_the_request_being_handled_carries() -> None:
    world = World()
    world.add("users")
    inherited = {b"mesh-site": b"fiesta", b"mesh-priority": b"3", b"traceparent": b"00-1"}

    def ask() -> Deferred[IResponse]:
        current.set(Ambient(world.clock.seconds() + 1.0, inherited))
        headers = Headers({b"mesh-priority": [b"0"]})
        return agent(world).request(b"GET", b"http://users/", headers)

    result(world, copy_context().run(ask))
    (data,) = sent(world)
    assert b"Mesh-Site: fiesta\r\n" in data
    assert b"traceparent: 00-1\r\n" in data
    assert data.lower().count(b"mesh-priority") == 1
