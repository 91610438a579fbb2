"""A registry without a server: leases and locks in a folder, for all processes of one machine."""

from .registry import FolderRegistry

__all__ = ["FolderRegistry"]
