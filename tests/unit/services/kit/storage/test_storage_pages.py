from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit import Problem
from services.kit.storage import Int64, cut, read_cursor, write_cursor

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.integers(-(2**63), 2**63 - 1), texts)
def test_a_cursor_comes_back(number: int, text: str) -> None:
    assert read_cursor(write_cursor((number, text)), tuple[Int64, str]) == (number, text)


@given(texts)
def test_a_cursor_can_stand_in_a_query_string(text: str) -> None:
    cursor = write_cursor((text,))
    assert cursor.isascii()
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_no_cursor_is_the_first_page() -> None:
    assert read_cursor(None, tuple[str]) is None


@given(st.one_of(st.text(), st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode())))
def test_anything_else_is_refused_as_such(cursor: str) -> None:
    try:
        key = read_cursor(cursor, tuple[Int64, str])
    except Problem as problem:
        assert (problem.status, problem.type) == (400, "bad-cursor")
    else:
        # By chance it is one: then it is read as what it says.
        assert read_cursor(write_cursor(key), tuple[Int64, str]) == key


@pytest.mark.parametrize("key", [("a", "b"), (1,), (2**63, "a"), (1.5, "a"), [None, "a"], 7])
def test_the_cursor_of_another_list_is_refused(key: object) -> None:
    with pytest.raises(Problem):
        read_cursor(write_cursor(key), tuple[Int64, str])


@pytest.mark.parametrize(
    ("rows", "page", "more"), [([], [], False), ([1, 2], [1, 2], False), ([1, 2, 3], [1, 2], True)]
)
def test_cut(rows: list[int], page: list[int], *, more: bool) -> None:
    listed, following = cut(rows, 2, lambda row: (row,))
    assert listed == page
    assert following == (write_cursor((page[-1],)) if more else None)
