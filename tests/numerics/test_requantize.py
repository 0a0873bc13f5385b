# SPDX-License-Identifier: MIT
"""Requantizing gives the same integers in every container, and a bound that is one."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.requantize import requantized
from tests.support import oracle

INTS = [*range(-70, 70, 3), -(1 << 20), (1 << 20) - 1, (1 << 24) - 1, -(1 << 24)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, object])
@pytest.mark.parametrize("shift", [-300, -64, -30, -5, -1, 0, 1, 7, 30])
def test_every_container_gives_the_same(dtype: type, shift: int) -> None:
    held = BoundedInts(np.array(INTS).astype(dtype), 1 << 24)
    for format, rounding, overflow in product((Q(4, 0), UQ(9, 0), Q(30, 0), Q(60, 0)), Rounding, Overflow):
        quantizer = Quantizer(format, rounding, overflow)
        result = requantized(held, shift, quantizer)
        scaled = [n * Fraction(2) ** shift for n in INTS]
        expected = [oracle.fitted(oracle.rounded(v, rounding), format, overflow) for v in scaled]
        assert [int(n) for n in result.array] == expected
        assert result.bound >= max(abs(n) for n in expected)
        assert result.bound <= format.magnitude


def test_nothing_to_do_returns_the_same_integers() -> None:
    held = BoundedInts.of(np.array([1, -2]))
    assert requantized(held, 0, Quantizer(Q(4, 0))) is held


def test_the_source_is_never_written_to() -> None:
    for overflow in Overflow:
        held = BoundedInts.of(np.array([100, -200]))
        requantized(held, 0, Quantizer(Q(4, 0), overflow=overflow))
        assert held.array.tolist() == [100, -200]


def test_a_bound_within_the_format_needs_no_limits_but_wrapping_below_zero_does() -> None:
    """-1 wraps to the largest integer of an unsigned format, however small the bound."""
    held = BoundedInts.of(np.array([-1]))
    wrapped = requantized(held, 0, Quantizer(UQ(54, 0), overflow=Overflow.WRAP))
    assert wrapped.ints().tolist() == [2**54 - 1]
    assert wrapped.bound == 2**54 - 1


@pytest.mark.parametrize(
    ("bound", "shift", "quantizer", "expected"),
    [
        (1000, -3, Quantizer(Q(12, 0)), 125),
        (1001, -3, Quantizer(Q(12, 0)), 126),  # rounded up
        (3, 4, Quantizer(Q(12, 0)), 48),
        (1000, 0, Quantizer(Q(8, 0)), 128),
        (100, 0, Quantizer(UQ(8, 0)), 100),  # what is below 0 is cut off, and nothing is above 100
        (1000, 0, Quantizer(Q(8, 0), overflow=Overflow.WRAP), 128),
        (5, -1, Quantizer(Q(8, 0), overflow=Overflow.WRAP), 3),
    ],
)
def test_the_bound_of_a_result_is_as_close_as_its_operand_and_format_say(
    bound: int, shift: int, quantizer: Quantizer, expected: int
) -> None:
    assert requantized(BoundedInts(np.zeros(3, np.float32), bound), shift, quantizer).bound == expected


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC, Overflow.WRAP])
@pytest.mark.parametrize(("bound", "same"), [(127, True), (128, False)])
def test_integers_that_fit_as_they_are_stay_where_they_are(
    overflow: Overflow, bound: int, same: bool
) -> None:
    ints = BoundedInts(np.array([-5, 7], np.float32), bound)
    assert (requantized(ints, 0, Quantizer(Q(8, 0), overflow=overflow)) is ints) is same
