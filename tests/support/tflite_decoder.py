# SPDX-License-Identifier: MIT
"""A model that makes an image smaller and larger again, with attention over its pixels in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.tflite_models import ModelBuilder, options

OUT = {"scale": 0.05, "zero": 3}


def decoder(seed: int = 0, size: int = 6, channels: int = 4) -> tuple[bytes, np.ndarray]:
    """The file, and 50 samples of int8."""
    rng = np.random.default_rng(seed)
    model = ModelBuilder()

    def ints(*shape: int, dtype: type = np.int8, most: int = 127, **about: Any) -> int:
        return model.constant(rng.integers(-most, most + 1, shape).astype(dtype), **about)

    def whole(*values: Any) -> int:
        return model.constant(np.array(values, np.int32))

    def add(kind: str, inputs: list[int], *shape: int, made: Any = None, **about: Any) -> int:
        return model.operator(kind, inputs, (1, *shape), made, **(about or OUT))

    half = size // 2
    x = model.input((1, size, size, 3), **OUT)
    sides = whole((0, 0), (1, 1), (1, 1), (0, 0))
    y = add("MIRROR_PAD", [x, sides], size + 2, size + 2, 3, made=options("MirrorPad", mode=0))
    weights = ints(channels, 3, 3, 3, scale=0.01)
    bias = ints(channels, dtype=np.int32, most=300, scale=0.0005)
    made = options("Conv2D", padding=1, strideH=2, strideW=2)
    y = add("CONV_2D", [y, weights, bias], half, half, channels, made=made)
    y = add("PRELU", [y, ints(1, 1, channels, scale=0.004)], half, half, channels)
    z = add("GELU", [y], half, half, channels, made=options("Gelu"))
    rows = add(
        "RESHAPE", [z, whole(1, half * half, channels)], half * half, channels, made=options("Reshape")
    )
    made = options("BatchMatMul", adjY=True)
    alike = add("BATCH_MATMUL", [rows, rows], half * half, half * half, made=made, scale=0.6, zero=-90)
    rows = add(
        "BATCH_MATMUL",
        [alike, rows],
        half * half,
        channels,
        made=options("BatchMatMul"),
        scale=8.0,
        zero=-100,
    )
    mean = add(
        "MEAN", [rows, whole(1)], 1, channels, made=options("Reducer", keepDims=True), scale=8.0, zero=-100
    )
    rows = add(
        "SQUARED_DIFFERENCE",
        [rows, mean],
        half * half,
        channels,
        made=options("SquaredDifference"),
        scale=4000.0,
        zero=-128,
    )
    far = {"scale": 4000.0, "zero": -128}
    y = add(
        "RESHAPE",
        [rows, whole(1, half, half, channels)],
        half,
        half,
        channels,
        made=options("Reshape"),
        **far,
    )
    made = options("ResizeBilinear", halfPixelCenters=True)
    wide = add("RESIZE_BILINEAR", [y, whole(size, size)], size, size, channels, made=made, **far)
    place = whole(1, size, size, 2)
    made = options("TransposeConv", padding=0, strideH=2, strideW=2, fusedActivationFunction=1)
    weights = ints(2, 3, 3, channels, scale=0.01)
    y = add("TRANSPOSE_CONV", [place, weights, y], size, size, 2, made=made, scale=6000.0, zero=-128)
    edges = whole((0, 0), (0, 0), (0, 0), (0, channels - 2))
    value = ints(1, scale=6000.0, zero=-128)
    made = options("PadV2")
    y = add("PADV2", [y, edges, value], size, size, channels, made=made, scale=6000.0, zero=-128)
    y = add("ADD", [y, wide], size, size, channels, made=options("Add"), scale=9000.0, zero=-110)
    made = options("Reducer", keepDims=True)
    y = add("REDUCE_MAX", [y, whole(3)], size, size, 1, made=made, scale=9000.0, zero=-110)
    y = add("TILE", [y, whole(1, 1, 1, 2)], size, size, 2, made=options("Tile"), scale=9000.0, zero=-110)
    samples = rng.integers(-128, 128, (50, size, size, 3)).astype(np.int8)
    return model.finish([y]), samples
