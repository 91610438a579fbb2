"""Replay: a recorded decision log through the laboratory, under another policy.

::

    for record in read_records(Path("decisions.jsonl")):
        compare(record, [BalancingSettings(policy="round-robin")], seed=1)
"""

from .comparison import Comparison, Row, compare
from .record import Record, read_records

__all__ = ["Comparison", "Record", "Row", "compare", "read_records"]
