"""Who exists: registries by URL, each behind the same interface."""

from .folder import FolderRegistry
from .interface import Lease, Listener, Lock, Registry
from .open import RegistrySettings, open_registry
from .static import StaticRegistry
from .view import IsGone, Memory, View, Watched

__all__ = [
    "FolderRegistry",
    "IsGone",
    "Lease",
    "Listener",
    "Lock",
    "Memory",
    "Registry",
    "RegistrySettings",
    "StaticRegistry",
    "View",
    "Watched",
    "open_registry",
]
