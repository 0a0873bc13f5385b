# SPDX-License-Identifier: MIT
"""Images of other sizes: the nearest pixels, or weighted sums of pixels."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant
from fixedpoint_nn.interchange.affine.interpolated_image import InterpolatedImage
from fixedpoint_nn.interchange.tflite.geometry import MOST_COPIES, check_work
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.regions import landing_of_codes
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep, TfliteValue, same_scale
from fixedpoint_nn.layers.movement import Select
from fixedpoint_nn.layers.structure import Reshape, Sequential
from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

PARTS = 10  # bits of a weight, as in TFLite
MOST_WEIGHTS = 1 << 22  # of an axis
FLOAT_BITS = 24  # of a 32-bit float's significand


def resize_nearest(step: TfliteStep) -> Made:
    """Convert RESIZE_NEAREST_NEIGHBOR; the place of each pixel is computed in float32, as in TFLite."""
    x, output = _resized(step)
    corners, half = _alignment(step)
    layers = []
    for axis in (1, 2):
        places = _places(x.tensor.shape[axis], output.shape[axis], corners, half)
        if places != tuple(range(x.tensor.shape[axis])):
            layers.append(Select(places, axis))
    return Made(Sequential(*layers, Reshape(output.shape[1:])), (x,), x.range)


def _places(size: int, wanted: int, corners: bool, half: bool) -> tuple[int, ...]:
    """The pixel that each pixel of the result is."""
    ends = (size - 1, wanted - 1) if corners and wanted > 1 else (size, wanted)
    scale = np.float32(ends[0]) / np.float32(ends[1])
    at = (np.arange(wanted, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    whole = np.floor(at + np.float32(0.5)) if corners else np.floor(at)
    return tuple(int(place) for place in np.clip(whole, 0, size - 1))


def resize_bilinear(step: TfliteStep) -> Made:
    """Convert RESIZE_BILINEAR: whole weights of 10 bits for each axis, and one rounding of the codes q."""
    x, output = _resized(step)
    unsigned = x.tensor.dtype == "uint8"
    weights_of = _weights_of_floats if unsigned else _whole_weights
    corners, half = _alignment(step)
    check_work(step, output.shape[1:], x.shape[0] + x.shape[1], MOST_COPIES)
    if max(x.tensor.shape[axis] * output.shape[axis] for axis in (1, 2)) > MOST_WEIGHTS:
        raise Unsuited(f"resizes a value of shape {x.tensor.shape} to {output.shape}, which is too much")
    rows, columns = (weights_of(x.tensor.shape[axis], output.shape[axis], corners, half) for axis in (1, 2))
    fraction = sum(int(weights.sum(axis=0)[0]).bit_length() - 1 for weights in (rows, columns))
    if unsigned and fraction + 8 > FLOAT_BITS:
        raise Unsuited("resizes unsigned values, with weights that 32-bit floats round")
    zero = x.tensor.zero
    format, clamp = landing_of_codes(step, output.centred, zero)
    between = int(rows.sum(axis=0)[0])
    layer = InterpolatedImage(
        fixed_constant(rows),
        fixed_constant(columns),
        fraction,
        exact(x.low * between, x.high * between, f"{step.name}.rows"),
        fixed_constant(np.asarray(zero << fraction)) if zero else None,
        Quantizer(format, Rounding.HALF_AWAY, Overflow.SATURATE, step.name),
        clamp,
    )
    return Made(layer, (x,), output.centred)


def _resized(step: TfliteStep) -> tuple[TfliteValue, TfliteTensor]:
    """The image and the result."""
    x, output = step.value(0), step.output()
    same_scale(x.tensor, output, scales=False)
    if len(x.shape) != 3 or len(output.shape) != 4 or x.shape[-1] != output.shape[-1]:
        raise Unsuited(f"resizes a value of shape {x.tensor.shape} to {output.shape}")
    return x, output


def _alignment(step: TfliteStep) -> tuple[bool, bool]:
    """Whether corners are aligned, and whether pixels have their places in their middles."""
    return bool(step.options["AlignCorners"]), bool(step.options["HalfPixelCenters"])


def _whole_weights(size: int, wanted: int, corners: bool, half: bool) -> Ints:
    """(size, wanted) weights in units of 2**-10, by the whole numbers with which TFLite computes places."""
    one = 1 << PARTS
    scale = (one * size + wanted // 2) // wanted
    if corners and wanted > 1:
        scale = (one * (size - 1) + (wanted - 1) // 2) // (wanted - 1)
    at = np.arange(wanted, dtype=np.int64) * scale
    if half:
        at += scale // 2 - one // 2
    return _between(at, one, size)


def _weights_of_floats(size: int, wanted: int, corners: bool, half: bool) -> Ints:
    """(size, wanted) weights in units of the smallest part that 32-bit floats of places have."""
    ends = (size - 1, wanted - 1) if corners and wanted > 1 else (size, wanted)
    scale = np.float32(ends[0]) / np.float32(ends[1])
    at = np.arange(wanted, dtype=np.float32)
    places: Array = (at + np.float32(0.5)) * scale - np.float32(0.5) if half else at * scale
    for bits in range(PARTS + 1):
        whole = np.ldexp(places.astype(np.float64), bits)
        if (whole == np.rint(whole)).all():
            return _between(whole.astype(np.int64), 1 << bits, size)
    raise Unsuited("resizes unsigned values, with weights that 32-bit floats round")


def _between(at: Ints, one: int, size: int) -> Ints:
    """(size, places) weights of the two pixels beside each place; `at` is in units of 1 / one."""
    first = np.maximum(at, 0) // one
    second = np.minimum(-(-at // one), size - 1)
    second = np.maximum(second, 0)
    weights = np.zeros((size, len(at)), np.int64)
    rest = at - first * one
    np.add.at(weights, (first, np.arange(len(at))), one - rest)
    np.add.at(weights, (second, np.arange(len(at))), rest)
    return weights
