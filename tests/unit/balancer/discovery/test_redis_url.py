"""What redis:// and redis+sentinel:// URLs say, and what they never show."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from balancer import ConfigError
from balancer.discovery import Registry, RegistrySettings, open_registry
from balancer.discovery.redis import parse_redis, read_password


def test_the_least_that_a_url_says() -> None:
    url = parse_redis("redis://cache.example.com")
    assert url.hosts == (("cache.example.com", 6379),)
    assert (url.user, url.password, url.database, url.prefix) == ("", "", 0, "txmesh")
    assert url.shown == "redis://cache.example.com:6379/0"


def test_all_that_a_url_says() -> None:
    url = parse_redis("redis://me:p%40ss%3A%2F@[::1]:7000/3?prefix=other")
    assert url.hosts == (("::1", 7000),)
    assert (url.user, url.password) == ("me", "p@ss:/")
    assert (url.database, url.prefix) == (3, "other")
    assert url.shown == "redis://[::1]:7000/3?prefix=other"
    assert parse_redis("redis://:secret@[::1]/").hosts == (("::1", 6379),)
    assert parse_redis("redis://:a@b@host").password == "a@b"


def test_sentinels() -> None:
    url = parse_redis("redis+sentinel://:pw@a:1,b,c:3/mymaster/2")
    assert url.hosts == (("a", 1), ("b", 26379), ("c", 3))
    assert (url.master, url.database, url.password) == ("mymaster", 2, "pw")
    assert url.shown == "redis+sentinel://a:1,b:26379,c:3/mymaster/2"
    assert parse_redis("redis+sentinel://a/m").master == "m"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redis://", "the server is host"),
        ("redis://:s3cret@", "the server is host"),
        ("redis://:s3cret@host:99999", "the server is host"),
        ("redis://:s3cret@a,b", "the server is host"),
        ("redis://:s3cret@host/first", "number of a database"),
        ("redis://:s3cret@host/1/2", "number of a database"),
        ("redis://:s3cret@host?prefx=a", "no options but prefix and password_file"),
        ("redis://:s3cret@host?prefix=a:b", "prefix takes letters"),
        ("redis://:s3cret@host?password_file=x", "not both"),
        ("redis://me@host", "a user needs a password"),
        ("redis+sentinel://:s3cret@a:1,b:2", "the name of the master"),
        ("redis+sentinel://:s3cret@a:1,b:2/my master", "the name of the master"),
        ("redis+sentinel://:s3cret@a:1,,b:2/mymaster", "the Sentinels are host:port"),
        ("redis+sentinel://:s3cret@a:1/mymaster/x", "number of a database"),
    ],
)
def test_a_url_that_is_none_is_refused_with_an_example(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_redis(text)
    assert ", such as redis" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["redis://:s3cret@a:1/0", "redis+sentinel://me:s3cret@a:1/m?prefix=p"]
)
def test_a_password_is_never_shown(url: str, tmp_path: Path) -> None:
    parsed = parse_redis(url)
    registry = opened(url, tmp_path)
    for text in (repr(parsed), str(parsed), f"{[parsed]}", parsed.shown, registry.url):
        assert "s3cret" not in text


def opened(url: str, folder: Path) -> Registry:
    return open_registry(
        RegistrySettings(url=url), folder, reactor=None, clock=Clock(), rng=random.Random(1)
    )


def test_nothing_is_done_before_the_first_use(tmp_path: Path) -> None:
    clock = Clock()
    settings = RegistrySettings(url="redis://127.0.0.1:1")
    registry = open_registry(settings, tmp_path, reactor=None, clock=clock, rng=random.Random(1))
    assert registry.age_s() is None
    registry.close()
    assert clock.getDelayedCalls() == []


def test_a_misspelt_scheme_does_not_show_the_password_behind_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'redsi:\.\.\.' is not understood.*redis://"):
        opened("redsi://me:s3c/r@et@host", tmp_path)


def test_the_password_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" with spaces \n")
    url = parse_redis("redis://me@host?password_file=secret")
    assert read_password(url, tmp_path).password == " with spaces "
    assert read_password(parse_redis("redis://:x@host"), tmp_path).password == "x"
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(ConfigError, match="secret is empty"):
        read_password(url, tmp_path)
    (tmp_path / "secret").unlink()
    with pytest.raises(ConfigError, match=r"secret cannot be read \(No such file.*password_file="):
        read_password(url, tmp_path)


PIECES = ["redis", "rediss", "redis+sentinel", ":", "/", "//", "://", "@", "?", ",", "me", "host"]
PIECES += ["6379", "prefix=", "x=", "/m", "", "[", "]", "%", "#", "&"]


def test_no_broken_url_shows_its_secret(tmp_path: Path) -> None:
    rng = random.Random(7)
    refused = 0
    for _ in range(5000):
        url = "".join(
            [
                rng.choice(["redis", "redis+sentinel", "redsi", "file", ""]),
                rng.choice([":", ":/", "://", "://:", "://me:", ""]),
                *rng.choices(PIECES, k=rng.randrange(3)),
                rng.choice("?@/:,"),
                rng.choice(["s3cret", "s3cret@host", "s3cret?x@host:1", "s3cret/@host,"]),
                *rng.choices(PIECES, k=rng.randrange(4)),
            ]
        )
        try:
            if not url.startswith("file:"):
                opened(url, tmp_path)
        except ConfigError as error:
            refused += 1
            assert "s3cret" not in str(error), url
    assert refused > 1000


@pytest.mark.parametrize("url", ["redis:me:s3cret@host:6379", "redis:/me:s3cret@host"])
def test_a_url_without_its_slashes_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'redis://\.\.\.': two slashes"):
        opened(url, tmp_path)


def test_a_question_mark_in_a_password_is_told_of() -> None:
    with pytest.raises(ConfigError, match="%3F"):
        parse_redis("redis://:pa?ss@host")
