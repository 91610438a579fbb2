"""The command line as a whole: its subcommands, and how each way of failing is told."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import click

from balancer import MeshError

from .call import call
from .catalogue import did_you_mean
from .config import config
from .faults import FAILED, INTERRUPTED, MISUSED, Failed, Misused, say
from .fleet import replace
from .load import load
from .runner import install_reactor
from .simulate import simulate
from .status import status
from .up import up


class _Commands(click.Group):
    """A group that guesses what a misspelt subcommand was meant to be."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise Misused(f"there is no command {name!r}; {did_you_mean(name, self.commands)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="txmesh", prog_name="txmesh", message="%(prog)s %(version)s")
def commands() -> None:
    """Run, call and look at a mesh of services.

    \b
    Begin with
      txmesh up          three services, two replicas each, on this machine
    and in another terminal
      txmesh status      which replicas there are
      txmesh call users find email=gemma06@example.com
      txmesh load products search text=sun --rate 200 --duration 10
      txmesh replace users --version 2
    and with no mesh at all
      txmesh simulate    the balancer in virtual time

    Each command takes --json for JSON alone on standard output, and all but simulate take
    --config FILE. Each exits with 0 only when what it was asked for is done: 1 says it was not,
    2 that it was not understood.
    """


for _command in (up, call, status, load, replace, simulate, config):
    commands.add_command(_command)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: without the program's own name.

    Returns:
        The exit status.
    """
    if sys.stdout is None or sys.stderr is None:
        return FAILED  # closed by whoever started us: there is nowhere to say so
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter gets its number.
            stream.reconfigure(errors="backslashreplace")
    install_reactor()
    try:
        result = commands.main(list(arguments), prog_name="txmesh", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - people get a line, whatever it is
        return _tell(error)
    # Where click itself has answered (--help, --version) there is no number of ours.
    return result if isinstance(result, int) else 0


def _tell(error: Exception) -> int:
    """Tell of a failure on standard error.

    Returns:
        The exit status that it makes.
    """
    match error:
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return error.exit_code
        case click.ClickException():
            say(_with_hint(error))
            return error.exit_code
        case click.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            # Whoever read our output has enough; without this Python complains at its end.
            sys.stdout = None
        case OSError():
            say(f"its output or a file cannot be written or read: {error.strerror or error}")
        case Misused():
            say(error)
            return MISUSED
        case Failed() | MeshError():
            say(error)
        case _:
            kind = type(error).__name__
            say(f"unexpected {kind}: {error} (at {_place(error)}); please report this")
    return FAILED


def _with_hint(error: click.ClickException) -> str:
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    # Faults of our own say what to do; click's speak of the command line's form alone.
    if context is not None and not isinstance(context.command, click.Group):
        return f"{text}; see {context.command_path} --help"
    return text


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
