"""``txmesh config``: what is in force, and what each key means."""

from __future__ import annotations

import random
import re

import click
import msgspec
from twisted.internet.task import Clock

from balancer import Settings
from balancer.discovery import RegistrySettings, open_registry
from services.kit.settings import SECTION_KINDS

from .catalogue import Catalogue
from .faults import say
from .options import config_option, json_option, open_config
from .output import write_json
from .toml import document

# Between the user's name and the host.
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")


@click.command("config", short_help="Print or check the configuration in force.")
@click.option("--check", is_flag=True, help="Print nothing of it; only say whether it is right.")
@config_option
@json_option
def config(config: str | None, check: bool, as_json: bool) -> int:
    """Print the configuration in force, with every default, as TOML.

    Each key stands under a comment that says what it means; what is printed can be used as a
    configuration itself.

    \b
    Examples:
      txmesh config > mesh.toml             a file to begin with
      txmesh config --config mesh.toml      what that file amounts to
      txmesh config --config mesh.toml --check

    Exits with 1 when the file cannot be used; the line says where and why.
    """
    file = open_config(config)
    catalogue = Catalogue(file)
    for name in catalogue.services:
        catalogue.contract(name)
    sections = {name: file.section(name, kind) for name, kind in SECTION_KINDS.items()}
    # Its URL is read only when it is opened; nothing is connected or waited for by that alone.
    registry = file.section("registry", RegistrySettings)
    open_registry(
        registry,
        file.folder,
        reactor=None,
        clock=Clock(),
        rng=random.Random(),  # noqa: S311
    ).close()
    shown = _PASSWORD.sub("***", registry.url)
    if shown != registry.url:
        say("the password in [registry] url is not shown; ?password_file=FILE keeps it elsewhere")
        sections["registry"] = msgspec.structs.replace(registry, url=shown)
    effective: dict[str, Settings | dict[str, Settings]] = {
        **sections,
        "services": dict(catalogue.services),
    }
    if check:
        if as_json:
            write_json({"valid": True})
        else:
            click.echo(f"{config or 'the built-in configuration'} is valid")
    elif as_json:
        write_json(effective)
    else:
        click.echo(document(effective), nl=False)
    return 0
