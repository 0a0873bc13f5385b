# SPDX-License-Identifier: MIT
"""Integer kernels of onnxruntime's own operators: QLinearAdd, QLinearMul, QLinearGlobalAveragePool, QGemm and more."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.rescale import Lookup
from fixedpoint_nn.interchange.affine.stepping import tabulated
from fixedpoint_nn.interchange.onnx.builder import beside
from fixedpoint_nn.interchange.onnx.integers.chain import Times
from fixedpoint_nn.interchange.onnx.integers.elementwise import ends, repeated
from fixedpoint_nn.interchange.onnx.integers.joining import JoinedOperands, joined_codes, pair_of
from fixedpoint_nn.interchange.onnx.integers.kernels import (
    integers,
    rescaled,
    scale_of,
    zero_point,
)
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, codes
from fixedpoint_nn.interchange.onnx.integers.normalizing import shared
from fixedpoint_nn.interchange.onnx.integers.products import by_constant
from fixedpoint_nn.interchange.onnx.integers.quantizing import centred, range_of_type
from fixedpoint_nn.interchange.onnx.integers.regions import average_pool, summed_up
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds, landed, rounded
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.operators import pooling, products
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array

F = np.float32


def _fused(a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float32 with one rounding (FMA): the product is exact in float64."""
    return F(np.float64(a) * np.float64(b) + np.float64(c))


def _of_codes(step: IntegerStep) -> tuple[list[OnnxValue], tuple[int, ...], list[int], list[Any]]:
    """(centred operands, shape of the result, zero points, the three scales)."""
    zeros = [zero_point(step, 2), zero_point(step, 5)]
    scales = [scale_of(step, i, "scales") for i in (1, 4, 6)]
    if any(scale.size != 1 for scale in scales):
        raise Refused("its operands and its result have one scale each")
    given = [centred(step, step.value(i, kind=""), zero) for i, zero in zip((0, 3), zeros, strict=True)]
    step.operands = given
    values, dims = pair_of(step)
    return values, dims, zeros, [F(scale.reshape(())) for scale in scales]


def _joined(step: IntegerStep, multiplied: bool) -> OnnxValue:
    """QLinearAdd, or QLinearMul if `multiplied`; two computed values by a table over all pairs of codes."""
    after, place = zero_point(step, 7), step.optional(7, "zero points")
    if place is None:
        raise Refused("its zero point is missing, so its type is not known")
    low, high = range_of_type(place, "zero point")
    _spread(step, 0, 3)
    _spread(step, 3, 0)
    if not all(isinstance(step.operands[i], OnnxValue) for i in (0, 3)):
        return _by_constant(
            step, multiplied, Rounds(tuple(scale_of(step, 6, "scales").reshape(-1)), after, low, high)
        )
    values, dims, zeros, (one, two, out) = _of_codes(step)
    kinds = [codes(v) for v in values]
    spans = [Reals(kind.low, kind.high, (Times((1.0,)),)) for kind in kinds]
    a, b = np.meshgrid(*(np.arange(kind.low, kind.high + 1) for kind in kinds), indexing="ij")
    a, b = a.reshape(-1), b.reshape(-1)
    y = _kernel(multiplied, a, b, zeros, (one, two, out), after)
    found = np.clip(np.rint(y), low, high).astype(np.int64) - after
    rounds = Rounds((1.0,), after, low, high)
    pair = JoinedOperands(
        0 if multiplied else 1, *(_worth(s, w) for s, w in zip(spans, (one, two), strict=True))
    )
    return joined_codes(step, values, dims, pair, (a, b, found), rounds)


def _spread(step: IntegerStep, place: int, other: int) -> None:
    """Make a constant of several codes a value of every sample of the other operand."""
    array, v = step.operands[place], step.operands[other]
    if not isinstance(array, np.ndarray) or not isinstance(v, OnnxValue) or array.size == 1:
        return
    if len(array.shape) > len(v.dims) or np.broadcast_shapes(array.shape, v.dims) != v.dims:
        raise Refused(f"its constant of shape {list(array.shape)} makes its input {list(v.dims)} larger")
    ints = beside(array.astype(np.int64), v)
    step.operands = [*step.operands]
    step.operands[place] = repeated(step, v, ints, Codes(*ends(ints)))


def _kernel(
    multiplied: bool, a: Any, b: Any, zeros: list[int], scales: tuple[Any, Any, Any], after: int
) -> Any:
    """The unrounded result for codes less their zero points, every operation in 32-bit floats as in the kernel."""
    one, two, out = scales
    if multiplied:
        return F(a * b) * F(F(one * two) / out) + F(after)
    first, second = F(one / out), F(two / out)
    fixed = F(F(after) - _fused(first, F(zeros[0]), F(second * F(zeros[1]))))
    return _fused(F(a + zeros[0]), first, _fused(F(b + zeros[1]), second, fixed))


def _by_constant(step: IntegerStep, multiplied: bool, rounds: Rounds) -> OnnxValue:
    """A value and one number that is computed from constants: a table of what the kernel makes of each code."""
    place = 0 if isinstance(step.operands[0], OnnxValue) else 3
    zeros = [zero_point(step, 2), zero_point(step, 5)]
    scales = [F(scale_of(step, i, "scales").reshape(())) for i in (1, 4, 6)]
    number = step.constant(3 - place, "codes").astype(np.int64) - zeros[1 if place == 0 else 0]
    v = centred(step, step.value(place, kind=""), zeros[0 if place == 0 else 1])
    kind, k = codes(v), number.reshape(())

    def function(n: Any) -> Any:
        one, two = (n, k) if place == 0 else (k, n)
        y = _kernel(multiplied, one, two, zeros, (scales[0], scales[1], scales[2]), rounds.zero)
        return np.clip(np.rint(y), rounds.low, rounds.high).astype(np.int64) - rounds.zero

    table = tabulated(function, (kind.low, kind.high), rounds.centred, step.name)
    return landed(step, v, Lookup(table), rounds)


def of_constants(step: IntegerStep) -> Array:
    """The codes of a QLinearAdd or QLinearMul of two constants."""
    zeros, after = [zero_point(step, 2), zero_point(step, 5)], zero_point(step, 7)
    scales = [F(scale_of(step, i, "scales").reshape(())) for i in (1, 4, 6)]
    place = np.asarray(step.constant(7, "zero points"))
    low, high = range_of_type(place, "zero point")
    a, b = (step.constant(i, "codes").astype(np.int64) - zero for i, zero in zip((0, 3), zeros, strict=True))
    multiplied = step.operation.op == "QLinearMul"
    y = _kernel(multiplied, a, b, zeros, (scales[0], scales[1], scales[2]), after)
    codes: Array = np.clip(np.rint(y), low, high).astype(place.dtype)
    return codes


def _worth(span: Reals, scale: Any) -> Reals:
    return Reals(span.low, span.high, (Times((float(scale),)),))


@operator(
    "QLinearAdd", "a weighted sum that is proven for all pairs of codes, or their table", "codes of 16 bits"
)
def qlinear_add(step: IntegerStep) -> OnnxValue:
    """Convert QLinearAdd: a * (A/C) + (b * (B/C) + fixed), each product and sum with one rounding."""
    return _joined(step, multiplied=False)


@operator("QLinearMul", "a product that is proven for all pairs of codes, or their table", "codes of 16 bits")
def qlinear_mul(step: IntegerStep) -> OnnxValue:
    """Convert QLinearMul: (a * b) * (A*B/C) + zero."""
    return _joined(step, multiplied=True)


@operator("QLinearAveragePool", "AvgPool2D without a division, and a rescaling", "3-D")
def qlinear_average_pool(step: IntegerStep) -> OnnxValue:
    """QLinearAveragePool: the zero point is added before ties go to the even code."""
    step.must_be("channels_last", 0)
    zero, place = zero_point(step, 4), step.optional(4, "zero points")
    if place is None:
        raise Refused("its zero point is missing, so its type is not known")
    low, high = range_of_type(place, "zero point")
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    kind, one, out = codes(x), *(float(scale_of(step, i, "scales").reshape(())) for i in (1, 3))
    real: Any = Reals(kind.low, kind.high, (Times((one,)),))
    step.operands = [replace(x, kind=real)]
    made = average_pool(step)
    assert isinstance(made, OnnxValue)
    return rounded(step, made, Rounds((out,), zero, low, high, early=True))


@operator("QLinearGlobalAveragePool", "GlobalAvgPool without a division, and a rescaling")
def qlinear_global_average_pool(step: IntegerStep) -> OnnxValue:
    """Convert QLinearGlobalAveragePool: the sum times A / (C * elements)."""
    step.must_be("channels_last", 0)
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    one, out = (scale_of(step, i, "scales").reshape(()) for i in (1, 3))
    terms = prod(x.dims[2:])
    made, sums = summed_up(step, pooling.global_average_pool, x, terms)
    return rescaled(step, made, sums, np.array([F(one) / F(F(out) * F(terms))]), 4)


@operator(
    "QLinearSoftmax",
    "the softmax of real numbers, rounded as the kernel rounds",
    "an opset of its own on the other side of 13 than the model's",
)
def qlinear_softmax(step: IntegerStep) -> OnnxValue:
    """QLinearSoftmax: shares times floor(1 / scale), rounded."""
    opset = int(step.attribute("opset", step.opset))
    zero, place = zero_point(step, 4), step.optional(4, "zero points")
    if place is None or (opset < 13) != (step.opset < 13):
        raise Refused(f"its opset is {opset}, and the model's {step.opset}, or its zero point is missing")
    low, high = range_of_type(place, "zero point")
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    kind, scale = codes(x), float(scale_of(step, 1, "scales").reshape(()))
    real: Any = Reals(kind.low, kind.high, (Times((scale,)),), zero=kind.zero)
    shares = shared(step, replace(x, kind=real))
    most = int(np.floor(F(1) / F(scale_of(step, 3, "scales").reshape(()))))
    return rounded(step, shares, Rounds((1 / most,), zero, low, high))


@operator("QGemm", "Dense, and a rescaling", "results that are floats; transposed inputs")
def qgemm(step: IntegerStep) -> OnnxValue:
    """Convert QGemm with constant weights: sums of 32 bits, then one factor for each output."""
    step.must_be("transA", 0)
    alpha, turned = F(step.attribute("alpha", 1.0)), bool(step.attribute("transB", 0))
    if not step.given(7):
        raise Refused("its result is floats, because it has no scale for it; quantise its output, too")
    x = centred(step, step.value(0, kind=""), zero_point(step, 2))
    weights = integers(step, 3, 5, 0 if turned else 1)
    weights = weights.T if turned else weights
    one, two, out = (scale_of(step, i, "scales") for i in (1, 4, 7))
    bias = step.optional(6, "biases")
    if weights.ndim != 2 or one.size != 1 or out.size != 1 or two.size not in (1, weights.shape[1]):
        raise Refused("its scales or weights do not fit together")
    if bias is not None and (bias.dtype.name != "int32" or bias.size not in (1, weights.shape[1])):
        raise Refused(f"its biases are {bias.dtype.name} of shape {list(bias.shape)}, and int32 is supported")
    spread = None if bias is None else np.broadcast_to(bias.reshape(-1), (weights.shape[1],)).astype(np.int64)

    def convert(bare: IntegerStep) -> OnnxValue:
        matrix, *rest = (operand for operand in bare.operands[1:] if isinstance(operand, np.ndarray))
        return products.times_matrix(bare, bare.value(0), matrix, rest[0] if rest else None)

    made, sums = by_constant(step, convert, x, [x, weights], weights.T, spread)
    return rescaled(step, made, sums, F(F(alpha * one.reshape(())) * two.reshape(-1)) / out.reshape(()), 8)
