"""From the bytes of a watch to its lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator

# No event is longer (bytes): the cluster's own store takes objects of 1.5 MiB.
LONGEST_BYTES = 4 << 20


class Lines:
    """Bytes in, whole lines out, however they were cut on the way."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take some bytes.

        Yields:
            The lines that are whole now, without their ends; empty ones are left out.

        Raises:
            ValueError: a line is longer than any event.
        """
        self._rest += data
        *lines, rest = self._rest.split(b"\n") if b"\n" in data else (self._rest,)
        self._rest = rest
        if len(rest) > LONGEST_BYTES:
            raise ValueError(f"a line of the watch is longer than {LONGEST_BYTES} bytes")
        for line in lines:
            if line.strip():
                yield bytes(line)
