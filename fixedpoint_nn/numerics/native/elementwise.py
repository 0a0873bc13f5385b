# SPDX-License-Identifier: MIT
"""Chains of float operations element by element, by the compiled kernels row by row or by NumPy one after the other.

Both give the same bits: each operation is one addition or product of IEEE floats, rounded by itself.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.library import MORE_TESTS, Kernels, chosen


def passed_where_positive(g: Array, y: Array, out: Array | None = None) -> Array:
    """g * (y > 0), the gradient of ReLU from its result y."""
    return np.multiply(g, y > 0, out=out)


# In the order of their codes in elementwise.h.
FUNCTIONS: tuple[Callable[..., Any], ...] = (
    np.positive,
    np.negative,
    np.add,
    np.subtract,
    np.multiply,
    passed_where_positive,
)


ONE_VALUE = (0, 0, 0)  # the strides of an array of one value, which must not change


class _Elementwise(ctypes.Structure):
    """The structure `Elementwise` of elementwise.h."""

    _fields_ = [
        ("kind", ctypes.c_int64),
        ("width", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("a", "b", "out")),
        *((name, ctypes.c_int64) for name in ("a_row", "b_row", "out_row", "a_step", "b_step", "out_step")),
    ]


@dataclass(frozen=True)
class ElementwiseStep:
    """out[t] = function(*operands[t]): arrays (time, rows, columns) of one shape, which may have strides of 0."""

    function: Callable[..., Any]
    out: Array
    operands: tuple[Array, ...]


class ElementwiseChain:
    """Steps on arrays with the same rows; calling it with t runs them, in their order, at time t.

    The arrays whose ids are in `passing` are read by later steps of the chain alone: the kernels keep one row of them.
    With `kernels`, these are used instead of the chosen ones.
    """

    def __init__(
        self,
        steps: Sequence[ElementwiseStep],
        passing: Collection[int] = (),
        kernels: Kernels | None = None,
    ) -> None:
        self.steps, self._passing = steps, passing
        self.rows = steps[0].out.shape[1]
        self._kernels = kernels or chosen().kernels
        self._kept: list[Array] = []
        compiled = self._kernels is not None and all(map(self._is_compiled, steps))
        self._operations = (_Elementwise * len(steps))(*map(self._described, steps)) if compiled else None

    def __call__(self, t: int) -> None:
        if self._operations is not None:
            assert self._kernels is not None
            self._kernels.elementwise(self._operations, self.rows, t)
            return
        for step in self.steps:
            step.function(*(operand[t] for operand in step.operands), out=step.out[t])

    @staticmethod
    def _is_compiled(step: ElementwiseStep) -> bool:
        if not step.out.size:
            return False
        floats = all(array.dtype == np.float32 for array in (step.out, *step.operands))
        rows = all(_has_rows(array) or array.strides == ONE_VALUE for array in step.operands)
        return step.function in FUNCTIONS and floats and rows and _has_rows(step.out)

    def _described(self, step: ElementwiseStep) -> _Elementwise:
        a, *more = map(self._rows_of, step.operands)
        b = more[0] if more else a
        arrays = (a, b, step.out)
        return _Elementwise(
            FUNCTIONS.index(step.function),
            step.out.shape[2],
            *(array.__array_interface__["data"][0] for array in arrays),
            *(0 if id(array) in self._passing else array.strides[1] // array.itemsize for array in arrays),
            *(array.strides[0] // array.itemsize for array in arrays),
        )

    def _rows_of(self, array: Array) -> Array:
        if array.strides != ONE_VALUE:
            return array
        self._kept.append(np.full(array.shape[2:], array.flat[0]))
        return np.broadcast_to(self._kept[-1], array.shape)


def _has_rows(array: Array) -> bool:
    """Whether neighbours in a row are neighbours in memory."""
    return bool(array.strides[2] == array.itemsize)


def self_test(kernels: Kernels) -> str:
    """Compare every operation with NumPy's, of large and small numbers; returns what differs, empty if nothing."""
    rng = np.random.default_rng(0)
    shape = (3, 2, 3, 37)
    a, b, c = np.ldexp(rng.standard_normal(shape, np.float32), rng.integers(-40, 40, shape))
    for function in FUNCTIONS:
        operands = (a, b) if function not in FUNCTIONS[:2] else (a,)
        first, out = np.zeros_like(a), np.zeros_like(a)
        steps = (ElementwiseStep(function, first, operands), ElementwiseStep(np.add, out, (first, c)))
        chain = ElementwiseChain(steps, kernels=kernels)
        chain(1)
        expected = function(*(operand[1] for operand in operands)) + c[1]
        if not np.array_equal(out[1], expected) or out[0].any():
            return f"float operations element by element, {function.__name__}"
    return ""


MORE_TESTS.append(self_test)
