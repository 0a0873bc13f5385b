# SPDX-License-Identifier: MIT
"""The ways to one modelled accumulator give the same sums and the same statistics, at each of their edges."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics import accumulate
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.overflow_stats import OverflowCounts, OverflowStats
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support import oracle

SATURATE, WRAP = Overflow.SATURATE, Overflow.WRAP


def dot(
    a: list[list[int]],
    b: list[list[int]],
    accumulator: Accumulator,
    formats: tuple[QFormat, QFormat],
    initial: list[list[int]] | None = None,
) -> tuple[list[list[int]], OverflowCounts]:
    """The sums, and what was counted."""
    start = None if initial is None else FixedArray.from_ints(initial, accumulator.format)
    x, w = FixedArray.from_ints(a, formats[0]), FixedArray.from_ints(b, formats[1])
    with OverflowStats() as stats:
        result = x.dot(w, accumulator, start).ints.tolist()
    (counts,) = stats.values()
    return result, counts


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
@pytest.mark.parametrize(("start", "sum_", "outside"), [
    (125, 127, 0), (126, 128, 1), (-126, -124, 0), (-128, -126, 0), (0, 2, 0),
])  # fmt: skip
def test_what_an_accumulator_holds_before_counts(
    overflow: Overflow, start: int, sum_: int, outside: int
) -> None:
    accumulator = Accumulator(Q(8, 0), overflow)
    result, counts = dot([[1, 1]], [[1], [1]], accumulator, (Q(2, 0), Q(2, 0)), [[start]])
    assert result == [[oracle.fitted(sum_, Q(8, 0), overflow)]]
    assert counts.saturated + counts.wrapped == outside


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
@pytest.mark.parametrize("small", [[[1]], [[1], [1]]])
def test_the_ends_of_the_range_are_inside(overflow: Overflow, small: list[list[int]]) -> None:
    ones = [[1] * len(small)]
    for end, step in ((127, 1), (-128, -1)):
        b = [[end - step * (len(small) - 1)], *([[step]] * (len(small) - 1))]
        result, counts = dot(ones, b, Accumulator(Q(8, 0), overflow), (Q(2, 0), Q(8, 0)))
        assert (result, counts.saturated, counts.wrapped) == ([[end]], 0, 0)
        assert counts.headroom_bits == 0
        beyond, counts = dot(ones, b, Accumulator(Q(8, 0), overflow), (Q(2, 0), Q(8, 0)), [[step]])
        assert beyond == [[oracle.fitted(end + step, Q(8, 0), overflow)]]
        assert (counts.saturated + counts.wrapped, counts.headroom_bits) == (1, -1)


@pytest.mark.parametrize("product_quantizer", [None, Quantizer(Q(12, 0)), Quantizer(Q(12, 3))])
def test_headroom_is_that_of_the_last_sums_where_none_can_saturate(
    product_quantizer: Quantizer | None,
) -> None:
    frac = 0 if product_quantizer is None else product_quantizer.format.frac_bits
    accumulator = Accumulator(Q(9, frac), SATURATE, product_quantizer)
    result, counts = dot([[1, 1]], [[100], [-100]], accumulator, (Q(2, 0), Q(8, 0)))
    assert (result, counts.headroom_bits) == ([[0]], 8 + frac)


def test_a_product_format_that_just_holds_every_product_changes_none() -> None:
    """-2..1 times 0..1 is -2..1: headroom is that of the last sum, which a rounded product would not leave so."""
    accumulator = Accumulator(Q(9, 0), SATURATE, Quantizer(Q(2, 0)))
    for a, last in (([[1, -1]], 0), ([[-2, 1]], -1)):
        result, counts = dot(a, [[1], [1]], accumulator, (Q(2, 0), UQ(1, 0)))
        assert (result, counts.headroom_bits) == ([[last]], 8)


def test_rows_that_cannot_saturate_are_counted_by_their_last_sums() -> None:
    """The magnitudes of the second row add up to just 127; its sum is 64 on the way and 1 at the end."""
    accumulator = Accumulator(Q(8, 0), SATURATE)
    result, counts = dot([[3, 0, 0], [0, 1, 1]], [[1], [64], [-63]], accumulator, (Q(3, 0), Q(8, 0)))
    assert (result, counts.saturated, counts.headroom_bits) == ([[3], [1]], 0, 5)


def test_rows_of_both_kinds_are_counted_together() -> None:
    """Two rows are safe, one saturates at its first step and comes back; all extremes stand in one place."""
    accumulator = Accumulator(Q(8, 0), SATURATE)
    a = [[0, 1, 0], [2, 0, 1], [0, 1, 0]]
    result, counts = dot(a, [[100], [3], [-100]], accumulator, (Q(3, 0), Q(8, 0)))
    assert result == [[3], [27], [3]]
    assert (counts.saturated, counts.first, counts.headroom_bits) == (1, (1, 0), -1)
    result, counts = dot(a, [[-100], [3], [100]], accumulator, (Q(3, 0), Q(8, 0)))
    assert result == [[3], [-28], [3]]
    assert (counts.saturated, counts.first, counts.headroom_bits) == (1, (1, 0), -1)


@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])
@pytest.mark.parametrize("signed", [True, False])
def test_each_product_is_quantised_in_small_formats(overflow: Overflow, signed: bool) -> None:
    formats = (Q(1, 0), Q(2, 1), UQ(1, 1)), (UQ(1, 0), Q(2, 0), Q(1, 1))
    for a, b in product(*formats):
        rows, columns = (np.arange(f.int_min, f.int_max + 1) for f in (a, b))
        for bits, extra in product((1, 2, 3, 4), (-1, 0, 1)):
            frac = a.frac_bits + b.frac_bits + extra
            quantizer = Quantizer(QFormat(bits - frac, frac, signed), Rounding.HALF_UP, overflow)
            accumulator = Accumulator(Q(10, frac), WRAP, quantizer)
            result = FixedArray.from_ints(rows[:, None], a).dot(
                FixedArray.from_ints(columns[None, :], b), accumulator
            )
            unit = Fraction(1, 1 << a.frac_bits + b.frac_bits)
            assert result.ints.tolist() == [
                [oracle.quantized(unit * int(x * y), quantizer) for y in columns] for x in rows
            ]


def test_wrapping_sums_are_exact_beyond_what_a_float32_holds() -> None:
    """Five products of 24 bits, each quantised: the sum's lowest bits need more than 24."""
    accumulator = Accumulator(Q(8, 0), WRAP, Quantizer(Q(24, 0), Rounding.HALF_UP, SATURATE))
    big = (1 << 23) - 1
    result, _ = dot([[1] * 5], [[big + 1]] * 5, accumulator, (Q(2, 0), Q(25, 0)))
    assert result == [[oracle.fitted(5 * big, Q(8, 0), WRAP)]]
    result, _ = dot([[1] * 5], [[big + 1]] * 5, accumulator, (Q(2, 0), Q(25, 0)), [[100]])
    assert result == [[oracle.fitted(5 * big + 100, Q(8, 0), WRAP)]]


def test_saturating_sums_are_exact_beyond_64_bits() -> None:
    """A step that adds nearly 2**63 to nearly 2**62."""
    largest = (1 << 62) - 1
    accumulator = Accumulator(Q(63, 0), SATURATE)
    result, counts = dot([[2, 2]], [[largest], [largest]], accumulator, (Q(3, 0), Q(63, 0)))
    assert (result, counts.saturated, counts.headroom_bits) == ([[largest]], 1, -2)


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
def test_products_of_more_than_64_bits_are_rounded_exactly(overflow: Overflow) -> None:
    accumulator = Accumulator(Q(80, -60), overflow, Quantizer(Q(80, -60)))
    result, _ = dot([[1 << 39]], [[1 << 39]], accumulator, (Q(41, 0), Q(41, 0)))
    assert result == [[1 << 18]]


@pytest.mark.parametrize("shift", [62, 63, 64, 65, 70])
def test_a_wrapping_accumulator_of_many_fraction_bits_keeps_the_lowest(shift: int) -> None:
    accumulator = Accumulator(QFormat(63 - shift, shift, True), WRAP)
    result, _ = dot([[3]], [[1]], accumulator, (Q(3, 0), Q(2, 0)))
    assert result == [[oracle.fitted(3 << shift, accumulator.format, WRAP)]]


@pytest.mark.parametrize("overflow", [SATURATE, WRAP])
def test_extremes_are_those_of_every_block_of_rows(
    overflow: Overflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest sum stands in the first block, the smallest one in the second, and none in the third."""
    monkeypatch.setattr(accumulate, "_BLOCK", 2)
    accumulator = Accumulator(Q(8, 0), overflow, Quantizer(Q(8, 0)))
    a = [[1, 1], [0, 0], [-1, -1], [0, 1], [0, 0], [0, 0]]
    b = [[100, 0], [100, 0]]
    result, counts = dot(a, b, accumulator, (Q(2, 0), Q(8, 0)))
    ends = (127, -128) if overflow is SATURATE else (-56, 56)
    assert result == [[ends[0], 0], [0, 0], [ends[1], 0], [100, 0], [0, 0], [0, 0]]
    assert counts.saturated + counts.wrapped == 2
    assert (counts.first, counts.headroom_bits) == ((0, 0), -1)
    result, counts = dot(a[1:], b, accumulator, (Q(2, 0), Q(8, 0)))
    assert (counts.saturated + counts.wrapped, counts.first, counts.headroom_bits) == (1, (1, 0), -1)
