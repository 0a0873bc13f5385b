# SPDX-License-Identifier: MIT
"""Layer-wise rounding of weights that minimises the error of the layer's outputs, by integer least squares.

With rows x of the float network and y of the rounded network, the integers Q of a matrix W minimise |y @ Q - x @ W|.
The best real matrix for these rows is W + (Y'Y)^-1 (Y'X - Y'Y) W. W* is half-way to it, because what fits few rows
best does not fit others best. W* is rounded row by row, and the error of each row is compensated by the rows after it
(Frantar et al., Optimal Brain Compression and GPTQ, 2022); a few passes of coordinate descent improve single integers.
The bias corrects the remaining mean error.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.precision.layer_inputs import InputMoments

DAMPING = 0.01  # of the mean diagonal, so that rows with little data hardly change
TRUST = 0.5  # the share of the way from W to the best real matrix of the samples
PASSES = 3  # of coordinate descent
CANDIDATES = (-1, 0, 1)  # steps to try, in powers of two relative to the plan's
FARTHEST = 4  # a channel's step is at most 2**4 times finer than the coarsest channel's


def _covariances(moments: InputMoments) -> tuple[Array, Array]:
    """The centred Y'Y, damped, and Y'X, both (inputs, inputs)."""
    n = moments.count
    yy = moments.yy - np.outer(moments.y, moments.y) / n
    yx = moments.yx - np.outer(moments.y, moments.x) / n
    damping = DAMPING * max(float(np.mean(np.diag(yy))), 1e-12)
    return yy + damping * np.eye(len(yy)), yx + damping * np.eye(len(yy))


def best_reals(weight: Array, yy: Array, yx: Array) -> Array:
    """The real matrix whose outputs from the rounded inputs are closest to the exact ones, (inputs, outputs)."""
    return np.asarray(np.linalg.solve(yy, yx @ weight))


def round_rows(weight: Array, steps: Array, low: int, high: int, yy: Array) -> Array:
    """The weight rounded to multiples of `steps` (outputs,), each row's error compensated by the rows after it."""
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
    """Coordinate descent: row by row the best integers given all other rows, in several passes.

    The output error never increases.
    """
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
    """The squared output error of each channel, (outputs,), for a weight error `difference`."""
    return np.asarray(np.einsum("kc,kc->c", difference, yy @ difference))


def round_matrix(
    weight: Array, entry: Quantizer | ChannelQuantizer, moments: InputMoments
) -> tuple[Array, Quantizer | ChannelQuantizer]:
    """(rounded matrix as floats, its quantizer) with the steps of the smallest output error."""
    by_channel = isinstance(entry, ChannelQuantizer)
    base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
    low, high = limits(base.format, base.overflow)
    yy, yx = _covariances(moments)
    exact = weight.astype(np.float64)
    wanted = exact + TRUST * (best_reals(exact, yy, yx) - exact)
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
    """The quantizer with steps 2**powers, one or one per channel."""
    coarsest = int(powers.max())
    bits, signed = base.format.bits, base.format.signed
    moved = replace(base, format=QFormat(bits + coarsest, -coarsest, signed))
    return (
        moved
        if powers.size == 1
        else ChannelQuantizer(moved, tuple(int(power) - coarsest for power in powers))
    )


def mean_shift(weight: Array, rounded: Array, moments: InputMoments) -> Array:
    """The correction of the bias, (outputs,): the exact layer's mean output minus the rounded layer's."""
    return np.asarray((moments.x @ weight - moments.y @ rounded) / moments.count)
