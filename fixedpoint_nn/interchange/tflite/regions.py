# SPDX-License-Identifier: MIT
"""Pooling and means."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant, integer_format
from fixedpoint_nn.interchange.affine.multiplier import quantized_multiplier
from fixedpoint_nn.interchange.affine.regions import AxesMean, AxesMinimum, WindowMean
from fixedpoint_nn.interchange.affine.rescale import Clamp, Rescale
from fixedpoint_nn.interchange.affine.rescaling import landing, multiplied_twice
from fixedpoint_nn.interchange.tflite.geometry import MOST_COPIES, check_work, padding_of
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue, same_scale
from fixedpoint_nn.layers.pooling import Largest, MaxPool2D
from fixedpoint_nn.layers.structure import Reshape, Sequential
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable


def average_pool_2d(step: TfliteStep) -> Made:
    """Convert AVERAGE_POOL_2D: the mean of the codes q, ties away from zero, without padding."""
    x, kernel, stride, padding = _pool(step)
    output, codes = step.output(), step.activation_range()
    zero = x.tensor.zero
    rows, columns = (
        _inside(*about) for about in zip(x.shape, kernel, stride, padding, (output.shape[1], output.shape[2]))
    )
    counts = (rows[:, np.newaxis] * columns)[np.newaxis, :, :, np.newaxis]
    if (counts == counts.flat[0]).all():
        counts = counts.reshape(-1)[:1].reshape(())
    most = int(counts.max()) * max(-x.tensor.codes[0], x.tensor.codes[1])
    multipliers, shift = reciprocals(counts, most)
    format, clamp = landing_of_codes(step, codes, zero)
    rescale = Rescale(
        fixed_constant(multipliers, shift),
        out=Quantizer(format, Rounding.HALF_AWAY, Overflow.SATURATE, step.name),
        clamp=clamp,
    )
    offset = fixed_constant(counts * zero) if zero else None
    return Made(WindowMean(rescale, kernel, stride, padding, offset), (x,), codes)


def _inside(size: int, kernel: int, stride: int, padding: Pair, count: int) -> Ints:
    """The number of elements of each window, along one axis, that are inside the image."""
    first = np.arange(count, dtype=np.int64) * stride - padding[0]
    return np.minimum(first + kernel, size) - np.maximum(first, 0)


def reciprocals(counts: Any, most: int) -> tuple[Any, int]:
    """(m, s) with round(S * m / 2**s) = round(S / n), ties away from zero, for every |S| up to `most`.

    With m = ceil(2**s / n) and e = n * m - 2**s, |S * m / 2**s| exceeds |S / n| by |S| * e / (n * 2**s). So ties go
    away from zero, and no other S / n, which is at least 1 / 2n below its next tie, reaches that tie if 2 * |S| * e <
    2**s.
    """
    for shift in range(1, 61):
        multipliers = -(-(1 << shift) // counts)
        if (2 * most * (counts * multipliers - (1 << shift)) < 1 << shift).all():
            return multipliers, shift
    raise Unsuited(f"takes the mean of {int(np.max(counts))} values")


def landing_of_codes(step: TfliteStep, codes: tuple[int, int], zero: int) -> tuple[QFormat, Clamp | None]:
    """(format, clamp) for rounded codes q: saturated to their type, centred, clamped."""
    if not zero:
        return landing(*codes, step.name)
    low, high = step.output().codes
    table = ValueTable.of(
        "clamp",
        lambda q: min(max(q - zero, codes[0]), codes[1]),
        integer_format(low, high),
        integer_format(*codes),
        step.name,
    )
    return integer_format(low, high), Clamp(table)


def max_pool_2d(step: TfliteStep) -> Made:
    """Convert MAX_POOL_2D; padding is never the maximum."""
    x, kernel, stride, padding = _pool(step)
    low, high = step.activation_range()
    codes = max(low, x.low), min(high, x.high)
    pool = MaxPool2D(kernel, stride, padding)
    if codes == x.range:
        return Made(pool, (x,), codes)
    table = ValueTable.of(
        "clamp", lambda c: min(max(c, low), high), x.format, integer_format(*codes), step.name
    )
    clamp = Clamp(table) if x.format.bits <= 9 else Clamp(None, low, high, exact(*codes, step.name))
    return Made(Sequential(pool=pool, clamp=clamp), (x,), codes)


def _pool(step: TfliteStep) -> tuple[TfliteValue, Pair, Pair, Padding]:
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output)
    kernel = step.options["FilterHeight"], step.options["FilterWidth"]
    if len(x.shape) != 3:
        raise Unsuited(f"pools a value of shape {x.tensor.shape}")
    stride, padding, size = padding_of(step.options, x.shape[:2], kernel)
    check_work(step, (*size, x.shape[-1]), prod(kernel), MOST_COPIES)
    return x, kernel, stride, padding


def mean(step: TfliteStep) -> Made:
    """Convert MEAN: the sum, times a multiplier divided by the number of terms."""
    x, axes, kept = reduction(step)
    terms = prod(x.tensor.shape[axis] for axis in axes)
    m, shift = quantized_multiplier(x.tensor.scale / step.output().scale)
    up = min(terms.bit_length() - 1, 32, 31 + shift)
    return _summed(step, x, axes, kept, (m << up) // terms, shift - up)


def sum_(step: TfliteStep) -> Made:
    """Convert SUM: the sum, times a multiplier."""
    x, axes, kept = reduction(step)
    if x.tensor.dtype != "uint8":
        raise Unsuited(
            f"adds values of {x.tensor.dtype}, whose bytes TFLite's kernel takes for unsigned ones"
        )
    return _summed(step, x, axes, kept, *quantized_multiplier(x.tensor.scale / step.output().scale))


def _summed(
    step: TfliteStep, x: TfliteValue, axes: tuple[int, ...], kept: tuple[int, ...], m: int, shift: int
) -> Made:
    """The sum over axes times m / 2**31 * 2**shift."""
    output = step.output()
    step.same_type(x.tensor, output)
    terms = prod(x.tensor.shape[axis] for axis in axes)
    sums = x.low * terms, x.high * terms
    if max(-sums[0], sums[1]) >> 31:
        raise Unsuited(f"adds {terms} values, whose sum leaves 32 bits")
    rescale = multiplied_twice([m], [shift], sums, output.centred, step.name)
    return Made(AxesMean(rescale, axes, kept[1:]), (x,), output.centred)


def largest(step: TfliteStep) -> Made:
    """Convert REDUCE_MAX."""
    x, axes, kept = reduction(step)
    same_scale(x.tensor, step.output())
    return Made(Sequential(Largest(axes), Reshape(kept[1:])), (x,), x.range)


def smallest(step: TfliteStep) -> Made:
    """Convert REDUCE_MIN."""
    x, axes, kept = reduction(step)
    same_scale(x.tensor, step.output())
    return Made(Sequential(AxesMinimum(axes, exact(*x.range, step.name)), Reshape(kept[1:])), (x,), x.range)


def reduction(step: TfliteStep) -> tuple[TfliteValue, tuple[int, ...], tuple[int, ...]]:
    """The operand, the axes that an operator reduces, and the shape of its result."""
    x = step.value(0)
    data = step.constant(1).data
    assert data is not None
    rank = len(x.tensor.shape)
    axes = tuple(sorted({int(axis) % rank if -rank <= axis < rank else -1 for axis in data.reshape(-1)}))
    if not axes or axes[0] < 1:
        raise Unsuited(f"goes over the axes {data.reshape(-1).tolist()[:8]}, and the batch is none of them")
    kept = tuple(
        1 if axis in axes else size
        for axis, size in enumerate(x.tensor.shape)
        if axis not in axes or step.options["KeepDims"]
    )
    return x, axes, kept
