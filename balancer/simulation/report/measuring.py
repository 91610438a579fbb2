"""Runs many cells on several processes at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread

from .. import run
from .cell import Cell, Outcome, outcome


def measure(cells: Iterable[Cell], jobs: int, tell: Callable[[Cell], object]) -> dict[str, Outcome]:
    """Run cells.

    Each is a run of its own, so how many processes there are changes nothing but the time.

    Args:
        cells: those that may take long first, so that none is waited for at the end.
        jobs: how many processes.
        tell: called with each cell that is done.

    Returns:
        What they came to, by their commands.
    """
    outcomes: dict[str, Outcome] = {}
    # Started anew, not forked: nothing of this process's state can get into a run.
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with ours, ProcessPoolExecutor(jobs, context, _begin, (theirs,)) as pool:
        running = {pool.submit(run_cell, cell): cell for cell in cells}
        try:
            for done in as_completed(running):
                cell = running[done]
                outcomes[cell.command] = done.result()
                tell(cell)
        except BaseException:
            # Nobody waits for what is under way, which may take a minute.
            ours.close()
            raise
    return outcomes


def run_cell(cell: Cell) -> Outcome:
    """Run one cell in this process."""
    return outcome(run(cell.scenario, cell.options))


def _begin(pipe: Connection) -> None:
    """Begin a worker.

    It ends without a word on ^C, and when the other end of the pipe is closed: by whoever started
    it, or with that process.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def wait() -> None:
        pipe.poll(None)
        os._exit(1)

    Thread(target=wait, daemon=True).start()
