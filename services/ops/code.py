"""The code that a replica runs: what runs now, or what lies in a folder.

A new release is a folder beside the old one. Where the folder has an environment of its own, even
the interpreter may be another: that is how Python itself is upgraded under running services.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .faults import Failed

_RUN_TWISTD = "from twisted.scripts.twistd import run; run()"


def find_code(folder: Path, code: str, service: str) -> Path | None:
    """The folder that is meant.

    Args:
        folder: what a relative one is relative to.
        code: as it was asked for; "" for what runs now.
        service: which it is to bring.

    Returns:
        The folder, or None for what runs now.

    Raises:
        Failed: there is no such folder, or no release in it: what runs now would run as the new
            version.
    """
    if not code:
        return None
    found = Path(os.path.normpath(folder / code))
    if not found.is_dir():
        raise Failed(
            f"there is no folder {found} to run the code from; name one that holds a release, "
            "or none for what runs now"
        )
    if (found / ".venv").exists():
        if not _has_environment(found):
            raise Failed(
                f"{found}/.venv has no twistd: install the release there, such as with "
                f"{found}/.venv/bin/pip install {found}"
            )
    elif not any((found / place).exists() for place in _places(service)):
        raise Failed(
            f"{found} holds no release with {service}: there is neither a .venv in it nor "
            f"{' nor '.join(_places(service))}"
        )
    return found


def _places(service: str) -> tuple[str, ...]:
    return f"services/{service}", service, f"twisted/plugins/mesh_{service}.py"


def twistd(code: Path | None = None) -> list[str]:
    """How to start ``twistd``: with the folder's own Python, or with this process's.

    Args:
        code: the folder, or None for what runs now.
    """
    if code is not None and _has_environment(code):
        # Its links are not followed: by its own path Python knows which environment it is in.
        programs = code / ".venv" / "bin"
        return [str(programs / "python"), str(programs / "twistd")]
    script = Path(sys.executable).parent / "twistd"
    if script.is_file():
        return [sys.executable, str(script)]
    # -P: as with the script, the working directory is not where modules come from.
    return [sys.executable, "-P", "-c", _RUN_TWISTD]


def module_path(
    code: Path | None, own_folder: Path | None, environment: Mapping[str, str]
) -> str | None:
    """What PYTHONPATH is for a replica; None for none.

    Args:
        code: the folder to run, or None for what runs now.
        own_folder: where the user's own services may lie, or None when there are none.
        environment: this process's.
    """
    given = environment.get("PYTHONPATH", "").split(os.pathsep)
    if code is not None and _has_environment(code):
        # It stands before what is installed, so one that was meant for our Python would bring old
        # code into the new release.
        given = []
    path = [str(code or ""), *given, str(own_folder or "")]
    return os.pathsep.join(filter(None, path)) or None


def _has_environment(code: Path) -> bool:
    return (code / ".venv" / "bin" / "twistd").is_file()
