"""The example of a service of one's own: run as its README says, from its own folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.processes import ROOT, children


async def test_the_example_runs_as_its_readme_says(tmp_path: Path, monkeypatch: object) -> None:
    import sys

    from balancer import Rejected
    from clients import Mesh

    folder = tmp_path / "hello"
    shutil.copytree(ROOT / "examples" / "hello", folder, ignore=shutil.ignore_patterns(".mesh"))
    monkeypatch.syspath_prepend(str(folder))  # type: ignore[attr-defined]
    from hello.contract import Hello

    with children(folder, path=folder) as start:
        for name in ("hello-1", "hello-2"):
            await start("hello", name, "--config", "mesh.toml").ready()
        mesh = Mesh(folder / "mesh.toml")
        try:
            hello = mesh.client(Hello)
            greeting = await hello.greet(name="Ada & Bob/é")
            assert greeting.text == "Hello, Ada & Bob/é!"
            try:
                await hello.greet(name="x" * 101)
            except Rejected as error:
                assert error.status == 422
                assert "name" in error.detail
            else:
                raise AssertionError("a name of 101 letters was taken")
            assert len(mesh.fleet("hello").available) == 2
        finally:
            mesh.close()
            sys.modules.pop("hello", None)
            sys.modules.pop("hello.contract", None)
