"""The `txmesh` command: bring a mesh up, call it, look at it, load it, read its configuration.

One module a subcommand; what they share stands beside them: `catalogue` (which services there are),
`arguments` (texts to messages), `probe` (how a replica is), `supervisor` (child processes).
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its status."""
    from .command import run_command  # noqa: PLC0415 - a front door that costs nothing to open

    sys.exit(run_command(sys.argv[1:]))


__all__ = ["main"]
