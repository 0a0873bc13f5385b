# SPDX-License-Identifier: MIT
"""Random models with batches of every n-th pixel: SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tests.support.tflite_models import options
from tests.support.tflite_rearranging import common


def _edges(d: Any, sizes: list[int], block: list[int]) -> np.ndarray:
    """Paddings after which the sizes are multiples of the block."""
    before = [d.integer(0, 2) for _ in sizes]
    after = [
        -(size + first) % n + n * d.integer(0, 1) for size, first, n in zip(sizes, before, block, strict=True)
    ]
    return np.stack([before, after], 1)


def _blocks(d: Any, x: int, image: tuple[int, ...], block: list[int]) -> tuple[int, list[int]]:
    edges = _edges(d, list(image[:-1]), block)
    sizes = [(size + int(edge.sum())) // n for size, edge, n in zip(image, edges, block, strict=False)]
    takes = [x, d.model.constant(np.array(block, np.int32)), d.model.constant(edges.astype(np.int32))]
    about = options("SpaceToBatchND")
    shape = [prod(block), *sizes, image[-1]]
    return d.model.operator("SPACE_TO_BATCH_ND", takes, shape, about, **common(d, x)), shape


def _back(d: Any, x: int, shape: list[int], block: list[int]) -> int:
    whole = [size * n for size, n in zip(shape[1:-1], block, strict=True)]
    before = [d.integer(0, min(2, size - 1)) for size in whole]
    after = [d.integer(0, min(2, size - 1 - first)) for size, first in zip(whole, before, strict=True)]
    crops = np.stack([before, after], 1)
    left = [size - int(crop.sum()) for size, crop in zip(whole, crops, strict=True)]
    takes = [x, d.model.constant(np.array(block, np.int32)), d.model.constant(crops.astype(np.int32))]
    about = options("BatchToSpaceND")
    return d.model.operator("BATCH_TO_SPACE_ND", takes, [1, *left, shape[-1]], about, **common(d, x))


def _convolved(d: Any, x: int, shape: list[int]) -> tuple[int, list[int]]:
    """A convolution of each channel by itself, or of all, with or without padding."""
    padding = d.choice(0, 1)
    kernel = [d.integer(1, 3 if padding == 0 else min(3, size)) for size in shape[1:3]]
    channels, alone = shape[-1], d.choice(True, False)
    outputs = channels if alone else d.integer(1, 3)
    form = (1, *kernel, channels) if alone else (outputs, *kernel, channels)
    scale = d.scale(1e-3, 0.1)
    low = 0 if d.unsigned else -127
    codes = d.rng.integers(low, low + 255, form).astype("uint8" if d.unsigned else "int8")
    weight = d.model.constant(codes, scale=scale, zero=d.zero() if d.unsigned else 0, axis=3 if alone else 0)
    ints = d.rng.integers(-200, 201, outputs).astype("int32" if d.bits == 8 else "int64")
    bias = d.model.constant(ints, scale=scale * d.model.tensors[x].quantization.scale[0])
    if padding == 1:
        shape = [shape[0], *(size - n + 1 for size, n in zip(shape[1:3], kernel, strict=True)), outputs]
    about = {"padding": padding, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    made = options("DepthwiseConv2D", depthMultiplier=1, **about) if alone else options("Conv2D", **about)
    out = d.out(scale * d.model.tensors[x].quantization.scale[0] * 100)
    kind = "DEPTHWISE_CONV_2D" if alone else "CONV_2D"
    return d.model.operator(kind, [x, weight, bias], [*shape[:-1], outputs], made, **out), [
        *shape[:-1],
        outputs,
    ]


def dilated(d: Any) -> int:
    """An image, or a sequence that becomes an image of one row or one column between the two operators."""
    image = d.image()
    sequence = d.choice(True, False, False)
    image = (image[0], image[2]) if sequence else image
    block = [d.integer(1, 3) for _ in image[:-1]]
    x = d.input(image)
    y, shape = _blocks(d, x, image, block)
    if sequence:
        row = d.integer(1, 2)
        place = d.model.constant(np.array(row, np.int32))
        longer = [*shape[:row], 1, *shape[row:]]
        y = d.model.operator("EXPAND_DIMS", [y, place], longer, options("ExpandDims"), **common(d, y))
        y, longer = _convolved(d, y, longer)
        shape = longer[:row] + longer[row + 1 :]
        y = d.model.operator("SQUEEZE", [y], shape, options("Squeeze", squeezeDims=[row]), **common(d, y))
    else:
        y, shape = _convolved(d, y, shape)
    if d.choice(True, False):
        y = d.model.operator("RELU", [y], shape, **d.out(d.model.tensors[y].quantization.scale[0]))
    return _back(d, y, shape, block)
