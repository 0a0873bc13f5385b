# SPDX-License-Identifier: MIT
"""The functions that tables are made of, to any number of digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import log

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class ExactFunction:
    """A real function of one variable, as tables need it.

    `decimal` works in the current decimal context, with an error of a few units in the last place of the
    larger of 1 and its value, times 1 + |x|. `rational` gives the value where that is a fraction, and None
    where it is irrational. `tail(lsb_bits)` is an x beyond which, on both sides, the value stays between the
    same two neighbouring halves of 2**-lsb_bits, or None if there is none on the right.
    """

    estimate: Callable[[Array], Array]  # in float64, relative error below 2**-40
    rational: Callable[[Fraction], Fraction | None]
    decimal: Callable[[Decimal], Decimal] | None = None
    tail: Callable[[int], int] | None = None
    tail_on_the_right: bool = True
    rising: bool = True
    mirror: int | None = None  # f(x) + f(-x) for every x, if that is constant
    positive_only: bool = False  # elsewhere the table gives its largest value


def _sigmoid(x: Decimal) -> Decimal:
    # exp(-x) of a large negative x would need as many digits as it has; this form never does.
    if x < 0:
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def _tanh(x: Decimal) -> Decimal:
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


def _at_zero(value: Fraction) -> Callable[[Fraction], Fraction | None]:
    """exp of a non-zero rational is transcendental (Lindemann), and so are the others."""
    return lambda x: value if x == 0 else None


def _sigmoid_estimate(x: Array) -> Array:
    y: Array = 1 / (1 + np.exp(-x))
    return y


EXACT_FUNCTIONS: dict[str, ExactFunction] = {
    # 1 - sigmoid(x) < exp(-x), 1 - tanh(x) < 2*exp(-2*x)
    "sigmoid": ExactFunction(
        _sigmoid_estimate,
        _at_zero(Fraction(1, 2)),
        _sigmoid,
        lambda bits: int((bits + 2) * log(2)) + 1,
        mirror=1,
    ),
    "tanh": ExactFunction(
        np.tanh, _at_zero(Fraction(0)), _tanh, lambda bits: int((bits + 3) * log(2) / 2) + 1, mirror=0
    ),
    "exp": ExactFunction(
        np.exp,
        _at_zero(Fraction(1)),
        Decimal.exp,
        lambda bits: int((bits + 2) * log(2)) + 1,
        tail_on_the_right=False,
    ),
    "reciprocal": ExactFunction(lambda x: 1 / x, lambda x: 1 / x, rising=False, positive_only=True),
}
