# SPDX-License-Identifier: MIT
"""The arithmetic of lanes and requantiser on arrays: the twin of lane.v, drain.v and requantize.v."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.mode_codes import overflow_of, rounding_of
from fixedpoint_nn.numerics.overflow import fit
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, shift_right

Flags = NDArray[np.bool_]
HIGH_PRODUCT = 31  # bits dropped by the first of two roundings


def totals(config: EngineConfig, run: Run, operand: Ints, multiplier: Ints) -> tuple[Ints, Flags]:
    """(sums, overflow flags), each (pixels, tiles, lanes); a flag tells that a modelled accumulator lost bits.

    The operands are (pixels, tiles, taps, lanes) or broadcast to it. If groups of lanes are joined, the last axis has
    one sum for each lane of a group.
    """
    if run.maximum:
        operand, multiplier = np.broadcast_arrays(operand, multiplier)
        largest = operand.argmax(axis=2, keepdims=True)
        best = np.take_along_axis(operand, largest, 2) * np.take_along_axis(multiplier, largest, 2)
        sums = best[:, :, 0]
    elif run.modelled and config.model_width and config.model_saturate:
        return _fitted(config, _quantised(config, operand * multiplier))
    elif run.modelled and config.product_bits:
        sums = _quantised(config, operand * multiplier).sum(axis=2)
    elif not run.paired and operand.shape[3] == 1 and operand.shape[1] == 1:
        columns = multiplier[0].transpose(1, 0, 2).reshape(multiplier.shape[2], -1)
        sums = _matmul(operand[:, 0, :, 0], columns).reshape(len(operand), -1, multiplier.shape[3])
    else:
        sums = (operand * multiplier).sum(axis=2)
    if run.modelled and config.model_width:
        half = 1 << config.model_width - 1
        wrapped = np.asarray((sums + half & (2 * half - 1)) - half)
        return wrapped, np.asarray(wrapped != sums)
    if run.joined:
        sums = sums.reshape(*sums.shape[:2], 1 << run.groups, -1).sum(axis=2)
    return sums, np.zeros(sums.shape, bool)


def factors(config: EngineConfig, run: Run, words: Ints, weight: Ints | None) -> tuple[Ints, Ints]:
    """(operands, multipliers) of all products, both broadcastable to (pixels, tiles, taps, lanes).

    `words`, the activations that the steps read, is (pixels, tiles, steps, lanes or 1); `weight` is (tiles, taps,
    lanes), or None if only padding is read.
    """
    if run.paired:
        return words[:, :, 0::2], words[:, :, 1::2]
    shape = (1, 1 if run.per_tile else run.counts[3], words.shape[2], config.lanes)
    return words, (np.zeros(shape, np.int64) if weight is None else weight[None]).astype(np.int64)


def _quantised(config: EngineConfig, products: Ints) -> Ints:
    if not config.product_bits:
        return products
    quantizer = Quantizer(
        QFormat(config.product_bits, 0, bool(config.product_signed)),
        rounding_of(config.product_rounding),
        overflow_of(config.product_overflow),
    )
    return quantizer.from_ints(products, config.product_shift)


def _fitted(config: EngineConfig, products: Ints) -> tuple[Ints, Flags]:
    """Sums of products in order, brought into their range at every step."""
    format, overflow = QFormat(config.model_width, 0), overflow_of(config.model_saturate)
    total = np.zeros(products.shape[:2] + products.shape[3:], np.int64)
    lost = np.zeros(total.shape, bool)
    for k in range(products.shape[2]):
        exact = total + products[:, :, k]
        total = fit(exact, format, overflow)
        lost |= total != exact
    return total, lost


def _matmul(a: Ints, b: Ints) -> Ints:
    """a @ b: exact in float64 while the sum of absolute products stays below 2**53, else in int64."""
    bound = int(np.abs(a).max(initial=0)) * int(np.abs(b).sum(axis=0).max(initial=0))
    if bound < 1 << 53:
        return np.asarray((a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64))
    return np.asarray(a @ b)


def requantized_sums(run: Run, sums: Ints, parameters: Ints) -> tuple[Ints, int]:
    """(words before any table, number of saturations) of sums (pixels, channels).

    The columns of `parameters` (channels, 2 or 3) are shift, bias, and the multiplier if the engine has one.
    """
    if parameters.shape[1] == 2:
        return _rounded(run, sums + parameters[:, 1], parameters[:, 0], rounding_of(run.rounding))
    values, shifts = exact_products(sums + parameters[:, 1], parameters[:, 2]), parameters[:, 0]
    if not run.twice:
        return _rounded(run, values, shifts, rounding_of(run.rounding))
    words, far = np.zeros(sums.shape, np.int64), shifts > HIGH_PRODUCT
    high = values[:, far] + (1 << HIGH_PRODUCT - 1) >> HIGH_PRODUCT
    words[:, far], misfits = _rounded(run, high, shifts[far] - HIGH_PRODUCT, rounding_of(run.rounding))
    words[:, ~far], more = _rounded(run, values[:, ~far], shifts[~far], Rounding.HALF_UP)
    return words, misfits + more


def exact_products(biased: Ints, multipliers: Ints) -> Ints:
    """The exact products, as int64 if all fit, else as Python integers."""
    if int(np.abs(biased).max(initial=0)) * int(np.abs(multipliers).max(initial=0)) >> 62:
        biased, multipliers = biased.astype(object), multipliers.astype(object)
    return np.asarray(biased * multipliers)


def _rounded(run: Run, values: Ints, shifts: Ints, rounding: Rounding) -> tuple[Ints, int]:
    """(words, number of saturations): shifted by each channel's shift, rounded, and fitted to the word."""
    if run.relu_before:
        values = np.maximum(values, 0)
    format, overflow = QFormat(run.out_bits, 0, run.out_signed), overflow_of(run.overflow)
    if run.leak:
        shifts = shifts + run.leak * np.asarray(values < 0, bool)
    words, misfits = np.zeros(values.shape, np.int64), 0
    for shift in np.unique(shifts).tolist():
        # Shifts of whole channels, of some words, or of all words.
        here = (slice(None), shifts == shift) if shifts.ndim == 1 else shifts == shift
        all_of_it = shifts.ndim == 1 and bool(here[1].all())
        rounded = shift_right(values if all_of_it else values[here], shift, rounding)
        fitted = fit(rounded, format, overflow)
        misfits += int((fitted != rounded).sum())
        if all_of_it:
            words = fitted.astype(np.int64)
        else:
            words[here] = fitted
    return (np.maximum(words, 0) if run.relu_after else words), misfits
