"""The balancer: knows services by name and replicas by address, and carries bytes between them.

Rooms, from the bottom: values and errors; `policy` (decisions, pure) and `wire` (HTTP, pure);
`transport` (sockets), `discovery` (registries), `telemetry` (counting); `dispatch` (the call loop,
where they meet) and `agent` (an IAgent over it).
"""

from .agent import MeshAgent
from .ambient import Ambient, current
from .clock import Clock, MonotonicClock
from .config import ConfigFile, Settings, read_config
from .dispatch import Dispatcher, DispatchSettings
from .errors import (
    AttemptTimeout,
    BadReply,
    CallError,
    ConfigError,
    ConnectFailed,
    DeadlineExceeded,
    MeshError,
    NoReplicas,
    Overloaded,
    Refused,
    RegistryError,
    Rejected,
    ReplyLost,
    ServiceFailed,
)
from .values import Endpoint, Reply, Request

__all__ = [
    "Ambient",
    "AttemptTimeout",
    "BadReply",
    "CallError",
    "Clock",
    "ConfigError",
    "ConfigFile",
    "ConnectFailed",
    "DeadlineExceeded",
    "DispatchSettings",
    "Dispatcher",
    "Endpoint",
    "MeshAgent",
    "MeshError",
    "MonotonicClock",
    "NoReplicas",
    "Overloaded",
    "Refused",
    "RegistryError",
    "Rejected",
    "Reply",
    "ReplyLost",
    "Request",
    "ServiceFailed",
    "Settings",
    "current",
    "read_config",
]
