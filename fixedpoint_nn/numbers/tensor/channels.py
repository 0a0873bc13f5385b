# SPDX-License-Identifier: MIT
"""Arithmetic with one value per channel (last axis).

NumPy has an overhead per inner row. Channels are few, so whole rows of pixels are processed as one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.numbers import reused_memory
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.elementwise import ElementwiseChain, ElementwiseStep

LONG_ENOUGH = 256


def _wide(x: Array) -> tuple[Array, int]:
    """(x as a matrix with `repeats` pixels per row, repeats)."""
    repeats = x.shape[-2] if x.ndim > 2 and x.shape[-1] < LONG_ENOUGH else 1
    return x.reshape(-1, repeats * x.shape[-1]), repeats


def each(function: Callable[..., Any], x: Array, vector: Array, out: Array | None = None) -> Array:
    """function(x, vector) along the last axis."""
    wide, repeats = _wide(x)
    along = np.tile(vector, repeats)
    if out is None:
        out = reused_memory.empty(x.shape, np.result_type(x, vector))
    function(wide, along, out=out.reshape(wide.shape))
    return out


def in_one_pass(*operations: tuple[Callable[..., Any], Array, Array, Array]) -> None:
    """out = function(a, b) for each (function, out, a, b), where b is like a or a vector along the last axis.

    With the compiled kernels all are done for one row before the next.
    """
    steps = []
    for function, out, a, b in operations:
        wide, repeats = _wide(np.atleast_1d(out))
        second = (
            b.reshape(wide.shape)
            if b.shape == out.shape
            else np.broadcast_to(np.tile(b, repeats), wide.shape)
        )
        steps.append(ElementwiseStep(function, wide[None], (a.reshape(wide.shape)[None], second[None])))
    ElementwiseChain(steps)(0)


def sums(x: Array) -> Array:
    """The sum over all axes but the last, (channels,), by BLAS."""
    rows = x.reshape(-1, x.shape[-1])
    return np.ones(len(rows), x.dtype) @ rows


def dots(a: Array, b: Array) -> Array:
    """The sum of a * b over all axes but the last: (channels,)."""
    wide, repeats = _wide(a)
    by_column = np.einsum("nk,nk->k", wide, b.reshape(wide.shape))
    return np.asarray(by_column.reshape(repeats, -1).sum(0))
