# SPDX-License-Identifier: MIT
"""Multipliers that have the steps of a function: every one of an interval, and none beside it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fixedpoint_nn.hardware.compiler.step_functions import Steps, found, levels, multiplier_for, steps_of
from fixedpoint_nn.numerics.rounding import Rounding
from tests.support.oracle import rounded

FORMS = [
    (Rounding.HALF_UP, False),
    (Rounding.HALF_UP, True),
    (Rounding.HALF_AWAY, False),
    (Rounding.HALF_AWAY, True),
]


def code(x: int, multiplier: int, shift: int, rounding: Rounding, twice: bool) -> int:
    """What the requantiser makes of a sum, by fractions."""
    value = Fraction(x * multiplier)
    if twice and shift > 31:
        return rounded(Fraction(rounded(value / (1 << 31), Rounding.HALF_UP), 1 << shift - 31), rounding)
    return rounded(value / (1 << shift), Rounding.HALF_UP if twice else rounding)


@pytest.mark.parametrize(("rounding", "twice"), FORMS)
@given(
    x=st.integers(-(1 << 30), 1 << 30), multiplier=st.integers(1, (1 << 31) - 1), shift=st.integers(1, 50),
    k=st.integers(-300, 300),
)  # fmt: skip
def test_a_code_is_reached_exactly_at_its_level(
    rounding: Rounding, twice: bool, x: int, multiplier: int, shift: int, k: int
) -> None:
    (level,) = levels([k], shift, rounding, twice)
    for one in (x, level // multiplier, level // multiplier + 1):
        assert (one * multiplier >= level) == (code(one, multiplier, shift, rounding, twice) >= k)


@given(
    multiplier=st.integers(1, 4000), offset=st.integers(-9000, 9000), shift=st.integers(1, 12),
    low=st.integers(-40, 0), high=st.integers(0, 40),
)  # fmt: skip
def test_steps_are_those_of_the_function_itself(
    multiplier: int, offset: int, shift: int, low: int, high: int
) -> None:
    codes = (-6, 6)

    def function(x: int) -> int:
        value = rounded(Fraction(x * multiplier + offset, 1 << shift), Rounding.HALF_UP)
        return max(codes[0], min(codes[1], value))

    steps = steps_of(multiplier, offset, shift, (low, high), codes)
    for k, missed, reached in zip(steps.codes, steps.missed, steps.reached, strict=True):
        below = [x for x in range(low, high + 1) if function(x) < k]
        above = [x for x in range(low, high + 1) if function(x) >= k]
        assert missed == (max(below) if below else None)
        assert reached == (min(above) if above else None)


@pytest.mark.parametrize(("rounding", "twice"), FORMS)
@given(
    multiplier=st.integers(1, 255), shift=st.integers(1, 9), low=st.integers(-30, 0), high=st.integers(0, 30)
)
def test_the_interval_holds_all_multipliers_with_these_steps_and_no_other(
    rounding: Rounding, twice: bool, multiplier: int, shift: int, low: int, high: int
) -> None:
    sums = range(low, high + 1)
    wanted = [code(x, multiplier, shift, rounding, twice) for x in sums]
    numbers = range(min(wanted) + 1, max(wanted) + 1)
    assume(len(numbers) > 0)
    steps = Steps(
        numbers,
        [max(x for x, k in zip(sums, wanted, strict=True) if k < n) for n in numbers],
        [min(x for x, k in zip(sums, wanted, strict=True) if k >= n) for n in numbers],
    )
    first, last = multiplier_for(steps, shift, rounding, twice)
    for other in {
        1,
        multiplier,
        max(first - 1, 1),
        first,
        last,
        min(last + 1, 1 << 62),
        min(2 * last, 1 << 62),
    }:
        reached = [code(x, other, shift, rounding, twice) for x in sums]
        same = all((a >= n) == (b >= n) for n in numbers for a, b in zip(wanted, reached, strict=True))
        assert same == (first <= other <= last)


def test_no_multiplier_has_steps_that_are_no_straight_line() -> None:
    assert found(Steps((1, 2, 3), (9, 12, 40), (10, 13, 41)), 0.1, 32, Rounding.HALF_UP, False) is None
    assert found(Steps((1,), (9,), (10,)), -0.1, 32, Rounding.HALF_UP, False) is None


def test_an_offset_is_found_again_as_the_first_of_two_roundings() -> None:
    m, shift = 0x5A3C9F11, 31 + 7
    steps = steps_of(m, 1 << 30, shift, (-(1 << 22), 1 << 22), (0, 255))
    pair = found(steps, m / (1 << shift), 32, Rounding.HALF_UP, twice=True)
    assert pair is not None
    first, last = multiplier_for(steps, shift, Rounding.HALF_UP, twice=True)
    assert pair[1] == shift
    assert first <= m <= last
    assert first <= pair[0] <= last
