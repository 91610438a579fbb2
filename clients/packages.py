"""A check that the three flat packages are this distribution's.

They are named ``balancer``, ``clients`` and ``services``, and an application may own a package of
such a name. Python would then take whichever comes first on its path, and fail far away from the
cause; this says it plainly.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def check_package(name: str) -> None:
    """Check where a package would be imported from.

    Args:
        name: "balancer", "clients" or "services".

    Raises:
        ImportError: it would be another folder's, or is missing; the message says what to do.
    """
    ours = Path(__file__).resolve().parent.parent / name
    spec = find_spec(name)
    found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
    if found != ours:
        raise ImportError(
            f"the package {name!r} resolves to {found or 'nothing'}, not to txmesh's own {ours}: "
            "another package of that name comes first on sys.path; rename that one, or start "
            "Python where it is not on the path"
        )
