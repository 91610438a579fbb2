"""The HTTP server: a port that serves a site of routes, with a limit and a time for everything."""

from ..answer import Answer, answer_head
from .peers import Peers
from .server import Server
from .settings import ServerSettings
from .site import Incoming, Route, RouteStats, Site

__all__ = [
    "Answer",
    "Incoming",
    "Peers",
    "Route",
    "RouteStats",
    "Server",
    "ServerSettings",
    "Site",
    "answer_head",
]
