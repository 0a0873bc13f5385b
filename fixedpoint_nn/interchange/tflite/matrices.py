# SPDX-License-Identifier: MIT
"""BATCH_MATMUL: products of two computed values, or of a value and a constant."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.joining import RescaledMatMul
from fixedpoint_nn.interchange.affine.rescale import Rescale
from fixedpoint_nn.interchange.affine.rescaling import rescaled_short, rescaled_twice
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.tflite.geometry import check_work
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep


def batch_matmul(step: TfliteStep) -> Made:
    """Convert BATCH_MATMUL: exact sums, rescaled as those of a convolution are."""
    x, second, output = step.value(0), step.tensor(1), step.output()
    step.same_type(x.tensor, second, output)
    flipped = bool(step.options["AdjX"]), bool(step.options["AdjY"])
    shapes = [_matrices(tensor.shape, flip) for tensor, flip in zip((x.tensor, second), flipped, strict=True)]
    terms = shapes[0][-1]
    if len(shapes[0]) < 2 or len(shapes[1]) < 2 or shapes[1][-2] != terms:
        raise Unsuited(f"multiplies the shapes {x.tensor.shape} and {second.shape}")
    check_work(step, (*shapes[0][1:-1], shapes[1][-1]), terms)
    name = f"{step.name}.product"
    if second.data is not None:
        matrix = _constant(second, flipped[1])
        sums = sums_of(matrix.T, None, *x.range)
        fixed = fixed_constant(matrix)
        layer = RescaledMatMul(_rescale(step, sums), exact(*sums, name), (flipped[0], False), fixed)
        return Made(layer, (x,), output.centred)
    y = step.value(1)
    if shapes[0][:-2] != shapes[1][:-2] or len(shapes[0]) < 3:
        raise Unsuited(
            f"multiplies the shapes {x.tensor.shape} and {second.shape}, and equal batches are supported"
        )
    corners = [a * b * terms for a in x.range for b in y.range]
    sums = min(corners), max(corners)
    return Made(RescaledMatMul(_rescale(step, sums), exact(*sums, name), flipped), (x, y), output.centred)


def _matrices(shape: tuple[int, ...], flip: bool) -> tuple[int, ...]:
    return (*shape[:-2], *shape[:-3:-1]) if flip else shape


def _constant(tensor: TfliteTensor, flip: bool) -> np.ndarray:
    """The constant matrix, minus its zero point."""
    assert tensor.data is not None
    if len(tensor.scales) != 1 or any(size != 1 for size in tensor.shape[:-2]) or not tensor.data.size:
        raise Unsuited(
            f"has the constant {tensor.name!r} of shape {tensor.shape} with {len(tensor.scales)} scales"
        )
    matrix = tensor.data.reshape(tensor.shape[-2:]).astype(np.int64) - tensor.zero
    return matrix.T if flip else matrix


def _rescale(step: TfliteStep, sums: tuple[int, int]) -> Rescale:
    """The rescaling of the sums: 32-bit sums are rounded twice, 64-bit sums once."""
    x, y, output = step.tensor(0), step.tensor(1), step.output()
    real = float(np.float32(x.scale) * np.float32(y.scale)) / output.scale
    if output.dtype == "int16":
        return rescaled_short([real], sums, output.centred, step.name)
    if max(-sums[0], sums[1]) >> 31:
        raise Unsuited(f"has sums of up to {max(-sums[0], sums[1])}, and TFLite's have 32 bits")
    return rescaled_twice(real, sums, output.centred, step.name)
