"""The rule by which a registry is believed: examples, and what holds whatever it says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.discovery.view.belief import FORGET_S, WINDOW_S, Held, Known, believe, confirm
from balancer.values import Endpoint


def endpoint(
    name: int, *, port: int | None = None, pid: int = 1, standby: bool = False
) -> Endpoint:
    return Endpoint(
        service="users",
        replica=f"users-{name}",
        address=f"10.0.0.1:{8000 + (name if port is None else port)}",
        pid=pid,
        standby=standby,
    )


def some(*names: int) -> list[Endpoint]:
    return [endpoint(name) for name in names]


def nobody(_: Endpoint) -> bool:
    return False


def told(*steps: tuple[float, list[Endpoint]]) -> Known:
    """What is known after a registry has told these, each at its instant."""
    known = Known()
    for now, endpoints in steps:
        known = believe(known, endpoints, nobody, now)
    return known


def names(endpoints: Iterable[Endpoint]) -> set[int]:
    return {int(each.replica.rpartition("-")[2]) for each in endpoints}


def test_the_first_word_is_believed_were_it_that_there_is_nobody() -> None:
    assert told((0.0, [])).endpoints() == []
    assert told((0.0, some(1, 2))).endpoints() == some(1, 2)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ((1, 2), (1,), {1}),  # half
        ((1, 2, 3), (1, 2), {1, 2}),
        ((1, 2, 3), (1,), {1, 2, 3}),
        ((1, 2), (), {1, 2}),
        ((1,), (), {1}),
        ((1, 2, 3, 4), (3, 4), {3, 4}),  # two new beside two old, then the old ones go
        ((1, 2), (3, 4), {1, 2, 3, 4}),  # other names, in one step
        ((1, 2, 3, 4), (5,), {1, 2, 3, 4, 5}),
    ],
)
def test_a_step_that_takes_more_than_half_is_held(
    before: tuple[int, ...], after: tuple[int, ...], kept: set[int]
) -> None:
    known = told((0.0, some(*before)), (60.0, some(*after)))
    assert names(known.endpoints()) == kept
    assert names(known.told) == set(after)


def test_a_drop_in_several_quick_steps_comes_no_further() -> None:
    known = told(
        (0.0, some(*range(10))),
        (60.0, some(*range(6))),
        (60.7, some(*range(3))),
        (61.4, []),
    )
    assert names(known.endpoints()) == set(range(6))


def test_the_same_steps_in_their_own_time_are_believed() -> None:
    known = told(
        (0.0, some(*range(10))),
        (60.0, some(*range(6))),
        (60.0 + WINDOW_S, some(*range(3))),
        (60.0 + 2 * WINDOW_S, some(0, 1)),
    )
    assert names(known.endpoints()) == {0, 1}


def test_replicas_that_are_replaced_one_by_one_leave_no_ghosts() -> None:
    steps = [(0.0, some(*range(10)))]
    for number in range(10):
        now = 60.0 + number
        steps.append((now, some(*range(number, number + 11))))
        steps.append((now + 0.05, some(*range(number + 1, number + 11))))
    assert told(*steps).endpoints() == some(*range(10, 20))


def test_who_moves_is_replaced_and_not_held() -> None:
    moved = [endpoint(1, port=91), endpoint(2, port=92)]
    assert told((0.0, some(1, 2)), (1.0, moved)).endpoints() == moved
    again = [endpoint(1, pid=7), endpoint(2, pid=8)]
    assert told((0.0, some(1, 2)), (1.0, again)).endpoints() == again
    other = [endpoint(5, port=1), endpoint(6, port=2)]
    assert told((0.0, some(1, 2)), (1.0, other)).endpoints() == other, "the ports are theirs now"


def test_the_held_that_come_back_or_move_are_held_no_more() -> None:
    known = told((0.0, some(1, 2, 3)), (1.0, []), (2.0, [endpoint(1), endpoint(2, port=92)]))
    assert names(held.endpoint for held in known.held) == {3}
    assert known.told == (endpoint(1), endpoint(2, port=92))
    assert told((0.0, some(1, 2)), (1.0, []), (2.0, some(1, 2))) == Known(told=tuple(some(1, 2)))


def test_who_stands_by_counts_for_nothing() -> None:
    standby = [endpoint(8, standby=True), endpoint(9, standby=True)]
    assert told((0.0, [*some(1), *standby]), (60.0, some(1))).endpoints() == some(1)
    known = told((0.0, [*some(1, 2), *standby]), (60.0, standby))
    assert names(held.endpoint for held in known.held) == {1, 2}
    stepped_back = [endpoint(1, standby=True), endpoint(2, standby=True)]
    assert told((0.0, some(1, 2)), (60.0, stepped_back)).endpoints() == stepped_back


def test_what_calls_have_found_is_no_drop() -> None:
    known = told((0.0, some(1, 2, 3, 4)))
    gone = {1, 2, 3}
    known = believe(known, some(4), lambda each: bool(names([each]) & gone), 60.0)
    assert known == Known(told=tuple(some(4)))


def test_of_those_who_are_left_half_may_go() -> None:
    known = told((0.0, some(*range(10))))
    known = believe(known, some(4, 5, 6), lambda each: names([each]) <= {0, 1, 2, 3}, 60.0)
    assert names(known.endpoints()) == {4, 5, 6}, "3 of 6"
    known = told((0.0, some(*range(10))))
    known = believe(known, some(5, 6), lambda each: names([each]) <= {0, 1, 2, 3}, 60.0)
    assert names(known.endpoints()) == {4, 5, 6, 7, 8, 9}, "4 of 6"


def test_nobody_is_held_for_more_than_a_day() -> None:
    known = told((0.0, some(1, 2)), (5.0, []))
    assert confirm(known, nobody, 4.0 + FORGET_S) is known
    assert confirm(known, nobody, 5.0 + FORGET_S).endpoints() == []


names_told = st.lists(st.integers(0, 11), unique=True, max_size=12)
steps_told = st.lists(
    st.tuples(st.sampled_from([0.05, 0.5, 3.0, 9.95, 60.0]), names_told), max_size=12
)


@given(first=names_told, steps=steps_told)
def test_unconfirmed_it_never_takes_more_than_half_of_what_there_was(
    first: list[int], steps: list[tuple[float, list[int]]]
) -> None:
    now = 100.0
    known = believe(Known(), some(*first), nobody, now)
    drops: list[tuple[float, int]] = []
    for wait_s, present in steps:
        now += wait_s
        before = names(known.endpoints())
        known = believe(known, some(*present), nobody, now)
        after = names(known.endpoints())
        assert set(present) <= after, "what is told is used"
        assert len(after) == len(known.endpoints()), "and once"
        assert after <= before | set(present), "nobody comes back from the dead"
        drops = [drop for drop in drops if now - drop[0] < WINDOW_S]
        lost = len(before - after)
        in_window = sum(size for _, size in drops)
        assert 2 * (lost + in_window) <= len(before) + in_window or not lost
        drops.append((now, lost))


@given(first=names_told, steps=steps_told, gone=st.sets(st.integers(0, 11)))
def test_whoever_is_confirmed_gone_leaves_and_nobody_else(
    first: list[int], steps: list[tuple[float, list[int]]], gone: set[int]
) -> None:
    now = 100.0
    known = told((now, some(*first)))
    for wait_s, present in steps:
        now += wait_s
        known = believe(known, some(*present), nobody, now)
    told_now, held = names(known.told), names(each.endpoint for each in known.held)
    after = confirm(known, lambda each: bool(names([each]) & gone), now)
    assert names(after.endpoints()) == told_now | (held - gone)
    assert confirm(after, lambda each: True, now).endpoints() == list(known.told)


def test_it_is_known_since_when_each_is_held() -> None:
    known = told((0.0, some(1, 2)), (1.0, []), (2.0, some(3)), (3.0, []))
    assert known.held == (
        Held(endpoint(1), 1.0),
        Held(endpoint(2), 1.0),
        Held(endpoint(3), 3.0),
    )
