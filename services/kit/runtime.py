"""What a service is given at its start."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from twisted.logger import Logger

from balancer import Clock
from clients import Mesh

from .schedule import Job


class Kit:
    """What a service works with; see the attributes.

    Attributes:
        clock: timers, and monotonic ``seconds()``.
        wall: now, in UTC.
        rng: for jitter; not for secrets.
        mesh: for calls to other services.
        storage_folder: where the embedded stores of this mesh are.
        sample_data: whether an empty store is filled with the sample data.
        log: the service's logger.
        jobs: scheduled work that comes with what the service opens, such as its storage. It runs
            beside the service's own once all is open, and has ended before it is closed.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        wall: Callable[[], datetime],
        rng: random.Random,
        mesh: Mesh,
        storage_folder: Path,
        sample_data: bool,
        log: Logger,
    ) -> None:
        """See the class for the arguments."""
        self.clock = clock
        self.wall = wall
        self.rng = rng
        self.mesh = mesh
        self.storage_folder = storage_folder
        self.sample_data = sample_data
        self.log = log
        self.jobs: list[Job] = []
