"""``txmesh call``: one call, typed by hand."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from balancer import CallError
from clients import Mesh
from clients.contract import Call, CallOptions

from .arguments import read_message
from .catalogue import Catalogue
from .faults import Misused, call_failure
from .options import config_option, deadline_option, json_option, open_config
from .output import console, write_json
from .reports import error_report
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
@config_option
@json_option
def call(
    service: str | None,
    operation: str | None,
    fields: tuple[str, ...],
    deadline_s: float | None,
    key: str | None,
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

    Exits with 1 when the call was rejected or failed (with --json its {"error": ...} is printed),
    with 2 when it was not understood.
    """
    file = open_config(config)
    declared = Catalogue(file).call(service, operation)
    message = read_message(declared, fields)
    options = call_options(declared, deadline_s, key)

    async def work(reactor: Any) -> int:
        mesh = Mesh(file, caller="txmesh-call", reactor=reactor)
        try:
            answer = await mesh.carry(declared, message, options)
        except CallError as error:
            if as_json:
                write_json({"error": error_report(error)})
            raise call_failure(f"{declared.service}.{declared.name}", error) from None
        finally:
            mesh.close()
        if as_json:
            write_json(answer)
        else:
            console().print_json(msgspec.json.encode(answer).decode("utf-8"), ensure_ascii=False)
        return 0

    return run(work)


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
