# SPDX-License-Identifier: MIT
"""Held-out data is held out by position: all of it, once, the same for everyone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.data import by_position, held_out_end


def test_the_ninth_of_ten_is_dev_and_the_tenth_is_test() -> None:
    train, dev, test = by_position(range(25))
    assert train == (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 24)
    assert dev == (8, 18)
    assert test == (9, 19)


@given(st.lists(st.integers()))
def test_every_item_is_in_one_part(items: list[int]) -> None:
    train, dev, test = by_position(items)
    assert sorted(train + dev + test) == sorted(items)


def test_the_last_tenth_is_held_out() -> None:
    assert held_out_end(1000) == 900
    assert held_out_end(1_115_394) == 1_003_854
    assert held_out_end(7, 100) == 0
    assert held_out_end(7, 0) == 7


def test_more_than_everything_cannot_be_held_out() -> None:
    with pytest.raises(ValueError) as error:
        held_out_end(10, 101)
    assert str(error.value) == "101 percent cannot be held out; it must be 0 to 100."
