# SPDX-License-Identifier: MIT
"""Sums as steps of the compiled kernels: products, and the end of a sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import MOST_SHIFT, MOST_WIDE_SHIFT, SUM_LIMIT, Epilogue, Kernels
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.rounding import Rounding

BYTES_FROM_LEVEL = 2  # byte products need VNNI
INT8, INT16 = 1 << 7, 1 << 15
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
# The constant that turns a rounding into a floor, by its shift; ties to even are corrected afterwards.
_HALVES: dict[Rounding, Callable[[int], int]] = {
    Rounding.FLOOR: lambda shift: 0,
    Rounding.HALF_UP: lambda shift: 1 << shift - 1,
    Rounding.HALF_EVEN: lambda shift: 1 << shift - 1,
    Rounding.HALF_DOWN: lambda shift: (1 << shift - 1) - 1,
}


class NotCompiled(Exception):
    """Raised for an operation that the kernels do not support."""


def bytes_for(kernels: Kernels, low: int, high: int, narrow: bool) -> int:
    """The bytes to store integers from `low` to `high`; `narrow`: all products with them have byte weights."""
    if low < -INT16 or high >= 2 * INT16 or (low < 0 and high >= INT16):
        raise NotCompiled("integers of more than 16 bits")
    if kernels.level < BYTES_FROM_LEVEL or not narrow:
        return 2
    signed = low >= -INT8 and high < INT8
    return 1 if signed or (low >= 0 and high < 2 * INT8) else 2


def zero_of(size: int, low: int, high: int) -> int:
    """The offset of integers stored in `size` bytes, which makes bytes unsigned and words signed."""
    if size == 1:
        return INT8 if low < 0 else 0
    return -INT16 if high >= INT16 else 0


def fill_product(
    step: native.StepStruct,
    kernels: Kernels,
    matrix: Ints,
    size: int,
    runs: Sequence[tuple[int, int]],
    start: Ints,
    epilogue: Epilogue,
    bound: int,
    out_zero: int = 0,
) -> list[Any]:
    """Make `step` a product of int64 weights with integers stored in `size` bytes; returns the arrays it refers to.

    `runs` are the places of its taps, `start` the start values of sums, `bound` the largest sum with the bias.
    """
    columns = matrix.shape[1]
    if matrix.size and (matrix.min() < -INT16 or matrix.max() >= INT16):
        raise NotCompiled("weights of more than 16 bits")
    words = native.BYTES if size == 1 else native.WORDS if bound <= SUM_LIMIT else native.WIDE
    if words == native.BYTES and bound > SUM_LIMIT:
        raise NotCompiled("sums that 32 bits do not hold")
    step.kind, step.words, step.columns = native.CONVOLVE, words, columns
    fill_finish(step, epilogue, bound)
    if words == native.WIDE:
        step.kept = max(0, 17 - epilogue.shift)
        step.in_int64 = bound >= _narrowed(step.kept)
        if not step.in_int64:
            step.finish = native.finish_of(epilogue, epilogue.shift - 15 + step.kept)
    packed = native.packed_weights(kernels, matrix, words, runs)
    if packed is None:
        raise NotCompiled("two weights that are too wide together")
    per_block = native.block_columns(kernels, words)
    start = start + quickened(step, epilogue, bound, out_zero)
    low, high = native.biases(start, words, -(-columns // per_block) * per_block)
    step.weights, step.first_segment = map(native.address, (packed.weights, packed.first_segment))
    step.segments = native.address_of(packed.segments)
    step.bias, step.high_bias = native.address(low), native.address(high)
    return [packed, low, high]


def fill_sum(step: native.StepStruct, epilogue: Epilogue, bound: int, zeros: int, out_zero: int) -> None:
    """Set the end of a sum of at most `bound`, whose stored values are offset by `zeros` in total."""
    fill_finish(step, epilogue, bound)
    step.in_int64 |= bound + abs(zeros) > SUM_LIMIT
    if not step.in_int64:
        step.quick.start = quickened(step, epilogue, bound + abs(zeros), out_zero) - zeros


def fill_finish(step: native.StepStruct, epilogue: Epilogue, bound: int) -> None:
    """Set the end of a sum of at most `bound`, in int32 or int64."""
    step.in_int64 = bound > SUM_LIMIT
    if bound > FLOAT64_EXACT or epilogue.shift > (MOST_WIDE_SHIFT if step.in_int64 else MOST_SHIFT):
        raise NotCompiled("a sum, or a shift, that is too wide")
    if (bound if epilogue.quantizer is None else epilogue.quantizer.format.magnitude) > SUM_LIMIT:
        raise NotCompiled("results that 32 bits do not hold")
    step.finish = native.finish_of(epilogue)


def quickened(step: native.StepStruct, epilogue: Epilogue, bound: int, out_zero: int) -> int:
    """The rounding constant that sums start with, if the fast end applies; see `Quick` of network.h.

    Rounding is monotonic and maps 0 to 0, so ReLU can follow it, merged into the clip.
    """
    q, shift = epilogue.quantizer, epilogue.shift
    rounding = Rounding.FLOOR if q is None or shift == 0 else q.rounding
    clips = q is None or epilogue.fits or q.overflow in _CLIPS
    if step.in_int64 or not clips or rounding not in _HALVES:
        return 0
    added = _HALVES[rounding](shift) + (out_zero << shift)
    most = _narrowed(step.kept) if step.words == native.WIDE else SUM_LIMIT
    if bound + abs(added) >= most:
        return 0
    low, high = -SUM_LIMIT - 1, SUM_LIMIT
    if q is not None and not epilogue.fits:
        low, high = (limit + out_zero for limit in limits(q.format, q.overflow))
    if epilogue.relu:
        low, high = max(low, out_zero), max(high, out_zero)
    seen = step.finish.shift
    ties = (1 << seen) - 1 if rounding is Rounding.HALF_EVEN else 0
    step.quick = native.QuickStruct(1, seen, ties, low, high, 0)
    return added


def _narrowed(kept: int) -> int:
    """The limit of sums that fit int32 when all but `kept` + 1 bits of their lower half are dropped."""
    return 1 << 46 - kept
