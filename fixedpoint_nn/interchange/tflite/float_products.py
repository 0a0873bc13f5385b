# SPDX-License-Identifier: MIT
"""Products and windows of float models, as operators of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.tflite.float_step import FloatStep, Translate

SAME = 0  # of the option Padding


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
