"""Leases, changes and locks in Redis, alone or under Sentinels: a registry for many machines."""

from .password import read_password
from .registry import RedisRegistry
from .url import SCHEMES, RedisUrl, parse_redis

__all__ = ["SCHEMES", "RedisRegistry", "RedisUrl", "parse_redis", "read_password"]
