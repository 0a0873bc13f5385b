# SPDX-License-Identifier: MIT
"""Every function behind `lookup` and its derivative, against mpmath, in both precisions and in place."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from fixedpoint_nn.numbers.functions import FUNCTIONS
from tests.numerics.test_table import FUNCTIONS as EXACT

XS = np.array([-4.5, -2.25, -1.0, -0.375, -0.0625, 0.0625, 0.25, 0.75, 1.0, 1.5, 3.0, 4.5])
PRECISION = {"f4": 4e-6, "f8": 1e-14}  # times the larger of 1 and the value, and more for sums that cancel


def points(name: str) -> np.ndarray:
    return XS[XS > 0] if name in ("log", "sqrt", "rsqrt", "reciprocal") else XS


def close(got: np.ndarray, expected: list[float], kind: str) -> bool:
    margin = PRECISION[kind] * np.maximum(np.abs(expected), 1)
    return got.dtype == kind and bool((np.abs(got - expected) <= margin).all())


@pytest.mark.parametrize("kind", PRECISION)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_slopes_are_those_of_the_function(name: str, kind: str) -> None:
    function, x = FUNCTIONS[name], points(name).astype(kind)
    values = [float(EXACT[name](mpmath.mpf(float(one)))) for one in x]
    slopes = [float(mpmath.diff(EXACT[name], float(one))) for one in x]
    before = x.copy()
    y = function.value(x)
    assert close(y, values, kind) and np.array_equal(x, before)
    assert close(function.gradient(x, y), slopes, kind)
    assert np.array_equal(x, before)
    out = np.empty_like(x)
    assert function.value(x, out=out) is out and close(out, values, kind)
    assert function.value(x, out=x) is x and close(x, values, kind)
    if function.slope is not None:
        assert function.slope(y, out=out) is out and close(out, slopes, kind)


def test_a_step_is_open_at_zero_and_flat_everywhere() -> None:
    x = np.array([-1.0, -0.0, 0.0, 5e-324, 0.5, 2.0])
    assert FUNCTIONS["step"].value(x).tolist() == [0, 0, 0, 1, 1, 1]
    assert FUNCTIONS["step"].gradient(x, x).tolist() == [0] * 6


def test_what_would_overflow_on_the_way_does_not() -> None:
    x = np.array([-800.0, 800.0])
    with np.errstate(all="raise", under="ignore"):
        assert FUNCTIONS["sigmoid"].value(x).tolist() == [0, 1]
        assert FUNCTIONS["softplus"].value(x).tolist() == [0, 800]
        assert FUNCTIONS["softplus"].gradient(x, np.array([0.0, 800.0])).tolist() == [0, 1]
