from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.discovery.kubernetes.lines import LONGEST_BYTES, Lines


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.data())
def test_lines_are_whole_however_they_were_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"the rest"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter, found = Lines(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(splitter.feed(stream[start:end]))
    assert found == [line for line in lines if line.strip()]


def test_a_line_without_an_end_is_given_up() -> None:
    splitter = Lines()
    assert list(splitter.feed(b"x" * LONGEST_BYTES)) == []
    with pytest.raises(ValueError, match="is longer than"):
        list(splitter.feed(b"x"))
