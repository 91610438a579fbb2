"""The start's objects, which live as long as the process: the collector is to leave them alone.

A full collection looks at every object. After a start that is a hundred thousand of modules and
functions, which never become garbage: 70 ms of CPU, in one piece and with the interpreter's lock
held, and several times that where processes share the processors. Python makes the first one when
enough new objects have come, which is in the first seconds of traffic; replicas that were started
together stand still together, and then a call has nobody to turn to.
"""

from __future__ import annotations

import gc


def freeze_heap() -> None:
    """Collect once now, and leave what is alive out of all collections that follow.

    It takes as long as a full collection: to be called at the end of the start, before callers
    know of the process.
    """
    gc.collect()
    gc.freeze()
