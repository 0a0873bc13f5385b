# SPDX-License-Identifier: MIT
"""Operators over integers: QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.stepping import stepped
from fixedpoint_nn.interchange.affine.steps import StepFunction
from fixedpoint_nn.interchange.onnx.integers.chain import Times
from fixedpoint_nn.interchange.onnx.integers.constants import along
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, codes
from fixedpoint_nn.interchange.onnx.integers.products import by_constant, convolved, multiplied, of_two
from fixedpoint_nn.interchange.onnx.integers.quantizing import centred, range_of_type
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds, landed
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.operators import convolutions, products
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array, Ints

INT32 = 1 << 31


def zero_point(step: IntegerStep, index: int) -> int:
    """The zero point of a computed operand."""
    array = step.optional(index, "zero point")
    if array is None:
        return 0
    found = np.unique(np.asarray(array).astype(np.int64))
    if len(found) != 1:
        raise Refused("its input has several zero points; one is needed")
    return int(found[0])


def scale_of(step: IntegerStep, index: int, what: str) -> Array:
    """The scales of an operand, which must be positive."""
    scales = np.asarray(step.constant(index, what), np.float32)
    if scales.ndim > 1 or not (np.isfinite(scales).all() and (scales > 0).all()):
        raise Refused(f"its {what} are not one positive number, or one for each channel")
    return scales


def integers(step: IntegerStep, index: int, zeros_at: int, axis: int) -> Ints:
    """Constant weights minus their zero points."""
    array = np.asarray(step.constant(index, "weights"))
    range_of_type(array, "weights")
    zeros = step.optional(zeros_at, "zero points")
    ints: Ints = array.astype(np.int64)
    if zeros is None:
        return ints
    return ints - along(np.asarray(zeros).astype(np.int64), axis, ints.shape, "zero points")


@operator(
    "QLinearConv",
    "Conv2D, and a rescaling with the same codes as a 32-bit float factor at every sum",
    "3-D; weights that are computed",
)
def qlinear_conv(step: IntegerStep) -> OnnxValue:
    """Convert QLinearConv."""
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    ints = integers(step, 3, 5, 0)
    own, others, after = (scale_of(step, i, "scales") for i in (1, 4, 6))
    if own.size != 1 or after.size != 1 or ints.ndim < 3:
        raise Refused("its input and output have one scale each, and its weights three axes or more")
    bias_step = _without_scales(step, 8)
    scales = np.broadcast_to(along(others, 0, ints.shape, "scales"), ints.shape)
    made, sums, _, _ = convolved(bias_step, convolutions.conv, x, ints, np.ones_like(scales), 1.0, 0, 1, 8)
    factor = (own.reshape(()) * others.reshape(-1)) / after.reshape(())
    return rescaled(step, made, sums, factor, 7)


def _without_scales(step: IntegerStep, index: int) -> IntegerStep:
    """The node without scales; its bias is in integers of the sums' scale."""
    bias = step.optional(index, "biases") if step.given(index) else None
    if bias is not None and np.asarray(bias).dtype.name != "int32":
        raise Refused(f"its biases are {np.asarray(bias).dtype.name}, and int32 is supported")
    return step


def rescaled(
    step: IntegerStep, made: OnnxValue, sums: tuple[int, int], factor: Array, zero_at: int
) -> OnnxValue:
    """The value round(float32(sum) * factor) + zero, as the runtime's kernels compute it."""
    if max(-sums[0], sums[1]) >= INT32:
        raise Refused(f"its sums reach {max(-sums[0], sums[1]):,}, and the operator's have 32 bits")
    zeros = step.constant(zero_at, "zero points")
    low, high = range_of_type(zeros, "zero point")
    zero = zero_point(step, zero_at)
    factor = np.unique(factor) if len(np.unique(factor)) == 1 else factor
    rounds = Rounds((1.0,), zero, low, high)
    function = rounds.steps(Reals(*sums, (Times(tuple(factor.tolist())),)), np.float32)
    try:
        steps = StepFunction.of(function, np.ones(factor.size, np.int64), sums, rounds.centred)
        return landed(step, made, stepped(steps, step.name), rounds)
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None


@operator(
    "QLinearMatMul",
    "Dense or MatMul, and a rescaling with the same codes as a 32-bit float factor at every sum",
    "a scale for each row of the first operand",
)
def qlinear_matmul(step: IntegerStep) -> OnnxValue:
    """Convert QLinearMatMul."""
    own, others, after = (scale_of(step, i, "scales") for i in (1, 4, 6))
    if own.size != 1 or after.size != 1:
        raise Refused("its first operand and its output have one scale each")
    made, sums = _product(step, 0, 2, 3, 5)
    return rescaled(step, made, sums, (own.reshape(()) * others.reshape(-1)) / after.reshape(()), 7)


@operator("MatMulInteger", "Dense or MatMul", "a zero point for each row of the first operand")
def matmul_integer(step: IntegerStep) -> OnnxValue:
    """Convert MatMulInteger: sums of 32 bits."""
    made, sums = _product(step, 0, 2, 1, 3)
    return _sums(made, sums)


def _product(
    step: IntegerStep, a_at: int, a_zero: int, b_at: int, b_zero: int
) -> tuple[OnnxValue, tuple[int, int]]:
    """(exact sums of the product of two operands, their range); each operand has its zero point subtracted."""
    one, two = step.operands[a_at], step.operands[b_at]
    if isinstance(one, OnnxValue) and isinstance(two, OnnxValue):
        a, b = (
            _as_reals(centred(step, step.value(i, kind=""), zero_point(step, zero)))
            for i, zero in ((a_at, a_zero), (b_at, b_zero))
        )
        bare = replace(step, operands=[a, b])
        return _apart(of_two(bare, products.matmul, a, b))
    left = not isinstance(one, OnnxValue)
    at, zero = (b_at, b_zero) if left else (a_at, a_zero)
    x = centred(step, step.value(at, kind=""), zero_point(step, zero))
    ints = integers(step, *((a_at, a_zero, -2) if left else (b_at, b_zero, -1)))
    return _apart(multiplied(step, x, ints, np.ones(ints.shape, np.float32), 1.0, left))


def _apart(v: OnnxValue) -> tuple[OnnxValue, tuple[int, int]]:
    kind: Any = v.kind
    return v, (kind.low, kind.high)


def _as_reals(v: OnnxValue) -> OnnxValue:
    kind = codes(v)
    same: Any = Reals(kind.low, kind.high, (Times((1.0,)),))
    return replace(v, kind=same)


def _sums(made: OnnxValue, sums: tuple[int, int]) -> OnnxValue:
    if max(-sums[0], sums[1]) >= INT32:
        raise Refused(f"its sums reach {max(-sums[0], sums[1]):,}, and the operator's have 32 bits")
    kind: Any = Codes(*sums)
    return replace(made, kind=kind)


@operator("ConvInteger", "Conv2D", "3-D; weights that are computed")
def conv_integer(step: IntegerStep) -> OnnxValue:
    """Convert ConvInteger: sums of 32 bits."""
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    ints = integers(step, 1, 3, 0)
    if ints.ndim < 3:
        raise Refused(f"its weights have the shape {list(ints.shape)}")
    made, sums = by_constant(step, convolutions.conv, x, [x, ints], ints.reshape(ints.shape[0], -1))
    return _sums(made, sums)
