"""All scenarios, a family a module."""

from __future__ import annotations

from ..scenario import Scenario
from .all_failing import ALL_FAILING
from .amplification import AMPLIFICATION
from .antagonists import ANTAGONISTS
from .deploys import ROLLING_RESTART
from .failures import FAILURES
from .fairness import FAIRNESS
from .hedging import HEDGING
from .metastable import METASTABLE
from .registry_loss import REGISTRY_LOSS
from .slow_server import SLOW_SERVER
from .supermarket import SUPERMARKET
from .throttle import THROTTLE

ALL: tuple[Scenario, ...] = (
    SUPERMARKET,
    SLOW_SERVER,
    HEDGING,
    THROTTLE,
    AMPLIFICATION,
    ANTAGONISTS,
    FAIRNESS,
    *FAILURES,
    ROLLING_RESTART,
    REGISTRY_LOSS,
    METASTABLE,
    ALL_FAILING,
)

__all__ = ["ALL"]
