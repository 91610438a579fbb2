"""From an error's answer to the exception that the caller gets."""

from __future__ import annotations

import msgspec
import pytest

from balancer import (
    CallError,
    DeadlineExceeded,
    Overloaded,
    Refused,
    Rejected,
    Reply,
    ServiceFailed,
)
from clients.refusal import refusal


def told(status: int, body: bytes = b"{}") -> CallError:
    return refusal("users", "fetch", Reply(status, [], body))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (404, Rejected),
        (408, Rejected),
        (409, Rejected),
        (422, Rejected),
        (499, Rejected),
        (429, Overloaded),
        (503, Overloaded),
        (500, ServiceFailed),
        (501, ServiceFailed),
        (502, ServiceFailed),
        (599, ServiceFailed),
        (504, DeadlineExceeded),
    ],
)
def test_the_status_says_which(status: int, kind: type[CallError]) -> None:
    error = told(status)
    assert type(error) is kind
    assert error.sent
    assert error.service == "users"
    assert not error.retryable
    assert getattr(error, "status", status) == status


def test_a_problem_is_read() -> None:
    problem = {
        "type": "stale-version",
        "title": "It has changed.",
        "status": 412,
        "detail": "It is at version 3 now.",
        "version": 3,
    }
    error = told(412, msgspec.json.encode(problem))
    assert isinstance(error, Rejected)
    assert (error.type, error.title) == ("stale-version", "It has changed.")
    assert error.detail == "It is at version 3 now."
    assert str(error) == "users.fetch: 412 stale-version: It is at version 3 now."
    assert msgspec.json.decode(error.body)["version"] == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"type": 3}',
        b"\xff",
        b'{"type": "\xff"}',
        b'"text"',
        b"[" * 9999,
        b'{"a":' * 9999,
    ],
)
def test_what_is_no_problem_is_an_error_all_the_same(body: bytes) -> None:
    error = told(500, body)
    assert isinstance(error, Refused)
    assert error.type == "about:blank"
    assert "users.fetch: 500" in str(error)
    assert error.body == body
