from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from services.kit.storage import fill_empty, make_engine, reading, sample_lines, writing

metadata = sa.MetaData()
things = sa.Table("things", metadata, sa.Column("id", sa.Integer, primary_key=True))


class Thing(msgspec.Struct):
    id: int


def fill(engine: sa.Engine) -> bool:
    with writing(engine) as connection:
        return fill_empty(connection, {things: ({"id": number} for number in range(1200))})


def test_one_of_the_replicas_that_start_together_fills(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    engines = [make_engine(path) for _ in range(4)]
    with writing(engines[0]) as connection:
        metadata.create_all(connection)
    with ThreadPoolExecutor(4) as threads:
        filled = list(threads.map(fill, engines))
    assert sorted(filled) == [False, False, False, True]
    with reading(engines[0]) as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(things))
        assert rows.scalar_one() == 1200
    for engine in engines:
        engine.dispose()


def test_a_store_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "a.sqlite")
    with writing(engine) as connection:
        metadata.create_all(connection)
        connection.execute(things.insert().values(id=7))
    assert not fill(engine)
    engine.dispose()


def test_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shop_of_a_test" / "sample"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "things.jsonl").write_text('{"id": 1}\n{"id": "two"}\n', encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    lines = sample_lines("shop_of_a_test", "things.jsonl", Thing)
    assert next(lines) == Thing(1)
    with pytest.raises(ValueError, match=r"shop_of_a_test sample/things.jsonl, line 2: .*`int`"):
        next(lines)


def test_lines_part_at_newlines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shop_of_another" / "sample"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    text = json.dumps({"name": "next\u2028line"}, ensure_ascii=False)
    (folder / "things.jsonl").write_text(text + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert list(sample_lines("shop_of_another", "things.jsonl", dict)) == [
        {"name": "next\u2028line"}
    ]
