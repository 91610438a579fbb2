"""Where a replica's code and its Python come from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from services.ops.code import find_code, module_path, twistd
from services.ops.faults import Failed


def with_environment(folder: Path) -> Path:
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "twistd").write_text("")
    return folder


def test_twistd_is_run_by_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert twistd()[0] == sys.executable
    assert twistd(tmp_path) == twistd()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert twistd()[1:3] == ["-P", "-c"]
    (tmp_path / "twistd").write_text("")
    assert twistd()[1:] == [str(tmp_path / "twistd")]


def test_a_folder_with_an_environment_brings_its_own_python(tmp_path: Path) -> None:
    programs = with_environment(tmp_path) / ".venv" / "bin"
    (programs / "python").symlink_to(sys.executable)
    assert twistd(tmp_path) == [str(programs / "python"), str(programs / "twistd")]


def test_a_folder_is_found_beside_the_configuration_or_by_its_whole_path(tmp_path: Path) -> None:
    release = tmp_path / "releases" / "2"
    (release / "services" / "users").mkdir(parents=True)
    assert find_code(tmp_path, "", "users") is None
    assert find_code(tmp_path, "releases/2", "users") == release
    assert find_code(tmp_path / "releases", "../releases/2", "users") == release
    assert find_code(Path("/"), str(release), "users") == release


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="holds no release with users"):
        find_code(tmp_path, ".", "users")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    with pytest.raises(Failed, match=r"/\.venv has no twistd: install the release there"):
        find_code(tmp_path, ".", "users")
    (tmp_path / ".venv" / "bin" / "twistd").write_text("")
    assert find_code(tmp_path, ".", "users") == tmp_path


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for code in ("file", "none"):
        with pytest.raises(Failed, match=f"there is no folder {tmp_path / code} to run"):
            find_code(tmp_path, code, "users")


def test_code_stands_first_and_the_users_own_last(tmp_path: Path) -> None:
    own = Path("/own")
    given = {"PYTHONPATH": "/a::/b"}
    assert module_path(None, None, {}) is None
    assert module_path(None, None, given) == "/a:/b"
    assert module_path(None, own, given) == "/a:/b:/own"
    assert module_path(tmp_path, own, given) == f"{tmp_path}:/a:/b:/own"
    # What was meant for this Python is kept from another.
    assert module_path(with_environment(tmp_path), own, given) == f"{tmp_path}:/own"
