"""One declaration for both ends: messages, calls and contracts.

Pure: nothing here knows of sockets, clocks or Twisted.
"""

from .call import Call
from .client import BoundCall, CallOptions, Carrier
from .coding import AnswerDecoder, BadRequest, RequestDecoder, RequestEncoder
from .contract import Contract
from .message import Message
from .openapi import Problem, openapi
from .path import PathTemplate
from .smoke import Smoke

__all__ = [
    "AnswerDecoder",
    "BadRequest",
    "BoundCall",
    "Call",
    "CallOptions",
    "Carrier",
    "Contract",
    "Message",
    "PathTemplate",
    "Problem",
    "RequestDecoder",
    "RequestEncoder",
    "Smoke",
    "openapi",
]
