"""Ways to pick: given how loaded each replica seems, which one?

Each is a `Picker` for one group of replicas and keeps what it remembers of them; the signal that it
compares is chosen apart (`balancer.policy.signals`).
"""

from .choices import Choices
from .fresh import Fresh
from .interface import Picker
from .make import make_keyed, make_picker, signal_name

__all__ = ["Choices", "Fresh", "Picker", "make_keyed", "make_picker", "signal_name"]
