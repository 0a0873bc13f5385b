# SPDX-License-Identifier: MIT
"""Weights rounded so that a layer's outputs stay, not its weights: least squares over integers, without labels.

With rows x of the float network and y of the rounded one, the integers Q of a matrix W shall make y @ Q close to
x @ W. The best real matrix is W* = W + (Y'Y)^-1 (Y'X - Y'Y) W; it is rounded row by row, and what rounding one row
does wrong is made good by the rows that are still to come (Frantar et al., Optimal Brain Compression and GPTQ,
2022); a few passes of coordinate descent improve single integers. The bias takes what is left of the means.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.layer_inputs import InputMoments

DAMPING = 0.01  # of the mean diagonal: rows that hardly occur stay as they are
PASSES = 3  # over all rows, to improve single integers
CANDIDATES = (-1, 0, 1)  # steps that are tried, in powers of two from the plan's
FARTHEST = 4  # a channel's step is at most 2**4 times finer than the coarsest channel's


def _covariances(moments: InputMoments) -> tuple[Array, Array]:
    """Y'Y and Y'X without their means, and the first one damped."""
    n = moments.count
    yy = moments.yy - np.outer(moments.y, moments.y) / n
    yx = moments.yx - np.outer(moments.y, moments.x) / n
    damping = DAMPING * max(float(np.mean(np.diag(yy))), 1e-12)
    return yy + damping * np.eye(len(yy)), yx + damping * np.eye(len(yy))


def best_reals(weight: Array, yy: Array, yx: Array) -> Array:
    """The real matrix whose outputs from the rounded inputs are closest to the exact ones."""
    return np.asarray(np.linalg.solve(yy, yx @ weight))


def round_rows(weight: Array, steps: Array, low: int, high: int, yy: Array) -> Array:
    """The matrix on its steps; each row's error is compensated by the rows after it."""
    order = np.argsort(-np.diag(yy), kind="stable")
    inverse = np.linalg.inv(yy[np.ix_(order, order)])
    upper = np.linalg.cholesky((inverse + inverse.T) / 2).T  # inverse = upper' @ upper
    left, rounded = weight[order].copy(), np.empty_like(weight)
    for i in range(len(order)):
        rounded[order[i]] = np.clip(np.rint(left[i] / steps), low, high) * steps
        error = (left[i] - rounded[order[i]]) / upper[i, i]
        left[i + 1 :] -= np.outer(upper[i, i + 1 :], error)
    return rounded


def polish(rounded: Array, wanted: Array, steps: Array, low: int, high: int, yy: Array) -> Array:
    """Row by row the best integers given all other rows, a few times over; the output error only falls."""
    rounded = rounded.copy()
    slope = yy @ (rounded - wanted)  # half the gradient of the error
    for _ in range(PASSES):
        for k in range(len(rounded)):
            best = np.clip(np.rint((rounded[k] - slope[k] / yy[k, k]) / steps), low, high) * steps
            change = best - rounded[k]
            if change.any():
                rounded[k] = best
                slope += np.outer(yy[:, k], change)
    return rounded


def output_error(difference: Array, yy: Array) -> Array:
    """The squared error of each channel's outputs."""
    return np.asarray(np.einsum("kc,kc->c", difference, yy @ difference))


def round_matrix(
    weight: Array, entry: Quantizer | ChannelQuantizer, moments: InputMoments
) -> tuple[Array, Quantizer | ChannelQuantizer]:
    """The rounded matrix, and its quantizer with the steps that served best; floats that the quantizer keeps."""
    by_channel = isinstance(entry, ChannelQuantizer)
    base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
    low, high = limits(base.format, base.overflow)
    yy, yx = _covariances(moments)
    wanted = best_reals(weight.astype(np.float64), yy, yx)
    powers = np.broadcast_to(np.log2(np.atleast_1d(entry.step)), weight.shape[-1:]).astype(int)
    tried = []
    for change in CANDIDATES:
        rounded = round_rows(wanted, np.exp2(powers + change), low, high, yy)
        tried.append((rounded, output_error(rounded - wanted, yy)))
    errors = np.stack([error for _, error in tried])
    if not by_channel:
        errors = np.broadcast_to(errors.sum(1, keepdims=True), errors.shape)
    chosen = powers + np.array(CANDIDATES)[errors.argmin(0)]
    chosen = np.maximum(chosen, chosen.max() - FARTHEST)
    steps = np.exp2(chosen)
    rounded = polish(round_rows(wanted, steps, low, high, yy), wanted, steps, low, high, yy)
    return rounded, with_powers(base, chosen if by_channel else chosen[:1])


def with_powers(base: Quantizer, powers: Array) -> Quantizer | ChannelQuantizer:
    """The quantizer with steps of these powers of two, one or one for each channel."""
    coarsest = int(powers.max())
    bits, signed = base.format.bits, base.format.signed
    moved = replace(base, format=QFormat(bits + coarsest, -coarsest, signed))
    return (
        moved
        if powers.size == 1
        else ChannelQuantizer(moved, tuple(int(power) - coarsest for power in powers))
    )


def mean_shift(weight: Array, rounded: Array, moments: InputMoments) -> Array:
    """What the bias has to make good: the mean output of the exact layer minus that of the rounded one."""
    return np.asarray((moments.x @ weight - moments.y @ rounded) / moments.count)
