# SPDX-License-Identifier: MIT
"""Every function's digits, fractions, estimates and tails, against mpmath."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fixedpoint_nn.numerics.exact_functions import EXACT_FUNCTIONS
from tests.numerics.test_table import FUNCTIONS

POINTS = [Fraction(n, 64) for n in (1, 7, 31, 64, 65, 96, 127, 200, 448, 640, 1600)]
POINTS += [-x for x in POINTS]
DIGITS = 40


def points(name: str) -> list[Fraction]:
    return [x for x in POINTS if x > 0 or not EXACT_FUNCTIONS[name].positive_only]


def reference(name: str, x: Fraction) -> mpmath.mpf:
    return FUNCTIONS[name](mpmath.mpf(x.numerator) / x.denominator)


@pytest.mark.parametrize("name", [name for name, function in EXACT_FUNCTIONS.items() if function.decimal])
def test_digits_are_those_of_the_function(name: str) -> None:
    decimal = EXACT_FUNCTIONS[name].decimal
    assert decimal is not None
    for digits in (DIGITS, 2 * DIGITS):
        with (
            mpmath.workdps(3 * DIGITS),
            localcontext(Context(prec=digits, Emin=-999999999999999999, Emax=999999999999999999)),
        ):
            for x in points(name):
                got = decimal(Decimal(x.numerator) / Decimal(x.denominator))
                expected = reference(name, x)
                margin = max(abs(expected), 1) * (1 + abs(x)) * mpmath.mpf(10) ** (4 - digits)
                assert abs(mpmath.mpf(str(got)) - expected) < margin, x


def test_the_logarithm_of_nearly_one_keeps_its_digits() -> None:
    """softplus far on the left is exp(x), which would be lost beside 1."""
    decimal = EXACT_FUNCTIONS["softplus"].decimal
    assert decimal is not None
    with mpmath.workdps(3 * DIGITS), localcontext(Context(prec=DIGITS)):
        for x in (-80, -90, -91, -92, -93, -94, -100, -500):
            got, expected = mpmath.mpf(str(decimal(Decimal(x)))), mpmath.log1p(mpmath.exp(x))
            lost = mpmath.mpf(10) ** (3 - DIGITS)  # in all, and of the value where nothing is added to 1
            assert abs(got - expected) < (lost * expected if x <= -100 else lost)
            assert got > 0


@pytest.mark.parametrize("name", EXACT_FUNCTIONS)
def test_estimates_are_as_close_as_tables_need(name: str) -> None:
    xs = points(name)
    with mpmath.workdps(DIGITS), np.errstate(over="ignore"):
        expected = np.array([float(reference(name, x)) for x in xs])
        got = EXACT_FUNCTIONS[name].estimate(np.array([float(x) for x in xs]))
    assert (np.abs(got - expected) <= np.abs(expected) * 2.0**-40).all()


def test_a_step_is_open_at_zero() -> None:
    assert EXACT_FUNCTIONS["step"].estimate(np.array([-1.0, -0.0, 0.0, 5e-324, 2.0])).tolist() == [
        0,
        0,
        0,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("sigmoid", 0, Fraction(1, 2)), ("tanh", 0, Fraction(0)), ("exp", 0, Fraction(1)), ("erf", 0, Fraction(0)),
        ("gelu", 0, Fraction(0)), ("softplus", 0, None), ("log", 1, Fraction(0)), ("log", 2, None),
        ("reciprocal", 8, Fraction(1, 8)), ("inverse", -8, Fraction(-1, 8)), ("inverse", 0, Fraction(1 << 128)),
        ("step", 0, Fraction(0)), ("step", -3, Fraction(0)), ("step", Fraction(1, 9), Fraction(1)),
        ("sqrt", 9, Fraction(3)), ("sqrt", Fraction(4, 9), Fraction(2, 3)), ("sqrt", 2, None),
        ("sqrt", Fraction(4, 3), None), ("sqrt", Fraction(3, 4), None), ("rsqrt", Fraction(4, 9), Fraction(3, 2)),
        ("rsqrt", 2, None), ("sigmoid", 1, None), ("tanh", 1, None), ("exp", 1, None), ("erf", 1, None),
        ("gelu", 1, None),
    ],
)  # fmt: skip
def test_values_that_are_fractions_are_known(name: str, at: int | Fraction, value: Fraction | None) -> None:
    assert EXACT_FUNCTIONS[name].rational(Fraction(at)) == value


REACH = {"gelu": 9, "softplus": 30, "erf": 7}  # which is far out for 40 bits


@pytest.mark.parametrize("bits", [-3, 0, 1, 2, 3, 5, 9, 20, 40])
@pytest.mark.parametrize("name", REACH)
def test_far_out_a_function_is_as_close_to_a_line_as_it_says(name: str, bits: int) -> None:
    far = EXACT_FUNCTIONS[name].far
    assert far is not None
    found = []
    with mpmath.workdps(2 * DIGITS):
        for step in range(-64, 65):
            x = Fraction(step * REACH[name], 64)
            line = far(x, bits)
            if line is None:
                assert abs(x) < REACH[name]
                continue
            value, side = line
            found.append(x)
            assert value == (-1 if x < 0 else 1) if name == "erf" else value == max(x, 0)
            distance = (reference(name, x) - mpmath.mpf(value.numerator) / value.denominator) * side
            assert 0 < distance < mpmath.mpf(2) ** -bits, x
    assert min(found) < 0 < max(found)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp"])
def test_beyond_its_tail_a_function_passes_no_half_step(name: str) -> None:
    function = EXACT_FUNCTIONS[name]
    assert function.tail is not None
    with mpmath.workdps(DIGITS):
        for bits in range(40):
            x = Fraction(function.tail(bits))
            ends = (-1, 1) if function.tail_on_the_right else (-1,)
            for sign in ends:
                limit = round(float(reference(name, sign * 10 * x)))
                assert abs(reference(name, sign * x) - limit) < mpmath.mpf(2) ** (-bits - 1)
            assert x <= 2 + bits, "and begins no further out than it must, by little"
