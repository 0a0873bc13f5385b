# SPDX-License-Identifier: MIT
"""What only moves values in float models, as operators of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.float_step import FloatStep, Translate


def padded(step: FloatStep) -> str:
    """Translate PAD, PADV2 and MIRROR_PAD."""
    mode = "constant"
    if step.operator.kind == "MIRROR_PAD":
        if step.options["Mode"]:
            raise Unsuited("repeats the edge itself")
        mode = "reflect"
    pairs = np.array(step.integers(1)).reshape(-1, 2)
    inputs = [step.input(0), step.constant(pairs.T.reshape(-1), np.int64)]
    if step.has(2):
        inputs.append(step.constant(step.data(2).reshape(()), np.float32))
    made: str = step.add("Pad", inputs, mode=mode)
    return made


def reshaped(step: FloatStep) -> str:
    """Translate RESHAPE, SQUEEZE and EXPAND_DIMS to the shape that the output declares."""
    return step.shaped(step.input(0), step.output().shape)


def transposed(step: FloatStep) -> str:
    """Translate TRANSPOSE."""
    made: str = step.add("Transpose", [step.input(0)], perm=step.integers(1))
    return made


def slice_(step: FloatStep) -> str:
    """Translate SLICE."""
    begins, counts = step.integers(1), step.integers(2)
    ends = [
        size if n == -1 else begin + n
        for size, begin, n in zip(step.tensor(0).shape, begins, counts, strict=True)
    ]
    return _sliced(step, begins, ends, [1] * len(begins))


def strided_slice(step: FloatStep) -> str:
    """Translate STRIDED_SLICE, without an ellipsis or new axes."""
    options, shape = step.options, step.tensor(0).shape
    begins, ends, strides = (step.integers(place) for place in (1, 2, 3))
    if options["EllipsisMask"] or options["NewAxisMask"] or options["Offset"] or len(begins) != len(shape):
        raise Unsuited("has an ellipsis, a new axis or an offset")
    dropped = []
    for axis, size in enumerate(shape):
        if options["ShrinkAxisMask"] >> axis & 1:
            begins[axis] %= size
            ends[axis], strides[axis] = begins[axis] + 1, 1
            dropped.append(axis)
            continue
        first = None if options["BeginMask"] >> axis & 1 else begins[axis]
        last = None if options["EndMask"] >> axis & 1 else ends[axis]
        places = range(size)[slice(first, last, strides[axis])]
        begins[axis] = places.start
        ends[axis] = places.stop if places.stop >= 0 else -size - 1
    made = _sliced(step, begins, ends, strides)
    return step.add("Squeeze", [made, step.constant(dropped, np.int64)]) if dropped else made


def _sliced(step: FloatStep, begins: list[int], ends: list[int], strides: list[int]) -> str:
    """The slice, of the axes that it cuts."""
    shape = step.tensor(0).shape
    axes = [
        axis
        for axis, about in enumerate(zip(begins, ends, strides, shape, strict=True))
        if about[:3] != (0, about[3], 1)
    ]
    if not axes:
        return step.input(0)
    lists = ([values[axis] for axis in axes] for values in (begins, ends, strides))
    starts, stops, steps = (step.constant(values, np.int64) for values in lists)
    made: str = step.add("Slice", [step.input(0), starts, stops, step.constant(axes, np.int64), steps])
    return made


def split(step: FloatStep) -> Sequence[str]:
    """Translate SPLIT of (axis, value)."""
    return _parts(step, step.input(1), step.integers(0)[0], None)


def split_v(step: FloatStep) -> Sequence[str]:
    """Translate SPLIT_V of (value, sizes, axis)."""
    sizes, axis = step.integers(1), step.integers(2)[0]
    total = step.tensor(0).shape[axis]
    return _parts(step, step.input(0), axis, [total - sum(sizes) - 1 if n == -1 else n for n in sizes])


def _parts(step: FloatStep, x: str, axis: int, sizes: list[int] | None) -> Sequence[str]:
    count = len(step.operator.outputs)
    inputs = [x] if sizes is None else [x, step.constant(sizes, np.int64)]
    made = step.add("Split", inputs, count, axis=axis)
    return (made,) if count == 1 else tuple(made)


def packed(step: FloatStep) -> str:
    """Translate PACK: values joined along a new axis."""
    axis = int(step.options["Axis"]) % len(step.output().shape)
    places = step.constant([axis], np.int64)
    parts = [step.add("Unsqueeze", [step.input(i), places]) for i in range(len(step.operator.inputs))]
    made: str = step.add("Concat", parts, axis=axis)
    return made


def unpacked(step: FloatStep) -> Sequence[str]:
    """Translate UNPACK: each place along an axis."""
    axis = int(step.options["Axis"])
    return [
        step.add("Gather", [step.input(0), step.constant(place, np.int64)], axis=axis)
        for place in range(len(step.operator.outputs))
    ]


def gather(step: FloatStep) -> str:
    """Translate GATHER."""
    if step.options["BatchDims"]:
        raise Unsuited("gathers with batch dimensions")
    made: str = step.add("Gather", [step.input(0), step.input(1)], axis=int(step.options["Axis"]))
    return made


def concatenation(step: FloatStep) -> str:
    """Translate CONCATENATION."""
    inputs = [step.input(place) for place in range(len(step.operator.inputs))]
    return step.activated(step.add("Concat", inputs, axis=int(step.options["Axis"])))


def resized(nearest: bool) -> Translate:
    """A resize to the size that the output declares."""

    def translate(step: FloatStep) -> str:
        height, width = step.output().shape[1:3]
        if step.options["AlignCorners"]:
            how, rounds = "align_corners", "round_prefer_ceil"
        elif step.options["HalfPixelCenters"]:
            how, rounds = "half_pixel", "round_prefer_ceil"
        else:
            how, rounds = "asymmetric", "floor"
        about: dict[str, Any] = {"mode": "nearest", "nearest_mode": rounds} if nearest else {"mode": "linear"}
        x = step.first(step.input(0))
        about |= {"coordinate_transformation_mode": how, "axes": [2, 3]}
        made = step.add("Resize", [x, "", "", step.constant([height, width], np.int64)], **about)
        return step.last(made)

    return translate


def blocks(op: str) -> Translate:
    """DEPTH_TO_SPACE or SPACE_TO_DEPTH."""
    return lambda step: step.last(
        step.add(op, [step.first(step.input(0))], blocksize=int(step.options["BlockSize"]))
    )


def tiled(step: FloatStep) -> str:
    """Translate TILE."""
    made: str = step.add("Tile", [step.input(0), step.constant(step.integers(1), np.int64)])
    return made


def reversed_(step: FloatStep) -> str:
    """Translate REVERSE_V2: a slice backwards."""
    axes = step.integers(1)
    ends = [np.full(len(axes), end) for end in (-1, np.iinfo(np.int64).min)]
    parts = [step.constant(part, np.int64) for part in (*ends, axes, np.full(len(axes), -1))]
    made: str = step.add("Slice", [step.input(0), *parts])
    return made
