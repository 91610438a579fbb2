from __future__ import annotations

import pytest

from balancer.policy import Verdict, classify, failure_kind, is_refusal, may_retry

# status, nacked -> the verdict; may it be tried again when it is retryable, and when it is not.
TABLE = [
    (200, False, Verdict.GOOD, False, False),
    (201, False, Verdict.GOOD, False, False),
    (204, True, Verdict.GOOD, False, False),
    (302, False, Verdict.GOOD, False, False),
    (399, False, Verdict.GOOD, False, False),
    (400, False, Verdict.REJECTED, False, False),
    (404, False, Verdict.REJECTED, False, False),
    (409, False, Verdict.REJECTED, False, False),
    (421, False, Verdict.REJECTED, False, False),
    (422, False, Verdict.REJECTED, False, False),
    (499, False, Verdict.REJECTED, False, False),
    (400, True, Verdict.NACKED, True, True),
    (421, True, Verdict.MISDIRECTED, True, True),
    (429, False, Verdict.BUSY, True, False),
    (429, True, Verdict.NACKED, True, True),
    (500, False, Verdict.FAILED, True, False),
    (500, True, Verdict.NACKED, True, True),
    (501, False, Verdict.FAILED, False, False),
    (502, False, Verdict.FAILED, True, False),
    (503, False, Verdict.BUSY, True, False),
    (503, True, Verdict.NACKED, True, True),
    (504, False, Verdict.BUSY, False, False),
    (504, True, Verdict.NACKED, False, False),
    (505, False, Verdict.FAILED, False, False),
    (599, False, Verdict.FAILED, True, False),
]


@pytest.mark.parametrize(("status", "nacked", "verdict", "if_retryable", "if_not"), TABLE)
def test_the_table(
    status: int, nacked: bool, verdict: Verdict, if_retryable: bool, if_not: bool
) -> None:
    assert classify(status, nacked=nacked) is verdict
    assert may_retry(verdict, status, retryable=True) is if_retryable
    assert may_retry(verdict, status, retryable=False) is if_not


def test_what_is_not_retryable_is_tried_again_only_after_a_nack() -> None:
    for status in range(200, 600):
        assert not may_retry(classify(status, nacked=False), status, retryable=False)


@pytest.mark.parametrize(
    ("status", "nacked", "refusal", "kind"),
    [
        (200, False, False, ""),
        (404, False, False, ""),
        (429, False, True, "overloaded"),
        (503, False, True, "overloaded"),
        (421, True, False, "connect"),
        (503, True, True, "overloaded"),
        (409, True, True, "overloaded"),
        (500, False, False, "service-failed"),
        (501, False, False, "service-failed"),
        (504, False, False, "deadline"),
        (504, True, True, "deadline"),
    ],
)
def test_what_is_told_of_an_answer_that_is_none(
    status: int, nacked: bool, refusal: bool, kind: str
) -> None:
    verdict = classify(status, nacked=nacked)
    assert is_refusal(verdict, status) is refusal
    assert failure_kind(verdict, status) == kind
