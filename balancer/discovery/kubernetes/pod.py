"""What a pod is told of its cluster; the one place in the discovery that reads the environment."""

from __future__ import annotations

import os
from pathlib import Path

from .place import POD_FILES, Place, in_pod, parse_kubernetes


def place_of(url: str, folder: Path) -> Place:
    """Where a URL's API server is, from here.

    Args:
        url: see `parse_kubernetes`.
        folder: what relative paths are relative to.

    Raises:
        ConfigError: it reads otherwise, or it is a pod's and this is none.
    """
    try:
        namespace = (POD_FILES / "namespace").read_text(encoding="ascii").strip()
    except OSError:
        namespace = ""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{word}", "") for word in ("HOST", "PORT"))
    return in_pod(parse_kubernetes(url, folder), host, port, namespace)
