"""When a lock in Redis is given up: in virtual time, over a connection that answers as told."""

from __future__ import annotations

import random
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import Clock

from balancer import RegistryError
from balancer.discovery.redis.connect import Lost
from balancer.discovery.redis.lock import RedisLock
from balancer.discovery.redis.scripts import HOLD, RELEASE, TAKE
from balancer.discovery.redis.session import Session
from tests.deferreds import now

TTL_S = 9.0


class Answers:
    """A session whose replies are given by the test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Deferred[Any]]] = []

    def run(self, script: str, *_arguments: object) -> Deferred[Any]:
        reply: Deferred[Any] = Deferred()
        self.asked.append((script, reply))
        return reply

    def answer(self, script: str, reply: object) -> None:
        asked, waiting = self.asked.pop(0)
        assert asked is script
        if isinstance(reply, Exception):
            waiting.errback(reply)
        else:
            waiting.callback(reply)


class Held:
    """A lock that was taken at the instant 0, and what became of it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.answers = Answers()
        self.connected = True
        self.ended: list[RedisLock] = []
        self.lost: list[float] = []
        self.lock = RedisLock(
            "job",
            "me",
            ttl_s=TTL_S,
            clock=self.clock,
            rng=random.Random(1),
            session=lambda: self.session if self.connected else None,
            ended=self.ended.append,
        )
        self.lock.lost.addCallback(lambda _: self.lost.append(self.clock.seconds()))
        taken = ensureDeferred(self.lock.take(self.session))
        self.answers.answer(TAKE, b"+before")
        assert now(taken)

    @property
    def session(self) -> Session:
        return cast("Session", self.answers)

    def spend(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)


def test_it_is_renewed_at_each_third() -> None:
    held = Held()
    assert held.lock.note == "before"
    for _ in range(20):
        held.spend(TTL_S / 3 + 0.01)
        held.answers.answer(HOLD, 1)
        held.answers.asked.clear()
    assert held.lost == []


def test_it_is_lost_while_a_quarter_of_its_time_is_left() -> None:
    held = Held()
    held.connected = False
    held.spend(TTL_S)
    (lost_at,) = held.lost
    assert lost_at == pytest.approx(0.75 * TTL_S, abs=0.02)
    assert held.ended == [held.lock]
    assert held.clock.getDelayedCalls() == []
    now(held.lock.release())


def test_a_renewal_counts_from_when_it_was_sent() -> None:
    held = Held()
    held.spend(3.0)
    sent_at = 3.0
    held.spend(2.0)  # its answer takes long
    held.answers.answer(HOLD, 1)
    held.connected = False
    held.spend(TTL_S)
    (lost_at,) = held.lost
    assert lost_at <= sent_at + 0.75 * TTL_S + 0.02


def test_a_process_that_was_frozen_is_told_at_once_whatever_had_been_answered() -> None:
    held = Held()
    held.spend(3.0)
    held.clock.rightNow += 2 * TTL_S  # nothing ran, and then the answer is there first
    held.answers.answer(HOLD, 1)
    assert len(held.lost) == 1
    again = Held()
    again.clock.advance(2 * TTL_S)
    assert len(again.lost) == 1
    assert again.answers.asked == [], "it is not asked for again"


def test_a_renewal_that_fails_is_tried_again() -> None:
    held = Held()
    held.spend(3.0)
    held.answers.answer(HOLD, Lost("gone"))
    held.spend(0.5)
    held.answers.answer(HOLD, 1)
    held.connected = False
    held.spend(TTL_S)
    assert held.lost[0] > TTL_S, "the second one counts"


def test_another_holder_is_a_loss_at_once() -> None:
    held = Held()
    held.spend(3.0)
    held.answers.answer(HOLD, 0)
    assert len(held.lost) == 1
    assert held.clock.getDelayedCalls() == []


def test_after_the_release_nothing_is_lost() -> None:
    held = Held()
    held.spend(3.0)
    renewal = held.answers.asked.pop(0)[1]
    held.answers.asked.clear()
    released = held.lock.release("note")
    renewal.callback(0)
    held.answers.answer(RELEASE, 1)
    now(released)
    now(held.lock.release("again"))
    held.spend(2 * TTL_S)
    assert held.lost == []
    assert held.answers.asked == []


def test_a_release_that_nobody_hears_says_what_becomes_of_the_lock() -> None:
    held = Held()
    held.connected = False
    with pytest.raises(RegistryError, match="goes back by itself within 9 s"):
        now(held.lock.release("note"))
    held = Held()
    released = held.lock.release("note")
    held.answers.answer(RELEASE, Lost("no answer in time"))
    with pytest.raises(RegistryError, match=r"no answer in time.*without a note"):
        now(released)
