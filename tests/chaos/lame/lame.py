"""A service whose replicas can be made bad: each works for LAME_BUSY_MS, or fails if LAME_FAILS."""

from __future__ import annotations

import os
import time

from clients.contract import Call, Contract, Message
from services.kit import Service

BUSY_S = float(os.environ.get("LAME_BUSY_MS", "1")) / 1000
FAILS = "LAME_FAILS" in os.environ


class Ask(Message):
    """Nothing is asked."""


class Told(Message):
    """Something is answered."""

    text: str = "done"


class Lame(Contract, name="lame"):
    """Works for a while."""

    work = Call(Ask, Told, get="/v1/work", deadline_s=1.0)


service = Service(Lame)


@service.answers(Lame.work)
async def work(_request: Ask) -> Told:
    if FAILS:
        raise RuntimeError("it is made to fail")
    end = time.perf_counter() + BUSY_S
    while time.perf_counter() < end:
        pass
    return Told()
