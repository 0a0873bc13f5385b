# SPDX-License-Identifier: MIT
"""Floats on their way into a format, at the edges of the containers and of the blocks they go through."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics import conversion
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support import oracle


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("bits", [24, 25, 26, 53, 54, 55, 63])
@pytest.mark.parametrize("count", [False, True])
def test_floats_at_the_ends_of_wide_formats_are_fitted_exactly(
    overflow: Overflow, bits: int, count: bool
) -> None:
    """Float32 holds the integers to 2**24 and float64 those to 2**53; one of 25 bits has both ends there."""
    format, end = Q(bits, 0), 1 << bits - 1
    quantizer = Quantizer(format, Rounding.HALF_EVEN, overflow)
    near = [float(sign * end + step) for sign in (1, -1) for step in (-2, -1, -0.5, 0, 0.5, 1, 2)]
    near += [-(2.0**63), 2.0**63]  # the ends of int64
    expected = [oracle.quantized(Fraction(x), quantizer) for x in near]
    for dtype in (np.float64, np.float32):
        x = np.array([n for n in near if float(dtype(n)) == n], dtype)
        wanted = [want for n, want in zip(near, expected) if float(dtype(n)) == n]
        if not count:
            assert quantizer.from_floats(x).tolist() == wanted
            assert [int(quantizer.from_floats(x[i : i + 1])[0]) for i in range(len(x))] == wanted
            continue
        with OverflowStats() as stats:
            assert FixedArray.from_float(x, quantizer).ints.tolist() == wanted
        (seen,) = stats.values()
        rounded = [oracle.rounded(Fraction(float(n)), Rounding.HALF_EVEN) for n in x]
        lowest = -end + (overflow is Overflow.SATURATE_SYMMETRIC)
        outside = [i for i, n in enumerate(rounded) if not lowest <= n < end]
        assert seen.saturated + seen.wrapped == len(outside)
        assert seen.first == (outside[0],)
        assert seen.headroom_bits == bits - 1 - max((n if n >= 0 else ~n).bit_length() for n in rounded)


@pytest.mark.parametrize("value", [2.0**30 - 1, -(2.0**30) - 1, -(2.0**30), 1e300, -1e300])
def test_headroom_counts_every_bit_of_a_float_that_is_too_large(value: float) -> None:
    with OverflowStats() as stats:
        FixedArray.from_float([0.0, value], Quantizer(Q(8, 0)))
    (seen,) = stats.values()
    exact = int(value)
    assert seen.headroom_bits == 7 - (exact if exact >= 0 else ~exact).bit_length()
    assert (seen.values, seen.saturated, seen.first) == (2, 1, (1,))


@pytest.mark.parametrize("format", [Q(8, 0), Q(30, 0), UQ(8, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_bound_is_the_largest_magnitude_that_is_there(format: QFormat, dtype: type) -> None:
    def bound(*x: float) -> int:
        return Quantizer(format).to_bounded(np.array(x, dtype)).bound

    assert (bound(0, 0), bound(1, 3), bound(5, 2)) == (0, 3, 5)
    if format.signed:
        assert (bound(-5, 1), bound(-1, 5), bound(-2, -7)) == (5, 5, 7)
    assert bound(2.0**40) == format.magnitude


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 8, 9, 16, 19])
def test_every_block_is_rounded_like_a_block_of_its_own(
    overflow: Overflow, dtype: type, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantizer = Quantizer(Q(4, 2), Rounding.HALF_AWAY, overflow)
    x = np.random.default_rng(size).normal(0, 6, size).astype(dtype)
    singly = [int(quantizer.from_floats(x[i : i + 1])[0]) for i in range(size)]
    nearest = [float(quantizer.round_floats(x[i : i + 1])[0]) for i in range(size)]
    monkeypatch.setattr(conversion, "_BLOCK", 8)
    assert quantizer.from_floats(x).tolist() == singly
    assert quantizer.round_floats(x).tolist() == nearest == [n / 4 for n in singly]
    x[size // 2] = np.inf
    nearest[size // 2] = np.inf
    x[-1] = np.nan
    rounded = quantizer.round_floats(x)
    assert np.isnan(rounded[-1])
    assert rounded[:-1].tolist() == nearest[:-1]
    with pytest.raises(ValueError, match=rf"^inf cannot be quantised at index {size // 2}; "):
        quantizer.from_floats(x)


@pytest.mark.parametrize("shift", [1, 5, 61, 62, 63, 64, 65, 200])
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("signed", [True, False])
def test_integers_are_shifted_to_the_left_as_far_as_one_likes(
    shift: int, overflow: Overflow, signed: bool
) -> None:
    for bits in (1, 2, 8, 62, 63):
        format = QFormat(bits - shift, shift, signed)
        quantizer = Quantizer(format, Rounding.FLOOR, overflow)
        edges = [limit >> shift for limit in (format.int_min, format.int_max)]
        ints = sorted({0, 1, -1, 2, -2, *(edge + step for edge in edges for step in (-1, 0, 1))})
        expected = [oracle.fitted(n << shift, format, overflow) for n in ints]
        assert quantizer.from_ints(ints, 0).tolist() == expected
        assert quantizer.from_ints(np.array(ints * 5), 0).tolist() == expected * 5


def test_half_precision_is_read_exactly() -> None:
    x = np.array([0.5, -1.75, 65504, 6e-8], np.float16)
    assert Quantizer(Q(20, 4)).from_floats(x).tolist() == [8, -28, 65504 * 16, 0]


@pytest.mark.parametrize("call", ["from_floats", "from_ints"])
def test_masks_are_refused_and_not_ignored(call: str) -> None:
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    arguments = (0,) if call == "from_ints" else ()
    with pytest.raises(TypeError, match=r"^1 of 3 elements of a masked array are masked"):
        getattr(Quantizer(Q(8, 0)), call)(masked, *arguments)
    assert getattr(Quantizer(Q(8, 0)), call)(np.ma.array([1, 2]), *arguments).tolist() == [1, 2]


def test_unsigned_integers_are_read_up_to_63_bits() -> None:
    most = np.array([2**63 - 1], np.uint64)
    assert Quantizer(Q(63, 0), overflow=Overflow.SATURATE).from_ints(most, 0).tolist() == [2**62 - 1]
    with pytest.raises(ValueError, match=r"^9223372036854775808 does not fit into 64 bits with a sign$"):
        Quantizer(Q(63, 0)).from_ints(most + np.uint64(1), 0)
