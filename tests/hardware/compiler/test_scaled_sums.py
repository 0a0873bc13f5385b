# SPDX-License-Identifier: MIT
"""Sums of two codes of different scales: one requantiser gives what tables and two roundings give, for all pairs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.scaled_sums import ScaledSum, _candidates, _steps, scaled_sum
from fixedpoint_nn.interchange.affine.multiplier import multiplied, quantized_multiplier
from fixedpoint_nn.numerics.rounding import Rounding
from tests.support.oracle import rounded

X = np.arange(-128 + 17, 128 + 17)
Y = np.arange(-128 - 40, 128 - 40)


def addition(a: float, b: float, out: float) -> tuple[np.ndarray, tuple[float, float]]:
    """TFLite's residual addition of all pairs of codes, and how much one step of each adds to the output."""
    twice = 2 * max(a, b)
    left, right = ([multiplied(int(c) << 20, *quantized_multiplier(s / twice)) for c in codes]
                   for codes, s in ((X, a), (Y, b)))  # fmt: skip
    last = quantized_multiplier(twice / (2**20 * out))
    codes = [[min(max(multiplied(x + y, *last), -128), 127) for y in right] for x in left]
    return np.array(codes), (a / out, b / out)


def word(form: ScaledSum, x: int, y: int) -> int:
    value = Fraction((form.weights[0] * x + form.weights[1] * y) * form.factor)
    if form.twice and form.shift > 31:
        value = Fraction(rounded(value / (1 << 31), Rounding.HALF_UP))
        return rounded(value / (1 << form.shift - 31), form.rounding)
    return rounded(value / (1 << form.shift), Rounding.HALF_UP if form.twice else form.rounding)


@pytest.mark.parametrize(
    ("a", "b", "out"),
    [(0.05, 0.0312, 0.061), (0.011, 0.083, 0.08), (0.25, 0.25, 0.3), (0.0213, 0.0197, 0.0402)],
)
def test_the_form_gives_every_pairs_code(a: float, b: float, out: float) -> None:
    codes, slopes = addition(a, b, out)
    form = scaled_sum(X, Y, codes, slopes, 32)
    assert form is not None
    assert max(map(abs, form.weights)) < 1 << 15
    assert form.factor.bit_length() < 32
    for i in range(0, len(X), 17):
        for j in range(len(Y)):
            assert min(max(word(form, int(X[i]), int(Y[j])), -128), 127) == codes[i, j]


def test_codes_in_another_order_than_the_sums_have_no_form() -> None:
    codes, slopes = addition(0.05, 0.0312, 0.061)
    codes[100, 100] += 3
    assert scaled_sum(X, Y, codes, slopes, 32) is None
    assert scaled_sum(X, Y, codes, (0.0, 1.0), 32) is None


def test_weights_of_few_bits_come_first_and_those_nearest_to_the_ratio() -> None:
    made = list(_candidates((0.5, 0.25)))
    assert len(made) == 24 * 9
    assert made[:24] == [(2 * n, n) for n in range(1, 25)]
    assert made[24:48] == [(128 + 2 * n, 64 + n) for n in range(24)]
    assert made[-24:] == [((1 << 14) + 2 * n, (1 << 13) + n) for n in range(24)]
    assert next(_candidates((1.0, 0.7))) == (10, 7)
    assert list(_candidates((1.0, 0.3)))[:2] == [(10, 3), (20, 6)]


def test_weights_have_the_signs_of_the_slopes_and_the_larger_one_its_own_place() -> None:
    assert next(_candidates((-0.5, 0.25))) == (-2, 1)
    assert next(_candidates((0.25, -0.5))) == (1, -2)
    assert next(_candidates((-0.25, -0.5))) == (-1, -2)
    assert next(_candidates((0.3, 0.3))) == (1, 1)


def test_a_sum_of_codes_themselves_has_a_form_and_one_of_a_single_code_has_none() -> None:
    x, y = np.arange(-8, 8), np.arange(-5, 9)
    for a, b in ((1, 2), (2, 1), (1, 1), (-1, 3)):
        codes = a * x[:, None] + b * y
        form = scaled_sum(x, y, codes, (float(a), float(b)), 32)
        assert form is not None
        assert [[word(form, int(i), int(j)) for j in y] for i in x] == codes.tolist()
        assert Fraction(form.weights[0] * form.factor, 1 << form.shift) == a, "the factor in the middle"
    assert scaled_sum(x, y, np.broadcast_to(y, (16, 14)), (0.0, 1.0), 32) is None
    assert scaled_sum(x, y, np.broadcast_to(x[:, None], (16, 14)), (1.0, 0.0), 32) is None


def test_pairs_of_one_sum_have_one_code() -> None:
    sums = np.array([[1, 2], [2, 4]])
    steps = _steps(sums, np.array([[0, 1], [1, 2]]))
    assert steps is not None
    assert (list(steps.codes), steps.missed, steps.reached) == ([1, 2], [1, 2], [2, 4])
    assert _steps(sums, np.array([[0, 0], [1, 2]])) is None
    assert _steps(sums, np.array([[0, 1], [1, 0]])) is None


@pytest.mark.parametrize("ratio", [0.618034, 0.70711, 0.31831])
def test_weights_have_no_more_bits_than_their_turn(ratio: float) -> None:
    made = list(_candidates((1.0, ratio)))
    for number, bits in enumerate(range(8, 17)):
        turn = made[24 * number : 24 * (number + 1)]
        least = 1 if bits == 8 else 1 << bits - 2
        assert all(least <= large < 1 << bits - 1 and 0 < small <= large for large, small in turn)
        errors = [abs(small / large - ratio) for large, small in turn]
        assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("rounding", "twice"), [(Rounding.HALF_UP, False), (Rounding.HALF_AWAY, True), (Rounding.HALF_UP, True)]
)
def test_sums_that_are_rounded_once_or_twice_have_a_form_that_does_so(
    rounding: Rounding, twice: bool
) -> None:
    x, y = np.arange(-40, 41), np.arange(-30, 31)
    form = ScaledSum((2, 1), 3 << 29, 32, rounding, twice)
    codes = np.array([[word(form, int(i), int(j)) for j in y] for i in x])
    assert scaled_sum(x, y, codes, (0.75, 0.375), 32) == form
