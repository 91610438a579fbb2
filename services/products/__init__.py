"""The products service; see `clients.products` for what it offers."""

from .service import service

__all__ = ["service"]
