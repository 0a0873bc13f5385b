# SPDX-License-Identifier: MIT
"""Random models of one operator that multiplies: transposed convolutions, matrices, slopes; drawn by Hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.support.tflite_models import TYPES, options


def scale_of(d: Any, tensor: int) -> float:
    return float(d.model.tensors[tensor].quantization.scale[0])


def transpose_conv(d: Any) -> int:
    image = d.image()
    outputs = d.integer(1, 4)
    padding, stride = d.choice(0, 1), (d.integer(1, 3), d.integer(1, 3))
    kernel = d.integer(1, 4), d.integer(1, 4)
    sizes = []  # from which the convolution of this padding makes the image
    for size, taps, apart in zip(image, kernel, stride, strict=False):
        least = (size - 1) * apart + (1 if padding == 0 else taps)
        sizes.append(least + d.integer(0, apart - 1))
    x = d.input(image)
    scales = [d.scale(1e-3, 0.1) for _ in range(1 if d.unsigned else d.choice(1, outputs))]
    ints = d.codes((outputs, *kernel, image[2]), "uint8" if d.unsigned else "int8")
    w = d.model.constant(ints, scale=scales, axis=0, zero=d.zero() if d.unsigned else 0)
    kind = d.choice("none", "int32") if d.bits == 8 else d.choice("none", "int32", "int64")
    bias = []
    if kind != "none":
        values = d.rng.integers(-3000, 3001, outputs).astype(kind)
        bias = [d.model.constant(values, scale=[s * scale_of(d, x) for s in scales])]
    shape = (1, *sizes, outputs)
    made = options(
        "TransposeConv",
        padding=padding,
        strideH=stride[0],
        strideW=stride[1],
        fusedActivationFunction=d.fused(),
        quantizedBiasType=TYPES["int32"] if d.bits == 16 and kind == "int32" else 0,
    )
    taps = kernel[0] * kernel[1] * image[2]
    place = d.model.constant(np.array(shape, np.int32))
    out = d.out(scale_of(d, x) * max(scales) * 60 * np.sqrt(taps))
    return d.model.operator("TRANSPOSE_CONV", [place, w, x, *bias], shape, made, **out)


def batch_matmul(d: Any) -> int:
    """A value times a constant, or times itself in another scale."""
    rows, terms = d.integer(1, 5), d.integer(1, 6)
    before = d.choice((), (), (2,))
    flips = d.choice(False, True), d.choice(False, True)
    first = (*before, *((terms, rows) if flips[0] else (rows, terms)))
    x = d.input(first)
    scale = {"dtype": d.dtype, "scale": d.scale(1e-3, 0.1), "zero": d.zero()}
    if d.choice(True, False):
        columns = d.integer(1, 5)
        second = (columns, terms) if flips[1] else (terms, columns)
        shape = d.choice(second, (1, *[1 for _ in before], *second))
        y = d.model.constant(d.codes(shape), scale=scale["scale"], zero=scale["zero"])
    else:
        columns = rows
        y = d.model.operator("QUANTIZE", [x], (1, *first), options("Quantize"), **scale)
        if flips[0] == flips[1]:
            axes = (0, 1, 3, 2) if before else (0, 2, 1)
            order = d.model.constant(np.array(axes, np.int32))
            turned = [(1, *first)[axis] for axis in axes]
            y = d.model.operator("TRANSPOSE", [y, order], turned, options("Transpose"), **scale)
    made = options("BatchMatMul", adjX=flips[0], adjY=flips[1])
    out = d.out(scale_of(d, x) * scale_of(d, y) * 60**2 * np.sqrt(terms))
    return d.model.operator("BATCH_MATMUL", [x, y], (1, *before, rows, columns), made, **out)


def prelu(d: Any) -> int:
    image = d.image()
    x = d.input(image)
    shape = d.choice((1, 1, image[2]), image, (1,), (1, *image), (1, 1, 1, image[2]))
    slopes = d.model.constant(d.codes(shape), scale=d.scale(1e-3, 0.02), zero=d.zero())
    return d.model.operator("PRELU", [x, slopes], (1, *image), None, **d.out(scale_of(d, x)))


def resize_bilinear(d: Any) -> int:
    height, width, channels = d.image()
    x = d.input((height, width, channels))
    about = d.model.tensors[x].quantization
    wanted = d.integer(1, 3 * height), d.integer(1, 3 * width)
    corners = d.choice(True, False)
    if d.unsigned:  # computed in 32-bit floats, which must be exact
        corners, wanted = False, (height * d.choice(1, 2, 4, 8), width * d.choice(1, 2, 4))
    half = not corners and d.choice(True, False)
    made = options("ResizeBilinear", alignCorners=corners, halfPixelCenters=half)
    sizes = d.model.constant(np.array(wanted, np.int32))
    return d.model.operator(
        "RESIZE_BILINEAR",
        [x, sizes],
        (1, *wanted, channels),
        made,
        d.dtype,
        scale=about.scale[0],
        zero=about.zeroPoint[0],
    )


MAKERS: dict[str, Callable[[Any], int]] = {
    "BATCH_MATMUL": batch_matmul,
    "PRELU": prelu,
    "RESIZE_BILINEAR": resize_bilinear,
    "TRANSPOSE_CONV": transpose_conv,
}
