# SPDX-License-Identifier: MIT
"""Softmax and normalisation between quantisers: functions of a whole row of codes.

Other runtimes compute them with floats, in an order of their own. Here they are integers that are nearer to the real
numbers than those floats are, and the quantiser that follows rounds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.shares import MOST_TERMS, SHARE_BITS, Shares
from fixedpoint_nn.interchange.affine.standardized import Standardized
from fixedpoint_nn.interchange.onnx.integers.chain import Plus, Times, Within, line
from fixedpoint_nn.interchange.onnx.integers.elementwise import linked, numbers
from fixedpoint_nn.interchange.onnx.integers.meaning import MaskedReals, Reals, reals
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.integers.table import operator
from fixedpoint_nn.interchange.onnx.operators import activations, normalizations
from fixedpoint_nn.interchange.onnx.step import axis_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused

FLOAT: Any = "float"
MOST_APART = 1 << 16  # integers of a row of a Softmax: the addresses of its table
UNIT = Times((2.0**-SHARE_BITS,))


@operator("Softmax")
def softmax(step: IntegerStep) -> OnnxValue:
    """Softmax of integers times one scale, of which a mask may hide some."""
    v = step.value(0, kind="")
    if isinstance(v.kind, MaskedReals):
        axis = axis_of(int(step.attribute("axis", -1 if step.opset >= 13 else 1)), len(v.dims))
        along = tuple(n if a == axis else 1 for a, n in enumerate(v.dims))
        seen = np.broadcast_to(v.kind.kept, np.broadcast_shapes(v.kind.kept.shape, along))
        if not seen.any(axis=axis - len(v.dims)).all():
            raise Refused("its mask hides all of a row, whose shares are then 0 / 0")
        shown: Any = v.kind.reals
        v = replace(v, kind=shown)
    return shared(step, v)


def shared(step: IntegerStep, v: OnnxValue) -> OnnxValue:
    """The shares of 1 that these numbers have."""
    kind, scale = reals(v), scale_of_row(v)
    span = kind.high - kind.low
    if span > MOST_APART:
        raise Refused(f"its input has {span.bit_length()} bits, and 16 are the most; quantise it before")
    axis = axis_of(int(step.attribute("axis", -1 if step.opset >= 13 else 1)), len(v.dims))
    if axis == v.batch:
        raise Refused("it computes along the batch axis")
    terms = v.dims[axis] if step.opset >= 13 else prod(v.dims[axis:])
    if terms > MOST_TERMS:
        raise Refused(f"it adds {terms} exponentials, and {MOST_TERMS} is the most")
    made = _by_float(step, v, activations.softmax, layers.Softmax, Shares.of(scale, span, terms, step.name))
    meant: Any = Reals(0, 1 << SHARE_BITS, (UNIT,), summed=True, near=True)
    return replace(made, kind=meant)


@operator("LayerNormalization")
def layer_normalization(step: IntegerStep) -> OnnxValue:
    """LayerNormalization over the last axis, with a gain and a bias for each element."""
    step.attribute("stash_type")
    v = step.value(0, kind="")
    axis = axis_of(int(step.attribute("axis", -1)), len(v.dims))
    if any(step.operation.outputs[1:]):
        raise Refused("its outputs of mean and deviation are used; only its first output is supported")
    if axis != len(v.dims) - 1:
        raise Refused("it normalises over several axes, and the last one is supported")
    return _parametrised(step, _standardized(step, v, (axis,)))


@operator("InstanceNormalization")
def instance_normalization(step: IntegerStep) -> OnnxValue:
    """InstanceNormalization, with a gain and a bias for each channel."""
    v = step.builder.with_batch(step.value(0, kind=""), 0)
    made = _standardized(step, v, tuple(range(2, len(v.dims))))
    return _parametrised(step, step.builder.channels_last(made), 1)


def _standardized(step: IntegerStep, v: OnnxValue, axes: tuple[int, ...]) -> OnnxValue:
    """(x - mean) / deviation over these axes, rounded as the layer `Standardized` does."""
    kind, scale = reals(v), scale_of_row(v)
    eps = float(step.attribute("epsilon", 1e-5)) / scale**2
    try:
        layer = Standardized.of(kind.low, kind.high, prod(v.dims[axis] for axis in axes), eps, step.name)
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None

    def convert(bare: IntegerStep) -> OnnxValue:
        return normalizations.normalized(bare, bare.value(0), axes, 0.0)

    made = _by_float(step, v, convert, layers.LayerNorm, layer)
    assert layer.out is not None
    format = layer.out.format
    meant: Any = Reals(format.int_min, format.int_max, (Times((format.step,)),), summed=True, near=True)
    return replace(made, kind=meant)


def _parametrised(step: IntegerStep, v: OnnxValue, axis: int | None = None) -> OnnxValue:
    """Times the gain, plus the bias; of an axis, or along the last ones."""
    for place, make in ((1, Times), (2, Plus)):
        if step.given(place):
            array = np.asarray(step.constant(place, "parameters"), np.float32)
            if axis is not None:
                array = array.reshape(-1, *(1,) * (len(v.dims) - axis - 1))
            operands = [*step.operands[:place], array, *step.operands[place + 1 :]]
            v = linked(v, make(numbers(replace(step, operands=operands), place, v)))
    return v


def scale_of_row(v: OnnxValue) -> float:
    """What an integer of a row is worth more than one that is 1 less."""
    found = line(reals(v).chain)
    if found is None or any(isinstance(link, Within) for link in reals(v).chain):
        raise Refused("it takes a function of integers that is not rounded; quantise its input")
    factor, _ = found
    if len(factor) > 1 or not factor[0] > 0:
        raise Refused("its input has a scale for each channel, or a negative one; quantise it before")
    return float(factor[0])


def _by_float(
    step: IntegerStep,
    v: OnnxValue,
    convert: Callable[[Any], Any],
    kind: type[Any],
    layer: Shares | Standardized,
) -> OnnxValue:
    """What the converter of floats makes, with a layer of integers in the place of its own."""
    before = set(step.builder.parts)
    made = convert(replace(step, operands=[replace(v, kind=FLOAT), *step.operands[1:]]))
    assert isinstance(made, OnnxValue)
    for name, part in list(step.builder.parts.items()):
        if name not in before and isinstance(part.layer, kind):
            step.builder.parts[name] = replace(part, layer=layer)
    return made
