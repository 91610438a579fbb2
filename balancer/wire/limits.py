"""How much of a message is taken in before it is refused."""

from __future__ import annotations

from ..config import Settings

# What chunked framing may cost beyond the body (bytes): a fixed part for extensions and trailers
# and a part for each chunk, whose own line is at most some 20 bytes.
CHUNK_OVERHEAD = 16_384
EACH_CHUNK = 32


class WireLimits(Settings, frozen=True, kw_only=True):
    """Limits of one HTTP message, in bytes unless said otherwise.

    The defaults are those that most servers have: a request line of 8 KiB, 16 KiB and 100 fields of
    header, and 1 MiB of body where a call does not say what it needs.

    Attributes:
        request_line_bytes: the request line.
        header_bytes: all header fields together.
        header_count: header fields.
        body_bytes: a body, where nothing narrower is known.
    """

    request_line_bytes: int = 8192
    header_bytes: int = 16_384
    header_count: int = 100
    body_bytes: int = 1_048_576

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in self.__struct_fields__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
