from __future__ import annotations

import re

import pytest

from services.kit.storage import TOKEN_LETTERS, new_id


@pytest.mark.parametrize("letters", [1, 8, 16, TOKEN_LETTERS])
def test_an_id_has_its_prefix_and_letters(letters: int) -> None:
    assert re.fullmatch(rf"u_[a-z2-7]{{{letters}}}", new_id("u", letters))


def test_ids_differ_and_use_every_letter() -> None:
    ids = {new_id("u") for _ in range(1000)}
    assert len(ids) == 1000
    assert len(set("".join(name[2:] for name in ids))) == 32


def test_a_token_has_128_bits_and_more() -> None:
    assert TOKEN_LETTERS * 5 >= 128
