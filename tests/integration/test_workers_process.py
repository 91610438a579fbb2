"""A worker's process as the master has it."""

from __future__ import annotations

import os
import signal
import sys

from services.kit.workers.launch import FROM_MASTER, TO_MASTER, WorkerProcess
from tests.processes import until

# Forks a process that keeps all pipes, says which one it is, and waits.
FORKS = """
import os, sys, time
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


async def test_a_worker_is_dead_when_a_process_that_it_forked_lives_on() -> None:
    from twisted.internet import reactor

    ends: list[str] = []
    worker = WorkerProcess(
        1,
        heard=lambda message: None,
        ended=lambda how, clean: ends.append(how),
        later=reactor.callLater,
    )
    read, write = os.pipe()
    reactor.spawnProcess(
        worker,
        sys.executable,
        [sys.executable, "-c", FORKS],
        env=None,
        childFDs={1: write, TO_MASTER: "r", FROM_MASTER: "w"},
    )
    os.close(write)
    forked = int(os.read(read, 20))
    os.close(read)
    try:
        worker.kill()
        await until(lambda: ends, "the worker's end", 5.0)
        assert ends == ["was killed by signal 9"]
        os.kill(forked, 0)  # it lives
    finally:
        os.kill(forked, signal.SIGKILL)
