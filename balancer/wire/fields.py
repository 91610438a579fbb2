"""Header fields and targets: the checks that llhttp leaves to us.

Each refuses a message that two parsers could read differently, which is how requests are smuggled:
a doubled Host, a Transfer-Encoding beside a Content-Length, a name with an underscore that a
CGI-like application takes for another name.

Source: RFC 9112, sections 3.2 (Host), 6.1 and 6.3 (framing), 11.2 (request smuggling).
"""

from __future__ import annotations

import re

# Fields of which a second one makes the message ambiguous.
_SINGLE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"expect",
        b"idempotency-key",
        b"mesh-deadline",
        b"mesh-attempt",
        b"mesh-priority",
        b"mesh-site",
        b"mesh-caller",
        b"traceparent",
    }
)
_FRAMING = frozenset(
    {b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer", b"te"}
)
_HOST = re.compile(
    rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
).fullmatch

# An absolute target: scheme, authority (with the user part that curl may send), and the rest.
_ABSOLUTE = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://(?:[^/?#@]*@)?([^/?#@]+)([/?].*)?").fullmatch


class BadMessage(Exception):
    """A message that is refused; the connection ends after its answer.

    Attributes:
        status: the HTTP status that says so.
        detail: what is wrong with it.
    """

    def __init__(self, status: int, detail: str) -> None:
        """See the class for the arguments."""
        super().__init__(detail)
        self.status = status
        self.detail = detail


# The usual spellings of the usual names, by which a parser can spare `add_field`.
USUAL = {
    spelling.encode("ascii"): spelling.lower().encode("ascii")
    for name in (
        *("Host", "Connection", "User-Agent", "Accept", "Accept-Encoding", "Date"),
        *("Content-Type", "Content-Length", "Transfer-Encoding", "Idempotency-Key", "traceparent"),
        *("Mesh-Deadline", "Mesh-Attempt", "Mesh-Priority", "Mesh-Site", "Mesh-Caller"),
    )
    for spelling in (name, name.lower())
}


def add_field(fields: dict[bytes, bytes], raw_name: bytes, value: bytes) -> None:
    """Add a header field by its lower-case name; repeated list fields are joined with commas.

    Raises:
        BadMessage: a name with an underscore, or a second one of a field that must be single.
    """
    name = raw_name.lower()
    if b"_" in name:
        raise BadMessage(400, f"The header name {_shown(name)} has an underscore.")
    if name not in fields:
        fields[name] = value
    elif name in _SINGLE:
        raise BadMessage(400, f"The header {_shown(name)} is given twice.")
    else:
        fields[name] += b", " + value


def check_host(value: bytes) -> None:
    """Check a Host field's syntax.

    Raises:
        BadMessage: it is no host with an optional port.
    """
    if not _HOST(value):
        raise BadMessage(400, "The host is not a host name with an optional port.")


def origin_form(target: bytes) -> bytes:
    """Reduce an absolute target to its path and query; others are left as they are.

    Args:
        target: a target that does not begin with a slash.

    Raises:
        BadMessage: it has a scheme, and is no absolute HTTP URL.
    """
    if b"://" not in target:
        return target  # "*", or what CONNECT names
    match = _ABSOLUTE(target)
    if match is None:
        raise BadMessage(400, "The request's target is not an absolute HTTP URL.")
    authority, rest = match.groups(b"")
    check_host(authority)
    return rest if rest.startswith(b"/") else b"/" + rest


def check_framing(fields: dict[bytes, bytes], version: str) -> None:
    """Check a message that has a Transfer-Encoding.

    Args:
        fields: the message's fields.
        version: its HTTP version, such as "1.1".

    Raises:
        BadMessage: any encoding but exactly ``chunked``, in HTTP/1.0, or beside a length.
    """
    encoding = fields[b"transfer-encoding"]
    if b"content-length" in fields:
        raise BadMessage(400, "Transfer-Encoding and Content-Length are given together.")
    if version != "1.1":
        raise BadMessage(400, f"Transfer-Encoding is given in HTTP/{version}.")
    if encoding.lower() != b"chunked":
        status = 501 if b"chunked" not in encoding.lower() else 400
        raise BadMessage(status, "The only Transfer-Encoding understood here is chunked.")


def check_trailer(name: bytes) -> None:
    """Check the name of a trailer field; trailers themselves are dropped.

    Raises:
        BadMessage: a field that frames or routes the message cannot come after it.
    """
    if name.lower() in _FRAMING:
        raise BadMessage(400, f"The field {_shown(name)} cannot be a trailer.")


def _shown(name: bytes) -> str:
    return name[:40].decode("ascii", "replace")
