# SPDX-License-Identifier: MIT
"""fxpmath as a second oracle, on the domain where it is right; and the places where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fxpmath import Fxp

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import UQ, Q, QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding

ROUNDINGS = {
    "around": Rounding.HALF_EVEN,
    "floor": Rounding.FLOOR,
    "trunc": Rounding.TOWARD_ZERO,
    "fix": Rounding.TOWARD_ZERO,
}
OVERFLOWS = {"saturate": Overflow.SATURATE, "wrap": Overflow.WRAP}
FORMATS = [Q(4, 12), UQ(0, 8), Q(8, 0), Q(1, 31), UQ(10, 6), Q(10, -2), Q(-2, 10)]
RNG = np.random.default_rng(0)


def fxp(x: Any, format: QFormat, **modes: Any) -> Any:
    return Fxp(x, signed=format.signed, n_word=format.bits, n_frac=format.frac_bits, **modes)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_floats_become_the_same_integers(rounding: str, overflow: str) -> None:
    spread = RNG.standard_normal(2000) * np.exp2(RNG.integers(-14, 14, 2000))
    ties = RNG.integers(-4096, 4096, 2000) / 64
    for format in FORMATS:
        quantizer = Quantizer(format, ROUNDINGS[rounding], OVERFLOWS[overflow])
        for x in (spread, ties):
            theirs = fxp(x, format, rounding=rounding, overflow=overflow)
            assert np.array_equal(quantizer.from_floats(x), theirs.val)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_casts_give_the_same_integers(rounding: str) -> None:
    ints = RNG.integers(-(2**23), 2**23, 3000)
    x = FixedArray.from_ints(ints, Q(8, 16))
    for format in FORMATS:
        theirs = fxp(x.to_fxp(), format, rounding=rounding, overflow="saturate")
        assert np.array_equal(x.cast(Quantizer(format, ROUNDINGS[rounding])).ints, theirs.val)


def test_sums_products_and_dot_products_are_the_same_numbers() -> None:
    a = FixedArray.from_ints(RNG.integers(-(2**15), 2**15, (5, 7)), Q(4, 12))
    b = FixedArray.from_ints(RNG.integers(0, 2**8, (5, 7)), UQ(2, 6))
    for ours, theirs in (
        (a + b, a.to_fxp() + b.to_fxp()),
        (a - b, a.to_fxp() - b.to_fxp()),
        (a * b, a.to_fxp() * b.to_fxp()),
        (a @ b.T, a.to_fxp().dot(b.T.to_fxp())),
    ):
        assert np.array_equal(ours.ints << theirs.n_frac - ours.format.frac_bits, theirs.val)


@pytest.mark.parametrize("format", [*FORMATS, Q(63, 0), Q(1, 62), UQ(63, 0)])
def test_conversion_there_and_back_changes_nothing(format: QFormat) -> None:
    ints = RNG.integers(format.int_min, format.int_max, (3, 4), endpoint=True)
    x = FixedArray.from_ints(ints, format)
    there = x.to_fxp()
    assert (there.signed, there.n_word, there.n_frac) == (format.signed, format.bits, format.frac_bits)
    assert np.array_equal(there.val, ints)
    back = FixedArray.from_fxp(there)
    assert back.format == format
    assert np.array_equal(back.ints, ints)


def test_its_text_for_a_format_is_read() -> None:
    for format in FORMATS:
        assert QFormat.parse(fxp(0, format).dtype) == format


def test_a_complex_number_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        FixedArray.from_fxp(Fxp(1 + 2j, signed=True, n_word=16, n_frac=8))
    assert str(caught.value) == "a complex Fxp has no FixedArray; convert its real and imaginary parts"


# ---- where fxpmath (0.4.10) is wrong, with the right answers -----------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fxpmath_makes_a_number_of_nan() -> None:
    assert fxp(float("nan"), Q(4, 12)).val == 32767
    with pytest.raises(ValueError, match="nan cannot be quantised"):
        Quantizer(Q(4, 12)).from_floats(float("nan"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fxpmath_makes_a_number_of_infinity() -> None:
    assert fxp(float("inf"), Q(4, 12)).val == 32767
    with pytest.raises(ValueError, match="inf cannot be quantised"):
        Quantizer(Q(4, 12)).from_floats(float("inf"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_fxpmath_cannot_wrap_a_huge_float() -> None:
    with pytest.raises(OverflowError):
        fxp([1e30], Q(4, 12), overflow="wrap")
    assert Quantizer(Q(4, 12), overflow=Overflow.WRAP).from_floats([1e30]).tolist() == [0]

    right = (int(1e19) + 2**62) % 2**63 - 2**62
    assert right == 776627963145224192
    assert fxp([1e19], Q(63, 0), overflow="wrap").val.tolist() == [0]
    assert Quantizer(Q(63, 0), overflow=Overflow.WRAP).from_floats([1e19]).tolist() == [right]


def test_fxpmath_saturates_63_unsigned_bits_to_a_number_of_64() -> None:
    assert [int(n) for n in fxp([2.0**62, 2.0**63], UQ(63, 0)).val] == [2**62, 2**63]
    assert Quantizer(UQ(63, 0)).from_floats([2.0**62, 2.0**63]).tolist() == [2**62, 2**63 - 1]


def test_fxpmath_casts_wide_numbers_through_floats() -> None:
    x = FixedArray.from_ints([2**60 + 3], Q(61, 2))
    assert fxp(x.to_fxp(), Q(61, 1), rounding="floor").val.tolist() == [2**59]
    assert x.cast(Quantizer(Q(61, 1), Rounding.FLOOR)).ints.tolist() == [2**59 + 1]


def test_fxpmath_drops_a_subnormal_before_it_rounds_up() -> None:
    assert fxp(-5e-324, Q(11, -3), rounding="floor").val == 0
    assert Quantizer(Q(11, -3), Rounding.FLOOR).from_floats(-5e-324) == -1
