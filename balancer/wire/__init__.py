"""HTTP/1.1 for both ends, without any I/O: bytes in, checked messages out, and back."""

from .encode import attempt_bytes, request_prefix
from .fields import BadMessage
from .limits import WireLimits
from .mesh_headers import (
    DRAINING,
    LoadReport,
    format_deadline,
    format_load,
    parse_deadline,
    parse_load,
)
from .request import IncomingRequest, RequestParser
from .response import ReplyParser

__all__ = [
    "DRAINING",
    "BadMessage",
    "IncomingRequest",
    "LoadReport",
    "ReplyParser",
    "RequestParser",
    "WireLimits",
    "attempt_bytes",
    "format_deadline",
    "format_load",
    "parse_deadline",
    "parse_load",
    "request_prefix",
]
