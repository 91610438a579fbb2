"""Header fields, targets, and the mesh's own headers, written and read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer import Request
from balancer.values import LoadReport
from balancer.wire import (
    BadMessage,
    IncomingRequest,
    RequestParser,
    WireLimits,
    attempt_bytes,
    format_deadline,
    format_load,
    parse_deadline,
    parse_load,
    request_prefix,
)
from balancer.wire.fields import (
    add_field,
    check_framing,
    check_host,
    check_trailer,
    origin_form,
)


def collect_fields(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The fields that a parser would have collected of these lines."""
    fields: dict[bytes, bytes] = {}
    for name, value in pairs:
        add_field(fields, name, value)
    return fields


def test_fields_are_collected_by_lower_case_name() -> None:
    fields = collect_fields([(b"Accept", b"a"), (b"HOST", b"h"), (b"accept", b"b")])
    assert fields == {b"accept": b"a, b", b"host": b"h"}


@pytest.mark.parametrize(
    "name", [b"Host", b"Content-Length", b"Idempotency-Key", b"Mesh-Deadline", b"Content-Type"]
)
def test_some_fields_are_single(name: bytes) -> None:
    with pytest.raises(BadMessage, match="twice"):
        collect_fields([(name, b"1"), (name.upper(), b"1")])


def test_a_long_bad_name_is_shown_in_part() -> None:
    with pytest.raises(BadMessage) as caught:
        collect_fields([(b"x_" * 500, b"")])
    assert len(caught.value.detail) < 100


@pytest.mark.parametrize(
    "host", [b"a", b"a.example", b"a:80", b"10.0.0.1:8080", b"[::1]", b"[::1]:80", b"a:", b"a%41"]
)
def test_hosts(host: bytes) -> None:
    check_host(host)


@pytest.mark.parametrize(
    "host",
    [b"", b" ", b"a b", b"a\n", b"a/b", b"a@b", b"a:b", b"a:800000", b"::1", b"[::1", b"a,b c",
     b"a\xff", b"a?b", b"a#b", b"a\\b"],
)  # fmt: skip
def test_what_is_no_host(host: bytes) -> None:
    with pytest.raises(BadMessage):
        check_host(host)


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://a", b"/"),
        (b"http://a?x=/y", b"/?x=/y"),
        (b"HTTPS://a:80/b?c", b"/b?c"),
        (b"http://u:p@a/b", b"/b"),
        (b"http://[::1]/b", b"/b"),
        (b"*", b"*"),
        (b"a:80", b"a:80"),
    ],
)
def test_targets_are_reduced(target: bytes, origin: bytes) -> None:
    assert origin_form(target) == origin


@pytest.mark.parametrize(
    "target",
    [b"http://", b"http:///a", b"ftp://a/b", b"s://]x/", b"http://a b/", b"://a", b"http://a@b@c/"],
)
def test_targets_that_are_refused(target: bytes) -> None:
    with pytest.raises(BadMessage):
        origin_form(target)


@pytest.mark.parametrize(
    ("encoding", "version", "status"),
    [
        (b"chunked", "1.1", 0),
        (b"CHUNKED", "1.1", 0),
        (b"chunked", "1.0", 400),
        (b"chunked ", "1.1", 400),
        (b"chunked, chunked", "1.1", 400),
        (b"identity", "1.1", 501),
        (b"", "1.1", 501),
    ],
)
def test_framing(encoding: bytes, version: str, status: int) -> None:
    fields = {b"transfer-encoding": encoding}
    if not status:
        check_framing(fields, version)
        return
    with pytest.raises(BadMessage) as caught:
        check_framing(fields, version)
    assert caught.value.status == status


@pytest.mark.parametrize("name", [b"Host", b"CONTENT-LENGTH", b"transfer-encoding", b"Trailer"])
def test_trailers_do_not_frame(name: bytes) -> None:
    check_trailer(b"X-Checksum")
    with pytest.raises(BadMessage):
        check_trailer(name)


@given(
    st.integers(0, 10_000),
    st.floats(0, 1e6, allow_nan=False),
    st.integers(0, 10**9),
    st.booleans(),
)
def test_loads_come_back(in_flight: int, latency_ms: float, age_s: int, draining: bool) -> None:
    load = LoadReport(in_flight=in_flight, latency_ms=latency_ms, age_s=age_s, draining=draining)
    read = parse_load(format_load(load))
    assert read is not None
    assert (read.in_flight, read.age_s, read.draining) == (in_flight, age_s, draining)
    assert math.isclose(read.latency_ms, latency_ms, abs_tol=0.0005)


@given(st.binary(max_size=60))
def test_a_bad_load_is_no_fault(value: bytes) -> None:
    for text in (value, b"in-flight=" + value, b"in-flight=1, latency-ms=" + value):
        read = parse_load(text)
        if read is not None:
            assert read.in_flight >= 0
            assert math.isfinite(read.latency_ms)
            assert read.latency_ms >= 0


@pytest.mark.parametrize(
    "value",
    [b"in-flight=x", b"in-flight=-1", b"latency-ms=nan", b"latency-ms=inf", b"latency-ms=-1",
     b"age-s=1.5", b"age-s=-1", b"in-flight=" + b"9" * 5000,
     b"in-flight=" + b"9" * 400, b"age-s=" + b"9" * 400, b"latency-ms=1e-310"],
)  # fmt: skip
def test_loads_that_are_passed_over(value: bytes) -> None:
    assert parse_load(value) is None


def test_loads_of_others() -> None:
    assert parse_load(b"") == LoadReport()
    assert parse_load(b"draining=?1,new=3") == LoadReport(draining=True)
    assert parse_load(b"draining=?0") == LoadReport()


@given(st.floats(-10, 1e5, allow_nan=False))
def test_deadlines_come_back_and_never_longer(left_s: float) -> None:
    read = parse_deadline(b"%d" % format_deadline(left_s))
    assert read is not None
    assert read <= max(0.001, left_s)
    assert read > left_s - 0.0011


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b" 1", b"1_0", "٣".encode(), b"9" * 10])
def test_deadlines_that_are_none(value: bytes) -> None:
    assert parse_deadline(value) is None


@given(
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD"]),
    st.binary(max_size=100),
    st.floats(0.001, 100),
    st.integers(1, 5),
)
def test_what_is_sent_is_what_a_server_reads(
    method: bytes, body: bytes, left_s: float, attempt: int
) -> None:
    request = Request("users", method, b"/v1/users/u_1?x=1", b"X-Thing: y\r\n", body)
    raw = attempt_bytes(request_prefix(request, b"tester"), body, left_s, attempt)
    parser = RequestParser(WireLimits(), lambda _: None)
    parser.feed(raw)
    read: IncomingRequest = parser.requests.popleft()
    assert (read.method, read.path, read.query) == (method, b"/v1/users/u_1", b"x=1")
    assert read.body == body
    assert read.headers[b"host"] == b"users"
    assert read.headers[b"mesh-caller"] == b"tester"
    assert read.headers[b"x-thing"] == b"y"
    assert int(read.headers[b"mesh-deadline"]) == format_deadline(left_s)
    assert read.headers.get(b"mesh-attempt", b"1") == b"%d" % attempt
    has_length = b"content-length" in read.headers
    assert has_length == bool(body or method in (b"POST", b"PUT", b"PATCH"))


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="header_count"):
        WireLimits(header_count=0)
