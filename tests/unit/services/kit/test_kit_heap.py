"""What lasts is left out of collections; what is garbage by then is collected."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: what is frozen stays so, and other tests look at the garbage of this one.
SCRIPT = """
import gc, weakref
from services.kit.heap import freeze_heap

class Node:
    pass

lasting = [Node() for _ in range(1000)]
garbage = Node()
garbage.itself = garbage
gone = weakref.ref(garbage)
del garbage
freeze_heap()
looked_at = gc.get_objects()
print(gone() is None, any(isinstance(each, Node) for each in looked_at), len(looked_at) < 1000)
later = Node()
later.itself = later
gone = weakref.ref(later)
del later
gc.collect()
print(gone() is None)
"""


def test_a_start_s_objects_are_left_out_of_collections() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n") == ["True False True", "True", ""], done.stderr
