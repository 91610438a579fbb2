"""One job in one process: it contends for the lock, runs the job, and leaves word of it.

At each slot all contenders take turns at the lock, after a wait by lot. The first of them runs the
job while it holds the lock, and leaves a note that the slot is done; the others read it and wait
for the next slot. A runner that dies gives the lock back by dying, without a note, so one of the
others, which look again every short while, runs the slot once more. Nobody ever asks how the
runner is: holding the lock is being alive.

Slots go by the wall clock, waiting goes by the monotonic one; so a wait is cut into pieces, after
each of which the wall clock is asked anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from balancer import Clock, RegistryError
from balancer.discovery import Lock

from .job import Job, Run
from .stats import JobStats
from .timetable import Timetable
from .turn import Due, Later, Note, after_failure, after_success, decide, read_note

# A step of the wall clock is noticed within this (seconds); looking at the clock costs nothing.
RECHECK_S = 30.0
# Who finds the lock taken looks again after this share of the period, within these bounds
# (seconds): a dead runner's slot is taken over well before the next one, and a job that runs for
# hours is not asked after a hundred times a second.
LOOK_SHARE = 1 / 8
LOOK_LEAST_S = 0.02
LOOK_MOST_S = 2.0
# While the registry is lost, or keeps no locks at all: seldom, and yet no slot is missed once it is
# back.
BLOCKED_SHARE = 1 / 2
# The wait by lot at a slot's begin: this share of the period, and this many seconds at the most.
JITTER_SHARE = 1 / 10
JITTER_MOST_S = 1.0
# Good runs of jobs with a shorter period (seconds) are counted and not logged: they would bury all
# else.
TOLD_S = 60.0
# What a run that was cancelled, or the registry, has to come to an end when the process leaves
# (seconds).
CANCEL_S = 1.0

# Outcomes, and why a run was cut off.
_FINISHED = "finished"
_FAILED = "failed"
_LOST = "lost"
_STOPPED = "stopped"
_TOO_LONG = "too long"

Take = Callable[[], Deferred[Lock | None]]


class Runner:
    """See the module."""

    def __init__(
        self,
        job: Job,
        state: Any,
        *,
        stats: JobStats,
        timetable: Timetable,
        take: Take,
        holder: str,
        clock: Clock,
        wall: Callable[[], datetime],
        rng: random.Random,
        log: Logger,
    ) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            job: what to run.
            state: for its runs.
            stats: where to count.
            timetable: the job's own, placed.
            take: asks for the job's lock.
            holder: this process, for whoever reads the note.
            clock: timers.
            wall: now, in UTC.
            rng: for jitter.
            log: the service's.
        """
        self.job = job
        self._state = state
        self._stats = stats
        self._timetable = timetable
        self._take = take
        self._holder = holder
        self._clock = clock
        self._wall = wall
        self._rng = rng
        self._log = log
        self._note = Note(done=0.0)
        # What could not be left in the registry, and the text that stood there instead.
        self._unsaved: tuple[str, Note] | None = None
        self._looked = False
        self._leaving = False
        self._pause: Deferred[None] | None = None
        self._run: Deferred[None] | None = None
        self._cut = ""
        self._contending: Deferred[None] | None = None
        self._stopped: list[Deferred[None]] = []

    def start(self) -> None:
        """Contend from now on; harmless the second time, and after `stop`."""
        if self._contending is None and not self._leaving:
            self._note = Note(done=self._timetable.settled(self._now()))
            self._contending = Deferred.fromCoroutine(self._contend())
            self._contending.addErrback(self._broken).addCallback(self._ended)

    def stop(self, within_s: float) -> Deferred[None]:
        """Begin no run any more.

        Args:
            within_s: how long a run that is under way has to end by itself, in seconds; then it is
                cancelled. That of a daemon is cancelled at once.

        Returns:
            Fires when it has ended and the lock was given back. What does not come to its end
            within a second of being cancelled is left to the end of the process.
        """
        self._leaving = True
        if self._pause is not None:
            self._pause.cancel()
        stopped: Deferred[None] = Deferred()
        if self._contending is None or self._contending.called:
            stopped.callback(None)
            return stopped
        if self._run is None or self.job.is_daemon:
            within_s = 0.0
        timers = [
            self._clock.callLater(within_s, self._cancel, _STOPPED),
            self._clock.callLater(within_s + CANCEL_S, _fire, stopped),
        ]
        stopped.addCallback(lambda _: _cancel_all(timers))
        self._stopped.append(stopped)
        return stopped

    async def _contend(self) -> None:
        slot: float | None = None
        while not self._leaving:
            now = self._now()
            turn = decide(self._timetable, self._note, now) if self._looked else None
            if isinstance(turn, Later):
                await self._sleep(min(turn.until - now, RECHECK_S))
                continue
            if turn is None or turn.slot != slot:
                # The lot is drawn once a slot: who finds the lock taken looks again soon.
                slot = None if turn is None else turn.slot
                await self._sleep(self._rng.uniform(0.0, self._jitter_s()))
            if not self._leaving:
                await self._sleep(await self._look_unharmed())

    async def _look_unharmed(self) -> float:
        """The same as `_look`, whatever a registry may raise: a job is never given up for good."""
        try:
            return await self._look()
        except Exception:  # noqa: BLE001 - see above
            self._log.failure(
                "the lock of the job {job} could not be used", Failure(), job=self._stats.job
            )
            return self._bounded(BLOCKED_SHARE)

    async def _look(self) -> float:
        """Take the lock, and run the job if it is due.

        Returns:
            How long to wait before the next look at what is to be done, in seconds.
        """
        try:
            lock = await maybeDeferred(self._take)
        except RegistryError as error:
            self._block(error)
            return self._bounded(BLOCKED_SHARE) * self._rng.uniform(0.5, 1.0)
        self._unblock()
        if lock is None:
            return self._bounded(LOOK_SHARE) * self._rng.uniform(0.5, 1.0)
        if self._leaving:
            await self._release(lock, None)
            return 0.0
        self._read(lock.note)
        turn = decide(self._timetable, self._note, self._now())
        if isinstance(turn, Due):
            return await self._hold(lock, turn.slot)
        # A job that nobody has run yet begins to be known: with the slot after this one.
        await self._release(lock, None if lock.note else self._note)
        return 0.0

    def _read(self, text: str) -> None:
        """Take in what the registry knows; where it knows nothing, what was known here stays."""
        self._looked = True
        if self._unsaved is not None and self._unsaved[0] == text:
            self._note = self._unsaved[1]
        else:
            self._note = read_note(text) or self._note
            self._unsaved = None

    async def _hold(self, lock: Lock, slot: float) -> float:
        """Run the job while the lock is held, and give it back with a note.

        Returns:
            As `_look`.
        """
        held = lock.note
        began = self._clock.seconds()
        outcome = await self._execute(lock, slot)
        now, lasted_s = self._now(), self._clock.seconds() - began
        self._stats.runs[outcome] += 1
        if outcome == _LOST:
            return self._bounded(LOOK_SHARE)  # there is nothing to give back
        if outcome == _STOPPED:
            await self._release(lock, None)
            return 0.0
        if outcome == _FINISHED:
            self._stats.succeeded_at = now
            self._note = after_success(slot, self._holder)
        else:
            self._note = after_failure(self._note, slot, now, lasted_s)
        if not await self._release(lock, self._note):
            self._unsaved = (held, self._note)
        return 0.0

    async def _execute(self, lock: Lock, slot: float) -> str:
        """Run the job once.

        Returns:
            The outcome, as it is counted.
        """
        job, name = self.job, self._stats.job
        began = self._clock.seconds()
        due = self._now() if job.is_daemon else slot
        self._cut = ""
        self._stats.running = True
        told = self._period_s() >= TOLD_S
        if told:
            self._log.info("the job {job} runs", job=name)
        self._run = Deferred.fromCoroutine(
            job.begin(Run(self._state, datetime.fromtimestamp(due, UTC)))
        )
        lock.lost.addCallback(lambda _: self._cancel(_LOST))
        limit = None
        if job.limit_s is not None:
            limit = self._clock.callLater(job.limit_s, self._cancel, _TOO_LONG)
        try:
            await self._run
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit too: the lock must go back
            if isinstance(error, CancelledError) and self._cut:
                return self._was_cut()
            self._log.failure(
                "the job {job} failed; it is tried again", Failure(), LogLevel.error, job=name
            )
            return _FAILED
        finally:
            self._run = None
            self._stats.running = False
            if limit is not None and limit.active():
                limit.cancel()
        if self._cut == _LOST:
            # It took the cancelling for its end, but the lock is gone all the same.
            return self._was_cut()
        if told:
            self._log.info(
                "the job {job} has ended after {seconds:.1f} s",
                job=name,
                seconds=self._clock.seconds() - began,
            )
        return _FAILED if job.is_daemon else _FINISHED

    def _was_cut(self) -> str:
        words = {
            _LOST: "the lock was lost",
            _STOPPED: "this process leaves",
            _TOO_LONG: f"it ran for {self.job.limit_s} s, and that is its limit",
        }
        self._log.warn(
            "the job {job} was cancelled: {why}", job=self._stats.job, why=words[self._cut]
        )
        return _FAILED if self._cut == _TOO_LONG else self._cut

    def _cancel(self, why: str) -> None:
        if self._run is not None and not self._cut:
            self._cut = why
            self._run.cancel()

    async def _release(self, lock: Lock, note: Note | None) -> bool:
        """Give the lock back.

        Returns:
            Whether the registry has it.
        """
        try:
            await lock.release(None if note is None else note.text())
        except RegistryError as error:
            self._log.warn(
                "the lock of the job {job} could not be given back ({why}); where it was run, it "
                "may be run for the same time again",
                job=self._stats.job,
                why=str(error),
            )
            return False
        return True

    def _block(self, error: RegistryError) -> None:
        if not self._stats.blocked:
            self._stats.blocked = True
            self._log.warn(
                "the job {job} is not run, because its lock cannot be asked for: {why}",
                job=self._stats.job,
                why=str(error),
            )

    def _unblock(self) -> None:
        if self._stats.blocked:
            self._stats.blocked = False
            self._log.info("the lock of the job {job} can be asked for again", job=self._stats.job)

    def _broken(self, failure: Failure) -> None:
        self._log.failure("the job {job} is run no more here", failure, job=self._stats.job)

    def _ended(self, _: object) -> None:
        for stopped in self._stopped:
            _fire(stopped)

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not once the process leaves; always for a turn of the reactor."""
        if self._leaving:
            return

        def wake(pause: Deferred[None]) -> None:
            call.cancel()
            pause.callback(None)

        self._pause = Deferred(wake)
        call = self._clock.callLater(max(seconds, 0.001), self._pause.callback, None)
        await self._pause
        self._pause = None

    def _now(self) -> float:
        return self._wall().timestamp()

    def _period_s(self) -> float:
        slot = self._timetable.latest(self._now())
        return self._timetable.following(slot) - slot

    def _jitter_s(self) -> float:
        return min(self._period_s() * JITTER_SHARE, JITTER_MOST_S)

    def _bounded(self, share: float) -> float:
        return min(max(self._period_s() * share, LOOK_LEAST_S), LOOK_MOST_S)


def _fire(deferred: Deferred[None]) -> None:
    if not deferred.called:
        deferred.callback(None)


def _cancel_all(timers: list[IDelayedCall]) -> None:
    for timer in timers:
        if timer.active():
            timer.cancel()
