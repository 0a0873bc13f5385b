# SPDX-License-Identifier: MIT
"""Sums of two codes of different scales: one requantiser gives what tables and two roundings give, for all pairs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.scaled_sums import ScaledSum, scaled_sum
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
