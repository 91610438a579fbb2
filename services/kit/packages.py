"""The start of the check that txmesh's packages are txmesh's own; see `clients.packages`.

`clients` checks the others, and cannot speak where another package of its name is found first. This
one is read before it. That `services` is ours needs no check here: this is it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def check_clients() -> None:
    """Check where `clients` would be imported from.

    Raises:
        ImportError: it would be another folder's, or is missing; the message says what to do.
    """
    ours = Path(__file__).resolve().parents[2] / "clients"
    spec = find_spec("clients")
    found = Path(spec.origin).resolve().parent if spec is not None and spec.origin else None
    if found != ours:
        raise ImportError(
            f"the package 'clients' resolves to {found or 'nothing'}, not to txmesh's own {ours}: "
            "another package of that name comes first on sys.path; rename that one, or start "
            "Python where it is not on the path"
        )
