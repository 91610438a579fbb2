"""``txmesh call``: one call, typed by hand."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click
import msgspec

from balancer import CallError
from balancer.telemetry import DecisionSettings
from clients import Mesh
from clients.contract import Call, CallOptions, Message

from .arguments import read_message
from .catalogue import Catalogue
from .explain import explain, show
from .faults import Misused, call_failure
from .options import config_option, deadline_option, json_option, open_config
from .output import console, write_json
from .reports import ExplainReport, error_report
from .runner import run


@click.command("call", short_help="Make one call and print its answer.")
@click.argument("service", required=False)
@click.argument("operation", required=False)
@click.argument("fields", nargs=-1, metavar="[KEY=VALUE]...")
@deadline_option
@click.option(
    "--key",
    metavar="KEY",
    help="The Idempotency-Key: the same key again gives the same effect and answer.",
)
@click.option(
    "--explain",
    "explained",
    is_flag=True,
    help="Print also which replicas there were, which was picked and why, and what became of it.",
)
@click.option(
    "--warm",
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="N",
    help="With --explain: make the call N times before, so that the balancer knows the replicas; "
    "only where that is harmless.",
)
@config_option
@json_option
def call(
    service: str | None,
    operation: str | None,
    fields: tuple[str, ...],
    deadline_s: float | None,
    key: str | None,
    explained: bool,
    warm: int,
    config: str | None,
    as_json: bool,
) -> int:
    """Call OPERATION of SERVICE and print its answer.

    The fields are those of the contract, checked before anything is sent. Lists and objects are
    JSON. A wrong SERVICE, OPERATION or field is told together with those that there are.

    \b
    Examples:
      txmesh call products fetch sku=BDAY-00007
      txmesh call users find email=gemma06@example.com --json
      txmesh call users create name="Ada Lovelace" email=ada@example.com site=greetwell --key a1
      txmesh call greetings send sender=u_... sku=BDAY-00007 site=greetwell message=Hi \\
          recipients='[{"name": "Bo", "email": "bo@example.com"}]'
      txmesh call products fetch sku=BDAY-00007 --explain --warm 50

    With --explain, --json prints {"answer": ..., "explain": ...}. Exits with 1 when the call was
    rejected or failed (with --json its {"error": ...} is printed), with 2 when it was not
    understood.
    """
    file = open_config(config)
    declared = Catalogue(file).call(service, operation)
    message = read_message(declared, fields)
    options = call_options(declared, deadline_s, key)
    check_warm(declared, warm, explained=explained)

    async def work(reactor: Any) -> int:
        sampling = DecisionSettings(every=1) if explained else None
        mesh = Mesh(file, caller="txmesh-call", decisions=sampling, reactor=reactor)
        answer, failed = None, None
        try:
            for _ in range(warm):
                with suppress(CallError):
                    await mesh.carry(declared, message, options)
            answer = await mesh.carry(declared, message, options)
        except CallError as error:
            failed = error
        finally:
            mesh.close()
        explanation = explain(mesh.decisions()) if explained else None
        if as_json:
            write_json(_document(answer, failed, explanation))
        else:
            screen = console()
            if failed is None:
                screen.print_json(msgspec.json.encode(answer).decode("utf-8"), ensure_ascii=False)
            if explanation is not None:
                screen.print()
                show(explanation, screen, may_warm=declared.idempotent and not warm)
        if failed is not None:
            raise call_failure(f"{declared.service}.{declared.name}", failed)
        return 0

    return run(work)


def _document(
    answer: Message | None, failed: CallError | None, explanation: ExplainReport | None
) -> Any:
    """What ``--json`` prints."""
    if failed is None and explanation is None:
        return answer
    ended: dict[str, Any] = (
        {"answer": answer} if failed is None else {"error": error_report(failed)}
    )
    return ended if explanation is None else {**ended, "explain": explanation}


def check_warm(declared: Call[Any, Any, Any], warm: int, *, explained: bool) -> None:
    """Check that a call may be made some times before.

    Raises:
        Misused: it may not, or it would be for nothing.
    """
    if warm and not explained:
        raise Misused("--warm is for --explain alone: without it nothing is seen of it")
    if warm and not declared.idempotent:
        raise Misused(
            f"{declared.service}.{declared.name} is not harmless to repeat, so it takes no --warm"
        )


def call_options(
    declared: Call[Any, Any, Any], deadline_s: float | None, key: str | None
) -> CallOptions:
    """What is said of a call beyond its message.

    Raises:
        Misused: a key that cannot be sent, or for an operation that takes none.
    """
    if key is not None:
        if not declared.keyed:
            raise Misused(
                f"{declared.service}.{declared.name} takes no --key: it is "
                f"{'harmless to repeat' if declared.idempotent else 'not declared as keyed'}"
            )
        if not (0 < len(key) <= 255 and all("!" <= letter <= "~" for letter in key)):
            raise Misused("--key must be 1 to 255 visible ASCII characters, without spaces")
    return CallOptions(deadline_s=deadline_s, idempotency_key=key)
