# SPDX-License-Identifier: MIT
"""Requantizing gives the same integers in every container, and a bound that is one."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.requantize import looked_up, requantized
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


def pieces(x: np.ndarray) -> list[np.ndarray]:
    """So few numbers that no compiled kernel is called for them."""
    return [x[at : at + 500] for at in range(0, len(x), 500)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1024, 3000])
@pytest.mark.parametrize("gap", [1, 2])
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("shift", [-9, -1, 0, 1, 6])
def test_many_integers_come_out_as_few_do(
    shift: int, overflow: Overflow, gap: int, size: int, dtype: type
) -> None:
    x = np.random.default_rng(0).integers(-4000, 4001, size * gap).astype(dtype)[::gap]
    quantizer = Quantizer(Q(7, 0), Rounding.HALF_AWAY, overflow)
    expected = [requantized(BoundedInts(part, 4000), shift, quantizer).array for part in pieces(x)]
    assert np.array_equal(requantized(BoundedInts(x, 4000), shift, quantizer).array, np.concatenate(expected))


@pytest.mark.parametrize("table", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("gap", [1, 2])
@pytest.mark.parametrize("size", [1023, 1024, 3000])
def test_many_codes_are_looked_up_as_few_are(size: int, gap: int, dtype: type, table: type) -> None:
    codes = np.random.default_rng(0).integers(-8, 8, size * gap).astype(dtype)[::gap]
    entries = BoundedInts(np.arange(100, 116).astype(table), 115)
    found = looked_up(BoundedInts(codes, 8), entries, 4)
    assert found.bound == 115
    assert np.array_equal(found.array, [100 + int(code) % 16 for code in codes])


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("kernels", ["", "numpy"])
def test_large_arrays_of_any_layout_are_rounded_and_fitted(
    overflow: Overflow, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one axis or three, with gaps between elements, rows and matrices."""
    monkeypatch.setenv("FIXEDPOINT_NN_KERNELS", kernels)
    values = np.random.default_rng(0).integers(-3000, 3000, 24_000).astype(np.float32)
    quantizer = Quantizer(Q(6, 0), Rounding.HALF_EVEN, overflow)
    for array in (
        values,
        values[::2],
        values.reshape(40, 600),
        values.reshape(40, 600)[:, ::3],
        values.reshape(40, 600)[:, :500],
        values.reshape(40, 600).T,
        values.reshape(10, 40, 60)[:, 3:, :50],
        values.reshape(10, 40, 60).transpose(2, 0, 1),
    ):
        before = array.copy()
        result = requantized(BoundedInts(array, 3000), -3, quantizer)
        expected = convert(array.astype(np.int64), -3, quantizer.format, quantizer.rounding, overflow)
        assert np.array_equal(result.ints(), expected)
        assert np.array_equal(array, before)
