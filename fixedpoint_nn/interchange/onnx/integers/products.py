# SPDX-License-Identifier: MIT
"""Products of integers with integer weights, using the converters of the float operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.onnx.builder import IntegerConstant
from fixedpoint_nn.interchange.onnx.integers.chain import Chain, Plus, Times
from fixedpoint_nn.interchange.onnx.integers.constants import refined, scaled
from fixedpoint_nn.interchange.onnx.integers.meaning import Meaning, Reals, format_of, integer_range, reals
from fixedpoint_nn.interchange.onnx.integers.step import Convert, IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.operators import convolutions, products
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Array, Ints

PRODUCTS = layers.Dense | layers.Conv2D | layers.ConvTranspose2D | layers.MatMul
FLOAT: Any = "float"


def weights(step: IntegerStep, index: int, outputs: int | None = None) -> tuple[Ints, Array, bool]:
    """(integers, scales, whether they are rounded) of constant weights, element by element; outputs are on an axis.

    Weights that are floats are rounded, much finer than the sums of floats that other runtimes compute.
    """
    array = step.constant(index, "weights")
    found = scaled(array)
    if found is None:
        return *refined(np.asarray(array, np.float32), outputs), True
    return *found, False


def converted(step: IntegerStep, convert: Convert, operands: list[Any]) -> tuple[OnnxValue, str]:
    """(value that a float converter makes of integers, name of the node with the product)."""
    before = set(step.builder.parts)
    given = [replace(x, kind=FLOAT) if isinstance(x, OnnxValue) else x for x in operands]
    made = convert(replace(step, operands=given))
    assert isinstance(made, OnnxValue)
    new = [
        n for n, part in step.builder.parts.items() if n not in before and isinstance(part.layer, PRODUCTS)
    ]
    if len(new) != 1:
        raise Refused("it is no product of one value with constants, or of two values")
    return made, new[0]


def ranged(step: IntegerStep, node: str, kind: Meaning, sums: tuple[int, int]) -> None:
    """Declare the range of sums at the product's node."""
    part = step.builder.parts[node]
    layer: Any = part.layer
    try:
        quantizer = exact(*sums, f"{node}.sum")
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    step.builder.parts[node] = replace(part, layer=replace(layer, out=quantizer))
    step.builder.formats[node] = format_of(kind)


def by_constant(
    step: IntegerStep,
    convert: Convert,
    x: OnnxValue,
    operands: list[Any],
    rows: Ints,
    bias: Ints | None = None,
) -> tuple[OnnxValue, tuple[int, int]]:
    """(sums of products with the weights `rows` (outputs, taps), their range)."""
    kind: Any = x.kind
    given = [part.view(IntegerConstant) if isinstance(part, np.ndarray) else part for part in operands]
    if bias is not None:
        given.append(bias.view(IntegerConstant))
    made, node = converted(step, convert, given)
    sums = sums_of(rows, bias, *integer_range(kind))
    ranged(step, node, kind, sums)
    return made, sums


def one_each(scales: Array) -> Array:
    """Scales (outputs, taps) as one scale, or one per output."""
    if scales.size == 0 or not (scales == scales[:, :1]).all():
        raise Refused("its weights have several scales for one output; one scale each is needed")
    first: Array = scales[:, 0]
    return first[:1] if (first == first[0]).all() else first


def biased(step: IntegerStep, index: int, scale: Array, count: int) -> tuple[Ints | None, Chain]:
    """(integer bias, operations to append), of which one is empty.

    A bias of the sums' scale is added as integers, any other to the real numbers.
    """
    array = step.optional(index, "biases") if step.given(index) else None
    if array is None:
        return None, ()
    array = np.asarray(array) if scaled(array) is None else array
    found = scaled(array)
    if found is not None and found[0].size in (1, count):
        ints, scales = (np.broadcast_to(part.reshape(-1), (count,)) for part in found)
        if np.allclose(scales, np.broadcast_to(scale, (count,)), rtol=2e-6, atol=0) or not ints.any():
            return np.array(ints), ()
    values = np.asarray(array, np.float32).reshape(-1)
    if values.size not in (1, count) or not np.isfinite(values).all():
        raise Refused(f"its biases have the shape {list(np.shape(array))}, and there are {count} channels")
    return None, (Plus(tuple(values.tolist())),)


def summed(
    v: OnnxValue, sums: tuple[int, int], scale: Any, more: Chain = (), near: bool = False
) -> OnnxValue:
    """Sums as real numbers."""
    chain = (Times(tuple(np.asarray(scale, np.float32).reshape(-1).tolist())), *more)
    kind: Any = Reals(*sums, chain, summed=True, near=near)
    return replace(v, kind=kind)


@operator("Conv")
def conv(step: IntegerStep) -> OnnxValue:
    """Convert Conv."""
    return _convolution(step, convolutions.conv, 0)


@operator("ConvTranspose")
def conv_transpose(step: IntegerStep) -> OnnxValue:
    """Convert ConvTranspose."""
    return _convolution(step, convolutions.conv_transpose, 1)


def _convolution(step: IntegerStep, convert: Convert, axis: int) -> OnnxValue:
    x = step.value(0, kind="")
    ints, scales, near = weights(step, 1, axis)
    groups = int(step.attribute("group", 1)) if axis else 1
    if ints.ndim < 3 or groups < 1 or ints.shape[0] % groups:
        raise Refused(f"its weights of shape {list(ints.shape)} are not in {groups} groups")
    made, sums, scale, more = convolved(step, convert, x, ints, scales, reals(x).scale, axis, groups, 2)
    return summed(made, sums, scale, more, near)


def convolved(
    step: IntegerStep,
    convert: Convert,
    x: OnnxValue,
    ints: Ints,
    scales: Array,
    own: float,
    axis: int,
    groups: int,
    bias_at: int,
) -> tuple[OnnxValue, tuple[int, int], Array, Chain]:
    """(sums, range, scales, operations to append); outputs are axis `axis` of the weights, in groups if that is 1."""
    rows, by_output = _outputs_first(ints, axis, groups), _outputs_first(scales, axis, groups)
    scale = np.float32(own) * one_each(by_output)
    bias, more = biased(step, bias_at, scale, len(rows))
    made, sums = by_constant(step, convert, x, [x, ints], rows, bias)
    return made, sums, scale, more


def _outputs_first(array: Array, axis: int, groups: int) -> Array:
    """Weights as (outputs, taps).

    Those of a transposed convolution are (inputs of all groups, outputs per group, ...).
    """
    if not axis:
        return array.reshape(array.shape[0], -1)
    apart = np.moveaxis(array.reshape(groups, -1, *array.shape[1:]), 2, 1)
    return apart.reshape(groups * array.shape[1], -1)


@operator("MatMul")
def matmul(step: IntegerStep) -> OnnxValue:
    """Convert MatMul of a value with constants, or of two values."""
    if all(isinstance(x, OnnxValue) for x in step.operands):
        return of_two(step, products.matmul, step.value(0, ""), step.value(1, ""))
    place = 0 if not isinstance(step.operands[0], OnnxValue) else 1
    x = step.value(1 - place, kind="")
    by_output = place == 1 and step.constant(1, "weights").ndim == 2
    ints, scales, near = weights(step, place, 1 if by_output else None)
    made = multiplied(step, x, ints, scales, reals(x).scale, left=place == 0)
    return replace(made, kind=replace(reals(made), near=near))


def multiplied(
    step: IntegerStep, x: OnnxValue, ints: Ints, scales: Array, own: float, left: bool = False
) -> OnnxValue:
    """A value times a constant matrix, or with `left` the matrix times the value."""
    if ints.ndim == 2 and not left:
        scale, rows = one_each(scales.T), ints.T
    else:
        scale = one_each(scales.reshape(1, -1))
        taps = ints if left or ints.ndim == 1 else ints.swapaxes(-1, -2)
        rows = taps.reshape(-1, taps.shape[-1])
    made, sums = by_constant(step, products.matmul, x, [ints, x] if left else [x, ints], rows)
    return summed(made, sums, np.float32(own) * scale)


def of_two(step: IntegerStep, convert: Convert, a: OnnxValue, b: OnnxValue) -> OnnxValue:
    """The product of two computed matrices."""
    one, two = reals(a), reals(b)
    made, node = converted(step, convert, [a, b])
    taps = a.dims[-1]
    sums = product_range(one, two, taps)
    ranged(step, node, one, sums)
    return summed(made, sums, np.float32(one.scale) * np.float32(two.scale))


def product_range(a: Meaning, b: Meaning, taps: int = 1) -> tuple[int, int]:
    """(lowest, highest) sum of `taps` products."""
    ends = [x * y for x in integer_range(a) for y in integer_range(b)]
    return min(*ends, 0) * taps, max(*ends, 0) * taps


@operator("Gemm")
def gemm(step: IntegerStep) -> OnnxValue:
    """Convert Gemm with constants."""
    x = step.value(0, kind="")
    if isinstance(step.operands[1], OnnxValue):
        raise Refused("both of its operands are computed; use a MatMul")
    alpha, beta = float(step.attribute("alpha", 1.0)), float(step.attribute("beta", 1.0))
    ints, scales, near = weights(step, 1, 0 if step.attribute("transB", 0) else 1)
    if ints.ndim != 2 or len(x.dims) != 2:
        raise Refused(f"its operands have the shapes {list(x.dims)} and {list(ints.shape)}")
    if alpha <= 0:
        raise Refused(f"its alpha is {alpha}, and positive ones are supported")
    if step.attribute("transB", 0):
        ints, scales = ints.T, scales.T
    if step.attribute("transA", 0):
        x = products.relabelled(x, (1, 0))
    scale = np.float32(reals(x).scale) * one_each(scales.T) * np.float32(alpha)
    bias, more = biased(step, 2, scale if beta == 1 else np.float32(0), ints.shape[1]) if beta else (None, ())
    more = tuple(
        Plus(tuple(value * beta for value in link.values)) for link in more if isinstance(link, Plus)
    )

    def convert(bare: IntegerStep) -> OnnxValue:
        weight, *rest = (operand for operand in bare.operands[1:] if isinstance(operand, np.ndarray))
        return products.times_matrix(bare, bare.value(0), weight, rest[0] if rest else None)

    made, sums = by_constant(step, convert, x, [x, ints], ints.T, bias)
    return summed(made, sums, scale, more, near)
