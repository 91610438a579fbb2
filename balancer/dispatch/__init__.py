"""The call loop: the one place that joins decisions and I/O.

A call has one deadline. Until then it is tried on a replica that the policies pick, and on another
if that one fails in a way that another might not, as long as the budget pays. Everything that it
needs comes in through the constructor, so the same loop runs on sockets and in virtual time.
"""

from .dispatcher import Dispatcher
from .settings import DispatchSettings

__all__ = ["DispatchSettings", "Dispatcher"]
