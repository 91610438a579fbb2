"""Replacement on Kubernetes: a Deployment a service, whose pods the cluster replaces itself."""

from .make import make_order, open_cluster
from .rolling import Rolling
from .telling import RollingTelling

__all__ = ["Rolling", "RollingTelling", "make_order", "open_cluster"]
