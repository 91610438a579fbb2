"""Who exists: registries by URL, each behind the same interface."""

from .folder import FolderRegistry
from .interface import Lease, Listener, Lock, Registry
from .open import RegistrySettings, open_registry
from .static import StaticRegistry

__all__ = [
    "FolderRegistry",
    "Lease",
    "Listener",
    "Lock",
    "Registry",
    "RegistrySettings",
    "StaticRegistry",
    "open_registry",
]
