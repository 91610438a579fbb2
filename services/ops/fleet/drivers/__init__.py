"""What can run replicas: a `txmesh up` beside us, systemd, or servers of a cloud."""

from .make import DRIVERS, make_driver

__all__ = ["DRIVERS", "make_driver"]
