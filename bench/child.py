"""The entry point of each server and caller: ``python -m bench.child CORE KIND NAME``.

A server says its address on standard output and serves until it is ended. A caller says that it is
ready, takes one `Order` from standard input, and says its `Sample`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from importlib import import_module

import msgspec

from .window import Order, Sample

_PR_SET_PDEATHSIG = 1


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _announce(address: str) -> None:
    _say(address.encode("ascii"))


def main(core: int, kind: str, name: str) -> None:
    """Be one server or one caller.

    Args:
        core: where to run.
        kind: "servers" or "callers", the package.
        name: the module in it.
    """
    # Before anything is imported that starts threads: they inherit it.
    os.sched_setaffinity(0, {core})
    # Whatever becomes of the parent, nothing of it goes on running.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    module = import_module(f"bench.{kind}.{name}")
    if kind == "servers":
        module.serve(_announce)
        return
    _say(b"ready")
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    sample: Sample = module.call(order)
    _say(msgspec.json.encode(sample))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
