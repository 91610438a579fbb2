"""Names of records that cannot be guessed or run out."""

from __future__ import annotations

import base64
import secrets

# 16 letters of 5 bits: 80 random bits. Among a thousand million records the chance that any two
# are alike is one in two million, and an insert with a taken id fails rather than overwrites.
ID_LETTERS = 16
# 26 letters: 130 bits, for names that open something to whoever knows them.
TOKEN_LETTERS = 26


def new_id(prefix: str, letters: int = ID_LETTERS) -> str:
    """Make a random id such as ``u_mzxw6ytboi2dsmjq``.

    Args:
        prefix: says what it is the id of.
        letters: how many of a-z and 2-7, five random bits each.
    """
    drawn = base64.b32encode(secrets.token_bytes(-(-letters * 5 // 8))).decode("ascii")
    return f"{prefix}_{drawn[:letters].lower()}"
