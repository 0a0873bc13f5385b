# SPDX-License-Identifier: MIT
"""Sums and means over regions, by exact integer sums; concatenation; argmax."""

from __future__ import annotations

from dataclasses import replace
from math import lcm, prod
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.onnx.builder import IntegerConstant
from fixedpoint_nn.interchange.onnx.integers.chain import Chain, Over, Times
from fixedpoint_nn.interchange.onnx.integers.constants import scaled
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Meaning, Reals, codes, meaning, reals
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.operators import movement, pooling, reductions
from fixedpoint_nn.interchange.onnx.operators.geometry import as_image, over_images, paddings, pair, spatial
from fixedpoint_nn.interchange.onnx.step import axis_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Ints

FLOAT: Any = "float"


def averaged(step: IntegerStep, made: OnnxValue, x: OnnxValue, most: int, terms: int) -> OnnxValue:
    """The mean: the sum of up to `most` integers, divided by `terms`."""
    kind = reals(x)
    low, high = min(kind.low, 0) * most, max(kind.high, 0) * most
    divided: Chain = (Over((float(terms),)),) if terms > 1 else ()
    meant: Any = Reals(low, high, (Times((kind.scale,)), *divided), summed=True)
    return replace(made, kind=meant, flat=None)


def ranged(step: IntegerStep, before: set[str], x: OnnxValue, most: int) -> None:
    """Change the float converter's new layers to sums without division or rounding."""
    kind = reals(x)
    low, high = min(kind.low, 0) * most, max(kind.high, 0) * most
    for name, part in list(step.builder.parts.items()):
        layer: Any = part.layer
        if name in before or not isinstance(layer, layers.AvgPool2D | layers.GlobalAvgPool | layers.Mean):
            continue
        try:
            out = exact(low, high, f"{name}.sum")
        except Unsuited as reason:
            raise Refused(f"it {reason}") from None
        step.builder.parts[name] = replace(part, layer=replace(layer, out=out, reciprocal=fixed_constant(1)))


def summed_up(step: IntegerStep, convert: Any, x: OnnxValue, terms: int) -> tuple[OnnxValue, tuple[int, int]]:
    """(exact sum of `terms` codes, its range)."""
    kind = codes(x)
    alike: Any = Reals(kind.low, kind.high, (Times((1.0,)),))
    x = replace(x, kind=alike)
    before = set(step.builder.parts)
    step.operands = [x, *step.operands[1:]]
    made = _by_float(step, convert, x)
    ranged(step, before, x, terms)
    return made, (min(kind.low, 0) * terms, max(kind.high, 0) * terms)


def _by_float(step: IntegerStep, convert: Any, x: OnnxValue) -> OnnxValue:
    given = [replace(v, kind=FLOAT) if isinstance(v, OnnxValue) else v for v in step.operands]
    made = convert(replace(step, operands=given))
    assert isinstance(made, OnnxValue) and isinstance(x, OnnxValue)
    return made


@operator("GlobalAveragePool")
def global_average_pool(step: IntegerStep) -> OnnxValue:
    """Convert GlobalAveragePool."""
    x = step.value(0, kind="")
    terms = prod(x.dims[2:])
    before = set(step.builder.parts)
    made = _by_float(step, pooling.global_average_pool, x)
    ranged(step, before, x, terms)
    return averaged(step, made, x, terms, terms)


@operator("ReduceMean")
def reduce_mean(step: IntegerStep) -> OnnxValue:
    """Convert ReduceMean."""
    return _reduced(step, reductions.reduce_mean, mean=True)


@operator("ReduceSum")
def reduce_sum(step: IntegerStep) -> OnnxValue:
    """Convert ReduceSum."""
    return _reduced(step, reductions.reduce_sum, mean=False)


def _reduced(step: IntegerStep, convert: Any, mean: bool) -> OnnxValue:
    """A sum or mean over axes, as the exact sum and one multiplication."""
    x = step.value(0, kind="")
    reals(x)
    listed = step.integers(1, "axes")
    axes = {axis_of(a, len(x.dims)) for a in listed} if listed else set(range(len(x.dims)))
    terms = prod(x.dims[a] for a in axes)
    before = set(step.builder.parts)
    made = _by_float(step, convert, x)
    if made.node == x.node:
        return x
    ranged(step, before, x, terms)
    return averaged(step, made, x, terms, terms if mean else 1)


@operator("AveragePool")
def average_pool(step: IntegerStep) -> OnnxValue:
    """Convert AveragePool; sums of fewer elements, at the edges, are multiplied so that all are divided alike."""
    x = as_image(step, step.value(0, kind=""))
    axes = spatial(step, x.dims[2:], None, bool(step.attribute("ceil_mode", 0)))
    counts = [axis.inside(bool(step.attribute("count_include_pad", 0))) for axis in axes]
    taps = np.maximum(np.multiply.outer(*counts) if len(counts) == 2 else counts[0][np.newaxis], 1)
    terms = lcm(*(int(n) for n in np.unique(taps)))
    shares = terms // taps[..., np.newaxis]
    if (shares == shares.flat[0]).all():
        terms, shares = int(taps.flat[0]), np.ones((), np.int64)
    most = terms if shares.ndim else prod(axis.kernel for axis in axes)
    kind = reals(x)
    try:
        out = exact(min(kind.low, 0) * most, max(kind.high, 0) * most, f"{step.name}.sum")
        factors = fixed_constant(shares)
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    layer = layers.AvgPool2D(
        factors,
        pair([axis.kernel for axis in axes]),
        pair([axis.stride for axis in axes]),
        paddings([axis.edges for axis in axes]),
        out,
        pair([axis.dilation for axis in axes]),
    )
    made = over_images(step, x, layer, x.dims[1], [axis.count for axis in axes])
    return averaged(step, made, x, most, terms)


@operator("Concat")
def concat(step: IntegerStep) -> OnnxValue:
    """Convert Concat of codes that mean the same."""
    values = [step.value(i, kind="") for i, x in enumerate(step.operands) if isinstance(x, OnnxValue)]
    kinds = [meaning(v) for v in values]
    constants = {i: _codes_of(x, kinds[0]) for i, x in enumerate(step.operands) if isinstance(x, np.ndarray)}
    low = min([*(kind.low for kind in kinds), *(int(n.min()) for n in constants.values())])
    high = max([*(kind.high for kind in kinds), *(int(n.max()) for n in constants.values())])
    if len({replace(kind, low=low, high=high) for kind in kinds}) > 1:
        raise Refused(
            "its operands have different scales; quantise the result, and each is rounded to its scale"
        )
    common: Any = replace(kinds[0], low=low, high=high)
    waiting = iter(values)
    given: list[Any] = [
        constants[i].view(IntegerConstant) if i in constants else replace(next(waiting), kind=common)
        for i in range(len(step.operands))
    ]
    made: Any = movement.concat(replace(step, operands=given))
    part = step.builder.parts[made.node]
    if isinstance(part.layer, layers.Concat):
        out = exact(low, high, f"{made.node}.joined")
        step.builder.parts[made.node] = replace(part, layer=replace(part.layer, out=out))
    joined: OnnxValue = made
    return joined


def _codes_of(array: Any, kind: Meaning) -> Ints:
    """A constant as integers that mean the same as those of a value."""
    if isinstance(kind, Codes):
        ints: Ints = np.asarray(array).astype(np.int64) - kind.zero
        return ints
    parts = scaled(array)
    if parts is None or not (parts[1] == np.float32(kind.scale)).all():
        raise Refused(
            "its operands have different scales; quantise the result, and each is rounded to its scale"
        )
    return parts[0]


@operator("ArgMax")
def arg_max(step: IntegerStep) -> OnnxValue:
    """Convert ArgMax of integers, whose order is that of the real numbers."""
    x = step.value(0, kind="")
    kind = meaning(x)
    if isinstance(kind, Reals):
        assert kind.scale > 0
    made = reductions.arg_max(replace(step, operands=[replace(x, kind=FLOAT)]))
    assert isinstance(made, OnnxValue)
    index: Any = Codes(0, max(x.sample) - 1)
    return replace(made, kind=index)
