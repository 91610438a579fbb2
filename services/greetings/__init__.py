"""The greetings service; see `clients.greetings` for what it offers."""

from .service import service

__all__ = ["service"]
