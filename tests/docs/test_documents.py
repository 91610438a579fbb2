"""What the documents show is what happens: their commands and code are run, their tables compared."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.threads import deferToThread

from tests.processes import ROOT
from tests.txmesh import Up, txmesh

README = (ROOT / "README.md").read_text()
USER = "u_22yuwt6yiuetv5zn"


def test_the_configuration_page_shows_the_defaults_in_force(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    shown = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    printed = txmesh(tmp_path, "config").stdout.strip()
    assert printed == shown[1].strip(), "put what `txmesh config` prints into the page"


def test_every_link_between_the_documents_leads_somewhere() -> None:
    documents = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_readme_names_every_room() -> None:
    rooms = README[README.index("## The rooms") :]
    for package in ("balancer", "clients", "services"):
        for path in (ROOT / package).iterdir():
            if (path.is_dir() and (path / "__init__.py").exists()) or (
                path.suffix == ".py"
                and path.stem not in ("__init__", "packages", "refusal", "fields")
            ):
                assert re.search(rf"\b{path.stem}\b", rooms), f"{package}/{path.name}"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.mark.xdist_group("ops")
async def test_the_readme_s_commands_and_code_work_as_they_stand(folder: Path) -> None:
    lines = re.findall(r"^    \.venv/bin/txmesh (.*)$", README, re.MULTILINE)
    assert len(lines) >= 4
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (folder / "mesh.toml").write_text("")
    with Up(folder) as up:
        up.status()
        for line in lines:
            words = shlex.split(line.replace("--duration 20", "--duration 2"))
            done = await deferToThread(txmesh, folder, *words)
            assert done.returncode == 0, f"{line}: {done.stderr}"
        names: dict[str, Any] = {}
        exec(blocks[0], names)
        try:
            assert await names["show"](USER) == "Orla O'Sullivan"
            body = blocks[1].replace("\n", "\n    ")
            exec(f"async def plain_treq():\n    {body}\n    return response", names)
            response = await names["plain_treq"]()
            assert response.code == 200
            assert (await response.json())["id"] == USER
        finally:
            names["mesh"].close()


@pytest.mark.xdist_group("ops")
async def test_the_service_of_the_how_to_works_as_it_is_shown(folder: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-service.md").read_text()
    shown = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", page, re.DOTALL)
    assert len(shown) == 7
    for name, text in shown:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        # What is shown of a file later stands further down in it.
        with (folder / name).open("a") as file:
            file.write(text)
    env = {**os.environ, "PYTHONPATH": str(folder)}
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio"]
    tested = await deferToThread(
        subprocess.run,
        [sys.executable, "-m", "pytest", *options, "test_notes.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stdout
    lines = re.findall(r"^    txmesh (call .*)$", page, re.MULTILINE)
    assert len(lines) == 2
    with Up(folder, "--config", "mesh.toml", "notes") as up:
        up.status()
        for line in lines:
            done = await deferToThread(txmesh, folder, *shlex.split(line))
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert '"Buy milk"' in done.stdout
