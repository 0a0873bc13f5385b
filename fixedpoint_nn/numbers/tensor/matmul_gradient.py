# SPDX-License-Identifier: MIT
"""Gradients of x @ w, where w is (k,), (k, n) or per group (groups, k, n); g is the product's gradient."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.numerics.arrays import Array


def weight_gradient(x: Array, w: Array, g: Array) -> Array:
    """The gradient of w, summed over all rows of x."""
    if w.ndim < 3:
        gradient: Array = x.reshape(-1, w.shape[0]).T @ g.reshape(-1, *w.shape[1:])
        return gradient
    rows, by_group = _by_group(x, w, g)
    return np.asarray(rows.transpose(0, 2, 1) @ by_group)


def row_gradient(x: Array, w: Array, g: Array) -> Array:
    """The gradient of x, in x's shape."""
    if w.ndim < 3:
        flat = g.reshape(-1, *w.shape[1:])
        rows: Array = flat @ w.T if w.ndim == 2 else np.outer(flat, w)
        return rows.reshape(x.shape)
    _, by_group = _by_group(x, w, g)
    back: Array = np.moveaxis(by_group @ w.transpose(0, 2, 1), 0, 1).reshape(x.shape)
    return back


def _by_group(x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    """(x as (groups, rows, k), g as (groups, rows, n))."""
    groups, taps, outputs = w.shape
    return (
        np.moveaxis(x.reshape(-1, groups, taps), 1, 0),
        np.moveaxis(g.reshape(-1, groups, outputs), 1, 0),
    )
