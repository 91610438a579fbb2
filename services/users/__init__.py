"""The users service; see `clients.users` for what it offers."""

from .service import service

__all__ = ["service"]
