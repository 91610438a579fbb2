"""The `txmesh` command: bring a mesh up, call it, look at it, load it, read its configuration.

One module a subcommand; what they share stands beside them: `catalogue` (which services there are),
`arguments` (texts to messages), `probe` (how a replica is), `runner` (life under the reactor).
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process, and end the process with its status."""
    try:
        from .command import run_command  # noqa: PLC0415 - a front door that costs nothing to open

        status = run_command(sys.argv[1:])
    except KeyboardInterrupt:
        # Told to stop while it was still loading: whoever did it knows.
        status = 130
    sys.exit(status)


__all__ = ["main"]
