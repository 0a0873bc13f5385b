# SPDX-License-Identifier: MIT
"""Rescaling layers against the integer definitions of the roundings, at ties and ends too."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray
from fixedpoint_nn.interchange.affine.constants import Unsuited, integer_format
from fixedpoint_nn.interchange.affine.multiplier import (
    multiplied,
    proven_multiplier,
    quantized_multiplier,
    round_away,
)
from fixedpoint_nn.interchange.affine.rescaling import landing, rescaled_once, rescaled_short, rescaled_twice
from fixedpoint_nn.interchange.tflite.regions import reciprocals

REALS = st.floats(-18, 1).map(lambda power: float(np.float32(2.0**power)))


def twice(x: int, m: int, shift: int) -> int:
    """The saturating rounding doubling high product and the rounding shift, in fractions."""
    high = Fraction(x * 2 ** max(shift, 0) * m, 2**31)
    first = (high + Fraction(1, 2)).__floor__()
    second = Fraction(first, 2 ** max(-shift, 0))
    return (abs(second) + Fraction(1, 2)).__floor__() * (1 if second >= 0 else -1)


def sums_near_ties(real: float, codes: tuple[int, int], most: int) -> np.ndarray:
    """Sums whose codes are about to change, and others."""
    ties = np.array([(k + 0.5) / real for k in range(codes[0] - 2, codes[1] + 2)])
    near = np.concatenate([np.floor(ties) + d for d in (-1, 0, 1, 2)])
    others = np.linspace(-most, most, 501)
    return np.unique(np.clip(np.concatenate([near, others]), -most, most).astype(np.int64))


def test_a_multiplier_of_one_half_is_exact() -> None:
    assert quantized_multiplier(0.5) == (1 << 30, 0)
    assert quantized_multiplier(1.0) == (1 << 30, 1)
    assert quantized_multiplier(0.0) == (0, 0)
    assert quantized_multiplier(2.0**-40) == (0, 0)
    assert quantized_multiplier(1 - 2.0**-40) == (1 << 30, 1)


@given(st.integers(-(1 << 28), 1 << 28), st.integers(1 << 30, (1 << 31) - 1), st.integers(-20, 2))
def test_the_two_roundings_are_those_of_the_definition(x: int, m: int, shift: int) -> None:
    assert multiplied(x, m, shift) == twice(x, m, shift)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(REALS, min_size=1, max_size=3),
    st.sampled_from([(-128, 127), (-131, 124), (0, 255), (0, 60), (-255, 0), (-5, 7)]),
)
def test_the_layer_rounds_twice_in_every_channel(reals: list[float], codes: tuple[int, int]) -> None:
    most = (1 << 25) - 1
    layer = rescaled_twice(reals, (-most, most), codes, "layer")
    sums = np.concatenate([sums_near_ties(real, codes, most) for real in reals])
    x = FixedArray.from_ints(np.repeat(sums[:, np.newaxis], len(reals), axis=1), integer_format(-most, most))
    expected = [
        [min(max(twice(int(s), *quantized_multiplier(real)), codes[0]), codes[1]) for real in reals]
        for s in sums
    ]
    y = layer(x)
    assert y.ints.tolist() == expected
    assert y.format == integer_format(*codes)


def test_two_roundings_are_one_where_no_code_is_negative() -> None:
    assert rescaled_twice(0.01, (-9999, 9999), (0, 255), "relu").first is None
    assert rescaled_twice(0.01, (-9999, 9999), (-1, 255), "none").first is not None


@settings(max_examples=40, deadline=None)
@given(REALS, st.sampled_from([(-128, 127), (0, 255), (-3, 3)]))
def test_a_proven_multiplier_rounds_as_the_double_does(real: float, codes: tuple[int, int]) -> None:
    most = (1 << 24) - 1
    layer = rescaled_once(proven_multiplier(real, (-most, most), codes), (-most, most), codes, "fc")
    sums = sums_near_ties(real, codes, most)
    expected = np.clip(round_away(sums.astype(np.float64) * real), *codes)
    assert np.array_equal(layer(FixedArray.from_ints(sums, integer_format(-most, most))).ints, expected)


def test_a_proven_multiplier_rounds_as_the_double_does_for_16_bits() -> None:
    codes, most = (-(1 << 15), (1 << 15) - 1), (1 << 27) - 1
    for real in (0.000123, 1 / 3):
        proven = proven_multiplier([real, real / 3], (-most, most), codes)
        layer = rescaled_once(proven, (-most, most), codes, "fc")
        sums = sums_near_ties(real, codes, most)
        x = FixedArray.from_ints(np.stack([sums, sums], axis=1), integer_format(-most, most))
        expected = np.stack([round_away(sums * real), round_away(sums * (real / 3))], axis=1)
        assert np.array_equal(layer(x).ints, np.clip(expected, *codes))


def test_15_bits_round_half_up_once() -> None:
    most, codes = 1 << 30, (-(1 << 15), (1 << 15) - 1)
    m, shift = quantized_multiplier(0.0009)
    short = (m + (1 << 15)) >> 16
    sums = np.random.default_rng(0).integers(-most // 50, most // 50, 999)
    expected = np.clip((sums * short + (1 << (14 - shift))) >> (15 - shift), *codes)
    layer = rescaled_short(0.0009, (-most, most), codes, "conv")
    assert np.array_equal(layer(FixedArray.from_ints(sums, integer_format(-most, most))).ints, expected)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 12, 49, 144])
def test_the_reciprocal_of_a_mean_is_right_for_every_sum(count: int) -> None:
    most = 128 * count
    m, shift = reciprocals(np.asarray(count), most)
    sums = np.arange(-most, most + 1)
    exact = [int(round_away(np.float64(Fraction(int(s), count)))) for s in sums]
    size = (np.abs(sums) * int(m) + (1 << (shift - 1))) >> shift
    assert (np.sign(sums) * size).tolist() == exact


@pytest.mark.parametrize("codes", [(-128, 127), (0, 255), (-131, 124), (-40000, 30000), (0, 29999), (-7, 7)])
def test_a_landing_limits_every_integer(codes: tuple[int, int]) -> None:
    format, clamp = landing(*codes)
    x = np.linspace(format.int_min, format.int_max, 4001).astype(np.int64)
    y = FixedArray.from_ints(x, format)
    y = y if clamp is None else clamp(y)
    assert np.array_equal(y.ints, np.clip(x, *codes))
    assert y.format == integer_format(*codes)


def test_sums_that_overflow_32_bits_are_refused() -> None:
    with pytest.raises(Unsuited) as refused:
        rescaled_twice(300.0, (-(1 << 24), 1 << 24), (-128, 127), "layer")
    assert str(refused.value) == "multiplies sums of up to 16777216 by more than 2**8, and 32 bits overflow"
