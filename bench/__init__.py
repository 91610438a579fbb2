"""What a call costs, ours and its peers', measured in the same run.

`python -m bench` prints one table. Numbers of one machine say little about another's, and a machine
is never quiet, so each number stands beside those of well-known peers that were taken in turn with
it: what is promised is ratios. Servers run on one core and callers on another, each in a process
of its own, and cost is CPU time of that process, which waiting and neighbours disturb least.
"""
