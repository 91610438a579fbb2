"""A registry that others keep: SRV records in the DNS."""

from .registry import DnsRegistry
from .zone import Zone, parse_dns

__all__ = ["DnsRegistry", "Zone", "parse_dns"]
