"""What is kept in Redis, and the scripts that keep it.

Of each service (all keys begin with the prefix, ``txmesh:`` here)::

    txmesh:services             hash    service -> how often it has changed: its version
    txmesh:endpoints:SERVICE    hash    replica -> its `Endpoint` as JSON
    txmesh:owners:SERVICE       hash    replica -> the token of the lease that entered it
    txmesh:ends:SERVICE         zset    replica -> when its lease ends (ms, by the server's clock)
    txmesh:epoch                        drawn anew when the database was emptied
    txmesh:lock:NAME            with a time to live; txmesh:note:NAME without

A full read is one hash. The ends are a sorted set, not a time to live on a key of each replica:
Redis tells nobody reliably that a key has expired, but whoever looks finds the ended leases of a
thousand in one step, takes them out and publishes that to all. So a death is seen by everybody when
the lease ends, and renewing one costs no message at all.

Each change adds one to the service's version and is published with it, on
``txmesh:changes:DATABASE:SERVICE`` (channels know no databases). Who has version 7 and hears of 9
has missed something, and reads anew.

Each script is atomic, so that version, change and message always agree. They find their keys
themselves, which a Redis Cluster would not allow. A reply of many parts is one text: parsing
one text of 300 KiB costs a fraction of parsing a thousand short ones.
"""

from __future__ import annotations

from typing import Final

# What a service leaves behind goes when so long (ms) nobody has renewed anything or looked.
_FORGET_MS = 3_600_000

_HEAD: Final = """
local prefix, database = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local services = prefix .. ':services'

local function key(kind, name)
  return prefix .. ':' .. kind .. ':' .. name
end

local function version(service)
  return redis.call('HGET', services, service) or '0'
end

local function changed(service, change)
  local number = redis.call('HINCRBY', services, service, 1)
  redis.call('PUBLISH', key('changes:' .. database, service),
    '{"version":' .. number .. ',' .. change .. '}')
end

local function remove(service, replicas)
  for _, replica in ipairs(replicas) do
    redis.call('HDEL', key('endpoints', service), replica)
    redis.call('HDEL', key('owners', service), replica)
    redis.call('ZREM', key('ends', service), replica)
  end
  changed(service, '"left":' .. cjson.encode(replicas))
end

local function sweep(service)
  local dead = redis.call('ZRANGEBYSCORE', key('ends', service), '-inf', now)
  if #dead > 0 then
    remove(service, dead)
  end
end
"""

# Enter a replica, renew its lease or change what is told of it: whichever it takes.
# ARGV: service, replica, owner, time to live (ms), endpoint.
# 0, or for how many ms more another living replica has the name.
KEEP: Final = (
    _HEAD
    + """
local service, replica, owner, ttl = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local endpoints, owners = key('endpoints', service), key('owners', service)
local ends = key('ends', service)
local held = redis.call('HGET', owners, replica)
if held and held ~= owner then
  local rest = tonumber(redis.call('ZSCORE', ends, replica) or 0) - now
  if rest > 0 then
    return math.ceil(rest)
  end
end
redis.call('ZADD', ends, now + ttl, replica)
if held ~= owner then
  redis.call('HSET', owners, replica, owner)
end
if redis.call('HGET', endpoints, replica) ~= ARGV[5] then
  redis.call('HSET', endpoints, replica, ARGV[5])
  changed(service, '"entered":' .. ARGV[5])
end
for _, each in ipairs({endpoints, owners, ends}) do
  redis.call('PEXPIRE', each, ttl + """
    + str(_FORGET_MS)
    + """)
end
return 0
"""
)

# ARGV: service, replica, owner. Takes the replica out, if the lease is still the owner's.
LEAVE: Final = (
    _HEAD
    + """
if redis.call('HGET', key('owners', ARGV[1]), ARGV[2]) == ARGV[3] then
  remove(ARGV[1], {ARGV[2]})
end
return 0
"""
)

# ARGV: service. A line with its version, then one for each endpoint.
READ: Final = (
    _HEAD
    + """
sweep(ARGV[1])
local lines = redis.call('HVALS', key('endpoints', ARGV[1]))
table.insert(lines, 1, version(ARGV[1]))
return table.concat(lines, '\\n')
"""
)

# A line for each endpoint of all services.
ALL: Final = (
    _HEAD
    + """
local lines = {}
for _, service in ipairs(redis.call('HKEYS', services)) do
  sweep(service)
  for _, line in ipairs(redis.call('HVALS', key('endpoints', service))) do
    table.insert(lines, line)
  end
end
return table.concat(lines, '\\n')
"""
)

# ARGV: a token, and the services that are followed. The epoch and each one's version. It writes, so
# that it fails on a server that is no master any more.
BEAT: Final = (
    _HEAD
    + """
redis.call('SET', prefix .. ':epoch', ARGV[1], 'NX')
local words = {redis.call('GET', prefix .. ':epoch')}
for number = 2, #ARGV do
  sweep(ARGV[number])
  table.insert(words, version(ARGV[number]))
end
return table.concat(words, ' ')
"""
)

# ARGV: lock, what stands in it while it is held, time to live (ms).
# The note of the last holder, after a "+"; "" when another holds the lock.
TAKE: Final = (
    _HEAD
    + """
if not redis.call('SET', key('lock', ARGV[1]), ARGV[2], 'NX', 'PX', ARGV[3]) then
  return ''
end
return '+' .. (redis.call('GET', key('note', ARGV[1])) or '')
"""
)

# ARGV: lock. What stands in it; "" when nobody holds it.
HELD: Final = (
    _HEAD
    + """
return redis.call('GET', key('lock', ARGV[1])) or ''
"""
)

# ARGV: lock, what stands in it, time to live (ms). 1, or 0 when it is not held any more.
HOLD: Final = (
    _HEAD
    + """
if redis.call('GET', key('lock', ARGV[1])) ~= ARGV[2] then
  return 0
end
return redis.call('PEXPIRE', key('lock', ARGV[1]), ARGV[3])
"""
)

# ARGV: lock, what stands in it, and the note if there is one. 1, or 0 when it was held no more.
RELEASE: Final = (
    _HEAD
    + """
if redis.call('GET', key('lock', ARGV[1])) ~= ARGV[2] then
  return 0
end
if ARGV[3] then
  redis.call('SET', key('note', ARGV[1]), ARGV[3])
end
return redis.call('DEL', key('lock', ARGV[1]))
"""
)


def channel(prefix: str, database: int, service: str) -> str:
    """Where changes of a service are published."""
    return f"{prefix}:changes:{database}:{service}"
