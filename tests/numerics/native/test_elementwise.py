# SPDX-License-Identifier: MIT
"""A chain of float operations has NumPy's bits, at every level of instructions that this machine has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native import elementwise
from fixedpoint_nn.numerics.native.elementwise import (
    FUNCTIONS,
    ElementwiseChain,
    ElementwiseStep,
    passed_where_positive,
    self_test,
)
from fixedpoint_nn.numerics.native.library import Kernels, available

LEVELS = available()
ODD = np.array([0.0, -0.0, 1e-45, -1e-40, 3e38, -3e38, np.inf, 1.0, -1.5, 2.5], np.float32)


class NoKernels:
    """In place of the chosen kernels: none."""

    kernels = None


@pytest.fixture(params=[None, *LEVELS], ids=lambda kernels: kernels.name if kernels else "NumPy")
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kernels | None:
    if request.param is None:
        monkeypatch.setattr(elementwise, "chosen", NoKernels)
    return request.param  # type: ignore[no-any-return]


def bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.uint32)


def pairs() -> tuple[Array, Array]:
    """Every pair of odd numbers, over three times and five rows."""
    a, b = np.meshgrid(ODD, ODD)
    return np.tile(a.ravel(), (3, 5, 1)), np.tile(b.ravel(), (3, 5, 1))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_operation_rounds_as_numpy_does(kernels: Kernels | None, function: Any) -> None:
    a, b = pairs()
    operands = (a,) if function in (np.positive, np.negative) else (a, b)
    out = np.full_like(a, 7)
    chain = ElementwiseChain([ElementwiseStep(function, out, operands)], kernels=kernels)
    with np.errstate(all="ignore"):
        chain(1)
        wanted = function(*(operand[1] for operand in operands))
    number = ~np.isnan(wanted)
    assert np.array_equal(bits(out[1])[number], bits(wanted)[number])
    assert np.isnan(out[1][~number]).all() and (out[[0, 2]] == 7).all()


def test_a_chain_reads_columns_rows_and_single_values_and_may_write_to_what_it_reads(
    kernels: Kernels | None,
) -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4, 6, 50), np.float32)
    other = rng.standard_normal((6, 4, 20), np.float32).transpose(1, 0, 2)
    row = rng.standard_normal(20, np.float32)
    before, part = z.copy(), z[..., 10:30]
    steps = [
        ElementwiseStep(np.add, part, (part, other)),
        ElementwiseStep(np.multiply, part, (part, np.broadcast_to(row, part.shape))),
        ElementwiseStep(np.subtract, part, (np.broadcast_to(np.float32(1), part.shape), part)),
        ElementwiseStep(passed_where_positive, part, (part, other)),
    ]
    chain = ElementwiseChain(steps, kernels=kernels)
    for t in (3, 1, 0, 2):
        chain(t)
    wanted = before.copy()
    wanted[..., 10:30] = (1 - (before[..., 10:30] + other) * row) * (other > 0)
    assert np.array_equal(z, wanted)
    assert (chain._operations is None) == (kernels is None)


def test_what_passes_from_step_to_step_has_one_row_in_the_kernels(kernels: Kernels | None) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 2, 3, 40), np.float32)
    between, out = np.full_like(a, 7), np.zeros_like(a)
    steps = [ElementwiseStep(np.add, between, (a, b)), ElementwiseStep(np.multiply, out, (between, between))]
    ElementwiseChain(steps, {id(between)}, kernels)(1)
    assert np.array_equal(out[1], (a + b)[1] ** 2)
    assert np.array_equal(between[1, 0], (a + b)[1, 2 if kernels else 0])
    assert (between[1, 1:] == 7).all() == (kernels is not None)


def test_what_the_kernels_do_not_take_numpy_computes() -> None:
    a, b = pairs()
    doubles = a.astype(np.float64)
    spread = np.zeros((3, 5, 200), np.float32)[..., ::2]
    with np.errstate(all="ignore"):
        for function, out, operand in (
            (np.add, np.zeros_like(doubles), doubles),
            (np.divide, np.zeros_like(a), a),
            (np.add, spread, a),
            (np.add, np.zeros_like(a), np.ones((3, 5, 200), np.float32)[..., ::2]),
        ):
            chain = ElementwiseChain([ElementwiseStep(function, out, (operand, b))])
            assert chain._operations is None
            chain(2)
            assert np.array_equal(out[2], function(operand[2], b[2]), equal_nan=True)


def test_no_rows_are_no_work(kernels: Kernels | None) -> None:
    nothing = np.zeros((2, 0, 5), np.float32)
    half = np.broadcast_to(np.float32(0.5), nothing.shape)
    ElementwiseChain([ElementwiseStep(np.multiply, nothing, (nothing, half))], kernels=kernels)(1)


@pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
def test_the_self_test_notices_an_operation_that_gives_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [self_test(level) for level in LEVELS] == [""] * len(LEVELS)
    monkeypatch.setattr(elementwise, "FUNCTIONS", (*FUNCTIONS[:3], FUNCTIONS[4], FUNCTIONS[3], FUNCTIONS[5]))
    assert self_test(LEVELS[-1]) == "float operations element by element, multiply"
