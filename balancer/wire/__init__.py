"""HTTP/1.1 for both ends, without any I/O: bytes in, checked messages out, and back."""

from .encode import attempt_bytes, probe_bytes, request_prefix
from .fields import BadMessage
from .limits import WireLimits
from .mesh_headers import (
    format_deadline,
    format_load,
    parse_deadline,
    parse_load,
)
from .request import IncomingRequest, RequestParser
from .response import ReplyParser
from .retry_after import retry_after

__all__ = [
    "BadMessage",
    "IncomingRequest",
    "ReplyParser",
    "RequestParser",
    "WireLimits",
    "attempt_bytes",
    "format_deadline",
    "format_load",
    "parse_deadline",
    "parse_load",
    "probe_bytes",
    "request_prefix",
    "retry_after",
]
