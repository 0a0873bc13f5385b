# SPDX-License-Identifier: MIT
"""Operators that rearrange values or choose among them: transposes, stacks, blocks, extrema."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.joining import Stacked
from fixedpoint_nn.interchange.affine.regions import Cut
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue, same_scale, spreads
from fixedpoint_nn.interchange.tflite.token_ids import rows_of
from fixedpoint_nn.layers.activation import Clip
from fixedpoint_nn.layers.joining import Maximum, Minimum
from fixedpoint_nn.layers.movement import Select, Transpose
from fixedpoint_nn.layers.structure import Reshape, Sequential

LARGEST_BLOCK = 1 << 8


def transpose(step: TfliteStep) -> Made:
    """Convert TRANSPOSE, which leaves the batch first."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    data = step.constant(1).data
    order = [] if data is None or data.dtype.kind != "i" else [int(axis) for axis in data.reshape(-1)]
    if sorted(order) != list(range(len(x.tensor.shape))) or order[0] != 0:
        raise Unsuited(f"puts the axes in the order {order}, and the batch stays first")
    return Made(Transpose(tuple(order)), (x,), x.range)


def pack(step: TfliteStep) -> Made:
    """Convert PACK: values of equal scales along a new axis."""
    values = tuple(step.value(place) for place in range(len(step.operator.inputs)))
    output = step.output()
    if not values:
        raise Unsuited("joins nothing")
    same_scale(output, *(value.tensor for value in values))
    rank = len(output.shape)
    axis = int(step.options["Axis"])
    if not -rank <= axis < rank or axis % rank == 0:
        raise Unsuited(f"joins along axis {axis}, and the batch stays as it is")
    codes = min(value.low for value in values), max(value.high for value in values)
    return Made(Stacked(axis % rank, exact(*codes, step.name)), values, codes)


def unpack(step: TfliteStep) -> list[Made]:
    """Convert UNPACK: one place along an axis for each output."""
    x, outputs = step.value(0), step.outputs()
    rank = len(x.tensor.shape)
    axis = int(step.options["Axis"])
    if not -rank <= axis < rank or axis % rank == 0 or x.tensor.shape[axis] != len(outputs):
        raise Unsuited(f"takes apart axis {axis} of a value of shape {x.tensor.shape}")
    made = []
    for place, output in enumerate(outputs):
        same_scale(x.tensor, output, scales=False)
        parts: list[Any] = [(None, None, 1)] * (rank - 1)
        parts[axis % rank - 1] = place
        made.append(Made(Cut(tuple(parts)), (x,), x.range))
    return made


def gather(step: TfliteStep) -> Made:
    """Convert GATHER by constants, or of a constant's rows by token ids."""
    if step.tensor(0).data is not None:
        return rows_of(step)
    x, output, data = step.value(0), step.output(), step.constant(1).data
    same_scale(x.tensor, output, scales=False)
    rank, axis = len(x.tensor.shape), int(step.options["Axis"])
    if not -rank <= axis < rank or axis % rank == 0 or step.options["BatchDims"]:
        raise Unsuited(f"gathers along axis {axis}, and the batch stays as it is")
    indices = [] if data is None or data.dtype.kind != "i" else [int(place) for place in data.reshape(-1)]
    if not indices or min(indices) < 0 or max(indices) >= x.tensor.shape[axis]:
        raise Unsuited(f"gathers places that are not all among the {x.tensor.shape[axis]} of axis {axis}")
    layer = Select(tuple(indices), axis % rank)
    return Made(Sequential(layer, Reshape(output.shape[1:])), (x,), x.range)


def depth_to_space(step: TfliteStep) -> Made:
    """Convert DEPTH_TO_SPACE: channels become blocks of pixels."""
    size, (height, width, channels) = _block(step)
    if channels % size**2:
        raise Unsuited(f"makes blocks of {size} x {size} of {channels} channels")
    inner = (height, width, size, size, channels // size**2)
    return _blocks(step, inner, (0, 1, 3, 2, 4, 5), (height * size, width * size, inner[-1]))


def space_to_depth(step: TfliteStep) -> Made:
    """Convert SPACE_TO_DEPTH: blocks of pixels become channels."""
    size, (height, width, channels) = _block(step)
    if height % size or width % size:
        raise Unsuited(f"takes blocks of {size} x {size} of {height} x {width} pixels")
    inner = (height // size, size, width // size, size, channels)
    return _blocks(step, inner, (0, 1, 3, 2, 4, 5), (height // size, width // size, channels * size**2))


def _block(step: TfliteStep) -> tuple[int, tuple[int, ...]]:
    size, shape = int(step.options["BlockSize"]), step.value(0).shape
    if step.value(0).tensor.dtype == "int16":
        raise Unsuited("has values of 16 bits, and TFLite's kernel takes 8")
    if not 1 <= size <= LARGEST_BLOCK or len(shape) != 3:
        raise Unsuited(f"has blocks of {size} of a value of shape {step.value(0).tensor.shape}")
    return size, shape


def _blocks(step: TfliteStep, inner: tuple[int, ...], order: tuple[int, ...], shape: tuple[int, ...]) -> Made:
    x = step.value(0)
    same_scale(x.tensor, step.output(), scales=False)
    return Made(Sequential(Reshape(inner), Transpose(order), Reshape(shape)), (x,), x.range)


def maximum(step: TfliteStep) -> Made:
    """Convert MAXIMUM of two values of one scale, or a value and a constant."""
    return _compared(step, Maximum, max)


def minimum(step: TfliteStep) -> Made:
    """Convert MINIMUM of two values of one scale, or a value and a constant."""
    return _compared(step, Minimum, min)


def _compared(step: TfliteStep, layer: Any, choose: Any) -> Made:
    output, constants = step.output(), [place for place in (0, 1) if step.tensor(place).data is not None]
    same_scale(output, step.tensor(0), step.tensor(1))
    if len(constants) == 1:
        return _limited(step, step.value(1 - constants[0]), step.constant(constants[0]), choose)
    a, b = step.value(0), step.value(1)
    codes = choose(a.low, b.low), choose(a.high, b.high)
    return Made(layer(exact(*codes, step.name)), (a, b), codes)


def _limited(step: TfliteStep, x: TfliteValue, limit: TfliteTensor, choose: Any) -> Made:
    """The larger or the smaller one of a value and a constant."""
    if limit.data is None or not limit.data.size or not spreads(limit.shape, x.tensor.shape):
        raise Unsuited(f"has the constant {limit.name!r} of shape {limit.shape} for one of {x.tensor.shape}")
    limits = limit.data.astype(np.int64) - limit.zero
    codes = choose(x.low, int(limits.min())), choose(x.high, int(limits.max()))
    about = {"low" if choose is max else "high": fixed_constant(limits)}
    return Made(Clip(**about, out=exact(*codes, step.name)), (x,), codes)
