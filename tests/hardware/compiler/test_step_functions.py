# SPDX-License-Identifier: MIT
"""Multipliers that have the steps of a function: every one of an interval, and none beside it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
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
@settings(deadline=None)
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


@settings(deadline=None)
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
@settings(deadline=None)
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


NONE = Steps((), (), ())


def test_steps_name_every_code_but_the_lowest() -> None:
    steps = steps_of(2, 0, 1, (-5, 5), (-2, 2))
    assert list(steps.codes) == [-1, 0, 1, 2]
    assert (list(steps.missed), list(steps.reached)) == ([-2, -1, 0, 1], [-1, 0, 1, 2])
    some = steps_of(2, 0, 1, (0, 1), (-2, 2))
    assert (list(some.missed), list(some.reached)) == ([None, None, 0, 1], [0, 0, 1, None])


@pytest.mark.parametrize(
    ("shift", "rounding", "twice", "expected"),
    [
        (3, Rounding.HALF_UP, False, [-12, -4, 4]),
        (3, Rounding.HALF_UP, True, [-12, -4, 4]),
        (3, Rounding.HALF_AWAY, False, [-11, -3, 4]),
        (3, Rounding.HALF_AWAY, True, [-12, -4, 4]),  # one rounding, the first of two, which is half up
        (31, Rounding.HALF_AWAY, True, [-3 << 30, -1 << 30, 1 << 30]),
        (33, Rounding.HALF_UP, True, [(n << 31) - (1 << 30) for n in (-6, -2, 2)]),
        (33, Rounding.HALF_AWAY, True, [(n << 31) - (1 << 30) for n in (-5, -1, 2)]),
        (33, Rounding.HALF_AWAY, False, [(-3 << 32) + 1, (-1 << 32) + 1, 1 << 32]),
    ],
)
def test_levels_are_those_of_the_rounding(
    shift: int, rounding: Rounding, twice: bool, expected: list[int]
) -> None:
    assert levels([-1, 0, 1], shift, rounding, twice) == expected


@pytest.mark.parametrize(
    ("steps", "interval"),
    [
        (NONE, (1, 1 << 62)),
        (Steps((1,), (0,), (1,)), (1, 1 << 62)),
        (Steps((1, 2), (0, 2), (1, 3)), (1, 1)),
        (Steps((1,), (None,), (0,)), (1, 0)),  # 0 reaches no level above 0
        (Steps((1,), (9,), (3,)), (1, 0)),
        (Steps((0,), (-3,), (0,)), (1, 1 << 62)),
        (Steps((0,), (-1,), (-1,)), (1, 0)),
        (Steps((-1,), (-5,), (-1,)), (1, 3)),
    ],
)
def test_some_intervals_of_multipliers_at_a_shift_of_one(steps: Steps, interval: tuple[int, int]) -> None:
    """Code k is reached at 2k - 1."""
    assert multiplier_for(steps, 1, Rounding.HALF_UP, twice=False) == interval


@pytest.mark.parametrize(
    ("steps", "slope", "most_bits", "pair"),
    [
        (NONE, 0.3, 8, (77, 8)),  # as many bits as there are, and the nearest one
        (NONE, 0.3, 9, (154, 9)),
        (NONE, 0.5, 2, (1, 1)),
        (NONE, 0.0, 8, None),
        (NONE, -0.5, 8, None),
        (NONE, 100.0, 8, None),  # it would be no shift at all
        (NONE, 50.0, 8, (100, 1)),
        (NONE, 2.0**-41, 32, (1 << 22, 63)),  # the longest shift
        (NONE, 2.0**-42, 32, (1 << 21, 63)),
        (Steps((1, 2), (0, 2), (1, 3)), 0.5, 2, (1, 1)),
        (Steps((2,), (0,), (1,)), 0.5, 2, None),  # 3, which has a bit too many with its sign
        (Steps((2,), (0,), (1,)), 1.5, 3, (3, 1)),
    ],
)
def test_the_multiplier_that_is_found(
    steps: Steps, slope: float, most_bits: int, pair: tuple[int, int] | None
) -> None:
    assert found(steps, slope, most_bits, Rounding.HALF_UP, False) == pair


def test_eight_bits_fewer_are_tried_and_no_more() -> None:
    """Only a shift of 31 has these steps: with a longer one the first of two roundings shows."""
    for exponent, pair in ((12, (13 << 19, 31)), (13, None)):
        steps = steps_of(13, 0, exponent, (-(40 << exponent), 40 << exponent), (-16, 15))
        assert found(steps, 13 / (1 << exponent), 32, Rounding.HALF_UP, twice=True) == pair
        assert found(steps, 13 / (1 << exponent), 31, Rounding.HALF_UP, twice=True) == (
            13 << 32 - exponent - 1,
            31,
        )
