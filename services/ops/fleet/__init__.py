"""Replacing a service's replicas by new ones: gather, plan (pure), execute; drivers build."""

from .command import replace

__all__ = ["replace"]
