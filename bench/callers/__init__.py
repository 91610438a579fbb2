"""The callers: a module each, with ``call(order)`` that gives the sample of one window.

Each keeps 32 calls in flight, the way that its users would write it, and checks every answer of
the warm-up. Connections are made in the warm-up and kept.
"""
