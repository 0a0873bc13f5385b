# SPDX-License-Identifier: MIT
"""The functions of tables, computable to any precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, getcontext
from fractions import Fraction
from math import erf, erfc, isqrt, log

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class ExactFunction:
    """A real function of one variable, with what correct rounding needs.

    `decimal` computes in the current decimal context, with an error of a few units in the last place of max(1,
    |value|), times 1 + |x|. `rational` returns the value if it is rational, else None. `tail(lsb_bits)` is an x beyond
    which, on both sides, the value stays between the same two neighbouring multiples of 2**-lsb_bits / 2. `far(x,
    bits)` returns, for large |x|, an asymptote's value and the side on which the function approaches it (1 above, -1
    below), if it is closer than 2**-bits; else None.
    """

    estimate: Callable[[Array], Array]  # in float64, relative error below 2**-40
    rational: Callable[[Fraction], Fraction | None]
    decimal: Callable[[Decimal], Decimal] | None = None
    tail: Callable[[int], int] | None = None
    tail_on_the_right: bool = True
    rising: bool | None = True  # None: not monotonic
    mirror: int | None = None  # f(x) + f(-x), if that is constant
    positive_only: bool = False  # for x <= 0 the table has the value of `elsewhere`
    elsewhere: str = "largest"  # or "lowest", or "zero"
    far: Callable[[Fraction, int], tuple[Fraction, int] | None] | None = None


def _sigmoid(x: Decimal) -> Decimal:
    # exp(-x) of a large negative x would need as many digits as it has; this form does not.
    if x < 0:
        e = x.exp()
        return e / (1 + e)
    return 1 / (1 + (-x).exp())


def _tanh(x: Decimal) -> Decimal:
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


def _at_zero(value: Fraction) -> Callable[[Fraction], Fraction | None]:
    """`rational` of functions that are rational only at 0: exp of a non-zero rational is transcendental (Lindemann)."""
    return lambda x: value if x == 0 else None


def _sigmoid_estimate(x: Array) -> Array:
    y: Array = 1 / (1 + np.exp(-x))
    return y


def _pi() -> Decimal:
    """pi by Machin's formula: 16 * atan(1/5) - 4 * atan(1/239)."""

    def atan_of_inverse(n: int) -> Decimal:
        power = total = Decimal(1) / n
        k = 1
        while True:
            power /= -n * n
            k += 2
            larger = total + power / k
            if larger == total:
                return total
            total = larger

    return 16 * atan_of_inverse(5) - 4 * atan_of_inverse(239)


def _erf(x: Decimal) -> Decimal:
    """erf by a series of terms of one sign.

    2 / sqrt(pi) * exp(-x**2) * sum over n of 2**n * x**(2*n + 1) / (1 * 3 * ... * (2*n + 1)).
    """
    term = total = x
    n = 1
    while True:
        term *= 2 * x * x / (2 * n + 1)
        n += 1
        larger = total + term
        if larger == total:
            return 2 * (-x * x).exp() * total / _pi().sqrt()
        total = larger


def _gelu(x: Decimal) -> Decimal:
    return x * (1 + _erf(x / Decimal(2).sqrt())) / 2


def _softplus(x: Decimal) -> Decimal:
    return x + (1 + (-x).exp()).ln() if x > 0 else _log_of_one_more(x.exp())


def _log_of_one_more(e: Decimal) -> Decimal:
    """log(1 + e); for an e that is lost beside 1, e itself."""
    return (1 + e).ln() if e.adjusted() > -getcontext().prec else e


def _far_gelu(x: Fraction, bits: int) -> tuple[Fraction, int] | None:
    """The asymptotes of GELU: 0 on the left, x on the right, both from below; |x| * (1 - Phi(|x|)) < exp(-x**2 / 2)."""
    if x * x < 2 * log(2) * max(bits, 1) + 1:
        return None
    return (max(x, Fraction(0)), -1)


def _far_erf(x: Fraction, bits: int) -> tuple[Fraction, int] | None:
    """The asymptotes of erf: -1 and 1; 1 - erf(|x|) < exp(-x**2) for |x| > 1."""
    if x * x < log(2) * max(bits, 1) + 1:
        return None
    return (Fraction(1), -1) if x > 0 else (Fraction(-1), 1)


def _far_softplus(x: Fraction, bits: int) -> tuple[Fraction, int] | None:
    """The asymptotes of softplus: 0 on the left, x on the right, from above; the distance is below exp(-|x|)."""
    if abs(x) < log(2) * max(bits, 1) + 1:
        return None
    return (max(x, Fraction(0)), 1)


def _root(x: Fraction) -> Fraction | None:
    """The square root, if it is rational; else None."""
    above, below = isqrt(x.numerator), isqrt(x.denominator)
    exact = above * above == x.numerator and below * below == x.denominator
    return Fraction(above, below) if exact else None


def _inverse_root(x: Fraction) -> Fraction | None:
    root = _root(x)
    return None if root is None else 1 / root


def _erf_estimate(x: Array) -> Array:
    y: Array = np.vectorize(erf, otypes=[np.float64])(x)
    return y


def _gelu_estimate(x: Array) -> Array:
    """GELU by erfc, which keeps its relative precision in the left tail."""
    y: Array = x * np.vectorize(erfc, otypes=[np.float64])(-x / np.sqrt(2)) / 2
    return y


def _softplus_estimate(x: Array) -> Array:
    return np.logaddexp(x, 0)


BEYOND = Fraction(1 << 128)  # every output

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
    # exp, erf and log of a rational are transcendental where they are not 0 or 1; Siegel showed it for erf.
    "erf": ExactFunction(_erf_estimate, _at_zero(Fraction(0)), _erf, mirror=0, far=_far_erf),
    "gelu": ExactFunction(_gelu_estimate, _at_zero(Fraction(0)), _gelu, rising=None, far=_far_gelu),
    "inverse": ExactFunction(lambda x: 1 / x, lambda x: 1 / x if x else BEYOND, rising=None),
    "step": ExactFunction(lambda x: (x > 0) * 1.0, lambda x: Fraction(int(x > 0))),
    "softplus": ExactFunction(_softplus_estimate, lambda x: None, _softplus, far=_far_softplus),
    "log": ExactFunction(
        np.log, lambda x: Fraction(0) if x == 1 else None, Decimal.ln, positive_only=True, elsewhere="lowest"
    ),
    "sqrt": ExactFunction(np.sqrt, _root, Decimal.sqrt, positive_only=True, elsewhere="zero"),
    "rsqrt": ExactFunction(
        lambda x: 1 / np.sqrt(x), _inverse_root, lambda x: 1 / x.sqrt(), rising=False, positive_only=True
    ),
}
