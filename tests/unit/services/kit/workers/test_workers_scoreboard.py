"""Who has how many connections, and who takes the next."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.workers.messages import Ask, Drain, Lines, ToWorker, decode_to_worker, encode_line
from services.kit.workers.scoreboard import ROWS, Row, Scoreboard


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    made = Scoreboard()
    yield made
    os.close(made.descriptor)


def serving(board: Scoreboard, *counts: int) -> list[Row]:
    rows = [board.row(number) for number in range(len(counts))]
    for row, count in zip(rows, counts, strict=True):
        row.serve()
        row.connected(count)
    return rows


def test_a_worker_yields_to_one_that_has_fewer(board: Scoreboard) -> None:
    more, fewer = serving(board, 3, 2)
    assert more.yields()
    assert not fewer.yields()
    fewer.connected(3)
    assert not more.yields()


def test_nobody_yields_to_one_that_does_not_serve(board: Scoreboard) -> None:
    alone, dead = serving(board, 3, 0)
    assert alone.yields()
    dead.clear()
    assert not alone.yields()
    dead.connected(1)  # one that drains still counts what it has
    assert not alone.yields()
    assert alone.surplus() == 0


@pytest.mark.parametrize(
    ("counts", "surplus"),
    [((4, 0), 2), ((3, 2), 0), ((1, 0), 0), ((5,), 0), ((20, 20, 2), 6), ((105, 100), 0)],
)
def test_a_surplus_is_what_is_above_the_mean(
    board: Scoreboard, counts: tuple[int, ...], surplus: int
) -> None:
    assert serving(board, *counts)[0].surplus() == surplus


def test_loads_are_exchanged_with_those_that_drain_too(board: Scoreboard) -> None:
    one, other = serving(board, 0, 0)
    assert one.elsewhere(3) == 0
    assert other.elsewhere(4) == 3
    other.clear()
    other.elsewhere(2)
    assert one.elsewhere(3) == 2


def test_processes_see_the_same_page(board: Scoreboard) -> None:
    serving(board, 1)
    again = Scoreboard(os.dup(board.descriptor))
    mine = again.row(ROWS - 1)
    mine.serve()
    mine.connected(2)
    assert mine.yields()
    os.close(again.descriptor)


@given(st.lists(st.integers(1, 40)))
def test_messages_come_whole_however_the_pipe_cuts_them(cuts: list[int]) -> None:
    sent: list[ToWorker] = [Ask(1, "samples"), Drain(3.0, 1.0, leaving=False), Ask(2, "decisions")]
    stream = b"".join(encode_line(message) for message in sent)
    lines = Lines()
    received = []
    for cut in [*cuts, len(stream)]:
        received += [decode_to_worker(line or b"") for line in lines.feed(stream[:cut])]
        stream = stream[cut:]
    assert received == sent
