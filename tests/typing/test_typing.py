"""The types that callers rely on: mypy accepts what is right and refuses what is wrong."""

from __future__ import annotations

import re
from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_REPORTED = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<text>.*)").fullmatch


def test_types(tmp_path: Path) -> None:
    text = (HERE / "refused.py").read_text(encoding="utf-8")
    assert text.startswith("# mypy: ignore-errors\n")
    files = [HERE / "accepted.py", tmp_path / "refused.py"]
    files[1].write_text("\n" + text.partition("\n")[2], encoding="utf-8")
    out, err, _ = api.run(
        [
            f"--config-file={ROOT / 'pyproject.toml'}",
            "--no-pretty",
            "--no-error-summary",
            "--hide-error-codes",
            *map(str, files),
        ]
    )
    assert not err
    reported: dict[int, list[str]] = {}
    for line in out.splitlines():
        found = _REPORTED(line)
        if found is None:
            assert ": note: " in line, line
            continue
        assert found["file"].endswith("refused.py"), line
        reported.setdefault(int(found["line"]), []).append(found["text"])
    lines = files[1].read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        code, mark, wanted = line.partition("  # E: ")
        texts = reported.pop(number, [])
        assert bool(mark) == bool(texts), f"line {number}: {code.strip()} -> {texts}"
        assert not mark or any(wanted in text for text in texts), f"line {number}: {texts}"
    assert not reported
