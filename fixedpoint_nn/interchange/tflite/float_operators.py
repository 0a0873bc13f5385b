# SPDX-License-Identifier: MIT
"""The operators of float models, as operators of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.float_step import FloatStep

Translate = Callable[[FloatStep], "str | Sequence[str]"]
SAME = 0  # of the option Padding


def simple(op: str, **attributes: Any) -> Translate:
    """An operator of the same inputs, with the fused activation if it has one."""

    def translate(step: FloatStep) -> str:
        inputs = [step.input(place) for place in range(len(step.operator.inputs))]
        return step.activated(step.add(op, inputs, **attributes))

    return translate


def clipped(low: float, high: float) -> Translate:
    """Values between two limits."""
    return lambda step: step.add(
        "Clip", [step.input(0), step.constant(low, np.float32), step.constant(high, np.float32)]
    )


def _windows(step: FloatStep, sizes: Sequence[int], dilations: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Strides and explicit pads of a window that slides over an image."""
    strides = [int(step.options["StrideH"]), int(step.options["StrideW"])]
    before, after = [0, 0], [0, 0]
    if step.options["Padding"] == SAME:
        for axis, (size, kernel, stride, dilation) in enumerate(
            zip(step.tensor(0).shape[1:3], sizes, strides, dilations, strict=True)
        ):
            reach = (kernel - 1) * dilation + 1
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            before[axis], after[axis] = total // 2, total - total // 2
    return {"strides": strides, "pads": [*before, *after]}


def _filter(step: FloatStep, place: int) -> Any:
    found = step.data(place)
    if found.ndim != 4 or len(step.tensor(0).shape) != 4:
        raise Unsuited(f"has weights of shape {found.shape}")
    return found


def _convolved(step: FloatStep, weights: Any, group: int) -> str:
    dilations = [int(step.options["DilationHFactor"]), int(step.options["DilationWFactor"])]
    about = _windows(step, weights.shape[2:], dilations)
    inputs = [step.first(step.input(0)), step.constant(weights)]
    if step.has(2):
        inputs.append(step.constant(step.data(2)))
    return step.activated(step.last(step.add("Conv", inputs, dilations=dilations, group=group, **about)))


def conv_2d(step: FloatStep) -> str:
    """Translate CONV_2D; weights (out, height, width, in of a group)."""
    weights = _filter(step, 1).transpose(0, 3, 1, 2)
    return _convolved(step, weights, step.tensor(0).shape[-1] // weights.shape[1])


def depthwise_conv_2d(step: FloatStep) -> str:
    """Translate DEPTHWISE_CONV_2D; weights (1, height, width, out)."""
    return _convolved(step, _filter(step, 1).transpose(3, 0, 1, 2), step.tensor(0).shape[-1])


def transpose_conv(step: FloatStep) -> str:
    """Translate TRANSPOSE_CONV of (shape, weights, image, bias)."""
    weights = step.data(1)
    size = step.tensor(2).shape[1:3]
    if weights.ndim != 4 or len(size) != 2:
        raise Unsuited(f"has weights of shape {weights.shape}")
    strides = [int(step.options["StrideH"]), int(step.options["StrideW"])]
    whole = [(n - 1) * s + k for n, s, k in zip(size, strides, weights.shape[1:3], strict=True)]
    more = [full - out for full, out in zip(whole, step.output().shape[1:3], strict=True)]
    before = [max(n, 0) // 2 if step.options["Padding"] == SAME else 0 for n in more]
    pads = [*before, *(max(n, 0) - first for n, first in zip(more, before, strict=True))]
    inputs = [step.first(step.input(2)), step.constant(weights.transpose(3, 0, 1, 2))]
    if step.has(3):
        inputs.append(step.constant(step.data(3)))
    made = step.add(
        "ConvTranspose", inputs, strides=strides, pads=pads, output_padding=[max(-n, 0) for n in more]
    )
    return step.activated(step.last(made))


def pooled(op: str) -> Translate:
    """A pooling of images, which does not count the padding."""

    def translate(step: FloatStep) -> str:
        kernel = [int(step.options["FilterHeight"]), int(step.options["FilterWidth"])]
        made = step.add(op, [step.first(step.input(0))], kernel_shape=kernel, **_windows(step, kernel))
        return step.activated(step.last(made))

    return translate


def fully_connected(step: FloatStep) -> str:
    """Translate FULLY_CONNECTED; weights (out, in), constant or computed."""
    features, shape = step.tensor(1).shape[-1], step.tensor(0).shape
    x = step.input(0)
    count = prod(shape[1:]) // features
    before = (1, features) if count == 1 else shape if shape[-1] == features else (1, count, features)
    if before != shape:
        x = step.shaped(x, before)
    weights = (
        step.constant(step.data(1).T)
        if step.known(1)
        else step.add("Transpose", [step.input(1)], perm=[1, 0])
    )
    made = step.add("MatMul", [x, weights])
    if step.has(2):
        made = step.add("Add", [made, step.constant(step.data(2))])
    made = step.activated(made)
    declared = step.output().shape
    return made if before[1:-1] == declared[1:-1] else step.shaped(made, declared)


def batch_matmul(step: FloatStep) -> str:
    """Translate BATCH_MATMUL, with either operand transposed."""
    names = []
    for place, option in enumerate(("AdjX", "AdjY")):
        rank = len(step.tensor(place).shape)
        name = step.input(place)
        if step.options[option]:
            name = step.add("Transpose", [name], perm=[*range(rank - 2), rank - 1, rank - 2])
        names.append(name)
    made: str = step.add("MatMul", names)
    return made


def reduced(op: str, as_input: bool = False) -> Translate:
    """A reduction over constant axes, an attribute or an input of the operator."""

    def translate(step: FloatStep) -> str:
        axes = step.integers(1)
        keep = int(bool(step.options["KeepDims"]))
        x = step.input(0)
        made: str = (
            step.add(op, [x, step.constant(axes, np.int64)], keepdims=keep)
            if as_input
            else step.add(op, [x], axes=axes, keepdims=keep)
        )
        return made

    return translate


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


def softmax(step: FloatStep) -> str:
    """Translate SOFTMAX over the last axis, with its factor."""
    x, beta = step.input(0), float(step.options["Beta"])
    if beta != 1:
        x = step.add("Mul", [x, step.constant(beta, np.float32)])
    made: str = step.add("Softmax", [x], axis=-1)
    return made


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


def power(exponent: float) -> Translate:
    """A power of each value."""
    return lambda step: step.add("Pow", [step.input(0), step.constant(exponent, np.float32)])


def squared_difference(step: FloatStep) -> str:
    """Translate SQUARED_DIFFERENCE."""
    over = step.add("Sub", [step.input(0), step.input(1)])
    made: str = step.add("Mul", [over, over])
    return made


def leaky_relu(step: FloatStep) -> str:
    """Translate LEAKY_RELU."""
    made: str = step.add("LeakyRelu", [step.input(0)], alpha=float(step.options["Alpha"]))
    return made


def gelu(step: FloatStep) -> str:
    """Translate GELU."""
    made: str = step.add(
        "Gelu", [step.input(0)], approximate="tanh" if step.options["Approximate"] else "none"
    )
    return made


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


FLOAT_OPERATORS: dict[str, Translate] = {
    "ABS": simple("Abs"),
    "ADD": simple("Add"),
    "AVERAGE_POOL_2D": pooled("AveragePool"),
    "BATCH_MATMUL": batch_matmul,
    "CONCATENATION": concatenation,
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "DEPTH_TO_SPACE": blocks("DepthToSpace"),
    "DIV": simple("Div"),
    "ELU": simple("Elu"),
    "EXP": simple("Exp"),
    "EXPAND_DIMS": reshaped,
    "FULLY_CONNECTED": fully_connected,
    "GATHER": gather,
    "GELU": gelu,
    "HARD_SWISH": simple("HardSwish"),
    "L2_NORMALIZATION": simple("LpNormalization"),
    "LEAKY_RELU": leaky_relu,
    "LOG": simple("Log"),
    "LOGISTIC": simple("Sigmoid"),
    "LOG_SOFTMAX": simple("LogSoftmax"),
    "MAXIMUM": simple("Max"),
    "MAX_POOL_2D": pooled("MaxPool"),
    "MEAN": reduced("ReduceMean"),
    "MINIMUM": simple("Min"),
    "MIRROR_PAD": padded,
    "MUL": simple("Mul"),
    "NEG": simple("Neg"),
    "PACK": packed,
    "PAD": padded,
    "PADV2": padded,
    "PRELU": simple("PRelu"),
    "REDUCE_MAX": reduced("ReduceMax"),
    "REDUCE_MIN": reduced("ReduceMin"),
    "RELU": simple("Relu"),
    "RELU6": clipped(0.0, 6.0),
    "RELU_0_TO_1": clipped(0.0, 1.0),
    "RELU_N1_TO_1": clipped(-1.0, 1.0),
    "RESHAPE": reshaped,
    "RESIZE_BILINEAR": resized(nearest=False),
    "RESIZE_NEAREST_NEIGHBOR": resized(nearest=True),
    "REVERSE_V2": reversed_,
    "RSQRT": power(-0.5),
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPACE_TO_DEPTH": blocks("SpaceToDepth"),
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQRT": simple("Sqrt"),
    "SQUARE": power(2.0),
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": reshaped,
    "STRIDED_SLICE": strided_slice,
    "SUB": simple("Sub"),
    "SUM": reduced("ReduceSum", as_input=True),
    "TANH": simple("Tanh"),
    "TILE": tiled,
    "TRANSPOSE": transposed,
    "TRANSPOSE_CONV": transpose_conv,
    "UNPACK": unpacked,
}
