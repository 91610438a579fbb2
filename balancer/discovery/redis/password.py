"""The password that stands in a file beside the configuration, not in it."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from ...errors import ConfigError
from .url import RedisUrl


def read_password(url: RedisUrl, folder: Path) -> RedisUrl:
    """Complete a URL that names a file.

    Args:
        url: with or without one.
        folder: what a relative path is relative to.

    Returns:
        The URL with the password; the file's line ends are no part of it.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if not url.password_file:
        return url
    path = folder / url.password_file
    try:
        password = path.read_text("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"registry url {url.shown!r}: the password file {path} cannot be read ({why}); "
            "give another with ?password_file=PATH"
        ) from None
    if not password:
        raise ConfigError(f"registry url {url.shown!r}: the password file {path} is empty")
    return replace(url, password=password)
