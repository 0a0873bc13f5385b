# SPDX-License-Identifier: MIT
"""Operators that only move values: padding, reshaping, slicing, concatenation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.joining import Joined
from fixedpoint_nn.interchange.affine.regions import Cut, ZeroPad
from fixedpoint_nn.interchange.tflite.geometry import check_work
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue, same_scale
from fixedpoint_nn.layers.movement import Pad, Select
from fixedpoint_nn.layers.structure import Reshape, Sequential
from fixedpoint_nn.numbers.sliding_windows import Pair
from fixedpoint_nn.numerics.arrays import Array, Ints

SYMMETRIC = 1  # of MIRROR_PAD: the edge itself is repeated


def pad(step: TfliteStep) -> Made:
    """Convert PAD: padding with the zero point."""
    x, output, edges = _padding(step)
    rank = len(x.tensor.shape)
    if rank == 2:
        return Made(ZeroPad(channels=edges[0]), (x,), x.range)
    if rank not in (3, 4):
        raise Unsuited(f"pads a value of {rank} axes, and 2 to 4 are supported")
    check_work(step, tuple(size + sum(edge) for size, edge in zip(x.shape, edges)), 1)
    if rank == 4:
        return Made(ZeroPad((edges[0], edges[1]), edges[2]), (x,), x.range)
    parts = (
        Reshape((x.shape[0], 1, x.shape[1])),
        ZeroPad((edges[0], (0, 0)), edges[1]),
        Reshape(output.shape[1:]),
    )
    return Made(Sequential(*parts), (x,), x.range)


def pad_with(step: TfliteStep) -> Made:
    """Convert PADV2: padding with a constant."""
    x, _, edges = _padding(step)
    data = step.constant(2).data
    if data is None or data.size != 1:
        raise Unsuited("pads with something else than one constant")
    value = int(data.reshape(-1)[0]) - x.tensor.zero
    shape = tuple(size + sum(edge) for size, edge in zip(x.shape, edges, strict=True))
    check_work(step, shape, 1)
    fill = np.full(shape, value, np.int64)
    fill[tuple(slice(before, before + size) for (before, _), size in zip(edges, x.shape, strict=True))] = 0
    codes = min(x.low, value), max(x.high, value)
    return Made(Pad(tuple(edges), fixed_constant(fill), exact(*codes, step.name)), (x,), codes)


def mirror_pad(step: TfliteStep) -> Made:
    """Convert MIRROR_PAD, with the edge itself repeated or not."""
    x, output, edges = _padding(step)
    layers = []
    for axis, ((before, after), size) in enumerate(zip(edges, x.shape, strict=True), start=1):
        if max(before, after) > size - (step.options["Mode"] != SYMMETRIC):
            raise Unsuited(f"mirrors more than the {size} places of axis {axis}")
        if before or after:
            mode: Any = "symmetric" if step.options["Mode"] == SYMMETRIC else "reflect"
            places = np.pad(np.arange(size), (before, after), mode=mode)
            layers.append(Select(tuple(places.tolist()), axis))
    return Made(Sequential(*layers, Reshape(output.shape[1:])), (x,), x.range)


def _padding(step: TfliteStep) -> tuple[TfliteValue, TfliteTensor, list[Pair]]:
    """The operand, the result, and the places before and after each axis of a sample."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    data = step.constant(1).data
    rank = len(x.tensor.shape)
    if data is None or data.shape != (rank, 2) or data.min() < 0 or data.max() >= 1 << 24 or data[0].any():
        raise Unsuited(f"pads a value of shape {x.tensor.shape} in a way that is not supported")
    return x, output, [(int(before), int(after)) for before, after in data[1:]]


def tile(step: TfliteStep) -> Made:
    """Convert TILE: the value several times along its axes."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    times = _places(step, 1, len(x.tensor.shape)).tolist()
    if times[0] != 1 or min(times) < 1:
        raise Unsuited(f"repeats the axes {times} times")
    if output.shape != tuple(size * count for size, count in zip(x.tensor.shape, times, strict=True)):
        raise Unsuited(f"repeats a value of shape {x.tensor.shape}, and declares {output.shape}")
    layers = [
        Select(tuple(range(size)) * count, axis)
        for axis, (size, count) in enumerate(zip(x.shape, times[1:], strict=True), start=1)
        if count > 1
    ]
    return Made(Sequential(*layers, Reshape(output.shape[1:])), (x,), x.range)


def reverse(step: TfliteStep) -> Made:
    """Convert REVERSE_V2 along an axis."""
    x = step.value(0)
    same_scale(x.tensor, step.output(), scales=False)
    rank = len(x.tensor.shape)
    (axis,) = _places(step, 1, 1).tolist()
    if not -rank <= axis < rank or axis % rank == 0:
        raise Unsuited(f"reverses axis {axis}, and the batch stays as it is")
    parts: list[Any] = [(None, None, 1)] * (rank - 1)
    parts[axis % rank - 1] = (None, None, -1)
    return Made(Cut(tuple(parts)), (x,), x.range)


def reshape(step: TfliteStep) -> Made:
    """Convert RESHAPE and other operators that change only the shape to the declared one."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    return Made(Reshape(output.shape[1:]), (x,), x.range)


def concatenation(step: TfliteStep) -> Made:
    """Convert CONCATENATION of values with equal scales."""
    values = tuple(step.value(place) for place in range(len(step.operator.inputs)))
    output = step.output()
    if not values:
        raise Unsuited("concatenates no values")
    same_scale(output, *(value.tensor for value in values))
    rank, axis = len(output.shape), step.options["Axis"]
    if step.options["FusedActivationFunction"]:
        raise Unsuited("has a fused activation, which TFLite has not for integers")
    if not -rank <= axis < rank or axis % rank == 0:
        raise Unsuited(f"joins along axis {axis}, and the batch stays as it is")
    places = sum(value.tensor.shape[axis] if len(value.tensor.shape) == rank else 0 for value in values)
    if places != output.shape[axis]:
        raise Unsuited(f"declares {output.shape[axis]} places along axis {axis}, and has {places}")
    codes = min(value.low for value in values), max(value.high for value in values)
    return Made(Joined(axis % rank - rank, exact(*codes, step.name)), values, codes)


def strided_slice(step: TfliteStep) -> Made:
    """Convert STRIDED_SLICE: a slice of each axis, or an index, whose axis is dropped."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    masks = {
        name: step.options[f"{name}Mask"] for name in ("Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis")
    }
    begins, ends, strides = (_places(step, place, len(x.tensor.shape)) for place in (1, 2, 3))
    if masks["Ellipsis"] or masks["NewAxis"] or step.options["Offset"] or not strides.all():
        raise Unsuited("has an ellipsis, a new axis, an offset or a stride of 0")
    parts: list[Any] = []
    for axis, (begin, end, stride) in enumerate(zip(begins.tolist(), ends.tolist(), strides.tolist())):
        first = None if masks["Begin"] >> axis & 1 else begin
        last = None if masks["End"] >> axis & 1 else end
        parts.append(begin if masks["ShrinkAxis"] >> axis & 1 else (first, last, stride))
    if isinstance(parts[0], int) or len(range(1)[slice(*parts[0])]) != 1:
        raise Unsuited("slices the batch")
    sizes = [
        len(range(size)[slice(*part)]) for size, part in zip(x.shape, parts[1:]) if not isinstance(part, int)
    ]
    places = [
        part for part, size in zip(parts[1:], x.shape) if isinstance(part, int) and not -size <= part < size
    ]
    if places or 0 in sizes:
        raise Unsuited(f"slices an empty part of a value of shape {x.tensor.shape}")
    return Made(Cut(tuple(parts[1:])), (x,), x.range)


def slice_(step: TfliteStep) -> Made:
    """Convert SLICE: a slice of each axis by begin and size."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    rank = len(x.tensor.shape)
    begins, counts = _places(step, 1, rank).tolist(), _places(step, 2, rank).tolist()
    parts = []
    for size, begin, count in zip(x.tensor.shape, begins, counts):
        end = size if count == -1 else begin + count
        if not 0 <= begin < end <= size:
            raise Unsuited(f"cuts {count} from {begin} on out of {size}")
        parts.append((begin, end, 1))
    return Made(Cut(tuple(parts[1:])), (x,), x.range)


def split(step: TfliteStep) -> list[Made]:
    """Convert SPLIT: parts of equal sizes along an axis."""
    return _parts(step, 1, 0, None)


def split_v(step: TfliteStep) -> list[Made]:
    """Convert SPLIT_V: parts of given sizes, one of which may be -1, the rest."""
    return _parts(step, 0, 2, step.constant(1).data)


def _parts(step: TfliteStep, value: int, axis: int, sizes: Array | None) -> list[Made]:
    x, outputs, at = step.value(value), step.outputs(), step.constant(axis).data
    rank = len(x.tensor.shape)
    if (
        at is None
        or at.size != 1
        or not -rank < int(at.reshape(-1)[0]) < rank
        or int(at.reshape(-1)[0]) % rank == 0
    ):
        raise Unsuited("splits along an axis that is none of a sample's")
    place = int(at.reshape(-1)[0]) % rank
    total = x.tensor.shape[place]
    counts = [total // len(outputs)] * len(outputs) if sizes is None else [int(n) for n in sizes.reshape(-1)]
    if counts.count(-1) == 1:
        counts[counts.index(-1)] = total - sum(counts) - 1
    if len(counts) != len(outputs) or sum(counts) != total or min(counts) < 1:
        raise Unsuited(f"splits {total} places into {counts}")
    made, start = [], 0
    for count, output in zip(counts, outputs):
        same_scale(x.tensor, output, scales=False)
        parts: list[Any] = [(None, None, 1)] * (rank - 1)
        parts[place - 1] = (start, start + count, 1)
        made.append(Made(Cut(tuple(parts)), (x,), x.range))
        start += count
    return made


def _places(step: TfliteStep, place: int, rank: int) -> Ints:
    data = step.constant(place).data
    if data is None or data.shape != (rank,) or data.dtype.kind != "i":
        raise Unsuited(f"has an input {place} that is not {rank} integers")
    return data
