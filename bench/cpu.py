"""CPU time of processes, and which core they may use."""

from __future__ import annotations

import os
import time


def cpu_ns(pid: int) -> int:
    """User and system time of all threads of a process, ended ones too, in nanoseconds.

    ``/proc/PID/stat`` has the same in ticks of 10 ms. This is the kernel's clock of another
    process, whose id is made as ``clock_getcpuclockid(3)`` makes it: no call into that process,
    so asking costs it nothing.
    """
    return time.clock_gettime_ns((~pid << 3) | 2)


def cores() -> tuple[int, int]:
    """The core for servers and the core for callers; the same one where there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]
