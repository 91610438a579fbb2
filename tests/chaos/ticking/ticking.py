"""A service with a job that writes down when each of its runs begins and ends."""

from __future__ import annotations

import json
import os
import random
import time

from twisted.internet.task import deferLater

from clients.contract import Call, Contract, Message
from services.kit import Run, Service

PERIOD_S = float(os.environ["TICKING_PERIOD_S"])
FILE = os.environ["TICKING_FILE"]


class Ask(Message):
    """Nothing is asked."""


class Told(Message):
    """Nothing is told."""


class Ticking(Contract, name="ticking"):
    """Ticks."""

    ask = Call(Ask, Told, get="/v1/ask")


service = Service(Ticking)


@service.answers(Ticking.ask)
async def ask(_request: Ask) -> Told:
    return Told()


def note(event: str, slot: float) -> None:
    # One write of one line, which the kernel puts at the end whoever else writes.
    line = {"event": event, "pid": os.getpid(), "slot": slot, "at": time.monotonic()}
    descriptor = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
    finally:
        os.close(descriptor)


@service.every(PERIOD_S)
async def tick(run: Run) -> None:
    from twisted.internet import reactor

    slot = run.slot.timestamp()
    note("begin", slot)
    await deferLater(reactor, random.uniform(0.02, 0.12), lambda: None)
    note("end", slot)
