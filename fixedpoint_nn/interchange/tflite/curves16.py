# SPDX-License-Identifier: MIT
"""Real functions of 16-bit values: linear interpolation between points.

LOGISTIC and TANH have 256 points of the logistic function, the others 513 of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited, integer_format
from fixedpoint_nn.interchange.affine.interpolation import interpolated
from fixedpoint_nn.interchange.affine.rescale import Lookup
from fixedpoint_nn.interchange.tflite.model import TfliteTensor
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable


def _points() -> Ints:
    """The points 65536 * logistic(i / 24), raised by half of the interpolation error (1/16 of the curvature)."""
    curve = 1 / (1 + np.exp(-np.arange(256) / 24))
    curvature = curve * (1 - curve) * (1 - 2 * curve) / 24**2
    points: Ints = np.floor(65536 * (curve - curvature / 16) + 0.5).astype(np.int64)
    points[-1] = 65535  # the end of the curve
    return points


POINTS = _points()
CODES = np.arange(-(1 << 15), 1 << 15)


def logistic(step: TfliteStep) -> Made:
    """Convert LOGISTIC of 16 bits; the output is in units of 2**-15."""
    return _curve(step, "logistic", _logistic(_scaled(step, 0)))


def tanh(step: TfliteStep) -> Made:
    """Convert TANH of 16 bits: 2 * logistic(2 * x) - 1, in units of 2**-15."""
    return _curve(step, "tanh", _tanh(_scaled(step, 1)))


def by_segments(step: TfliteStep, function: Callable[[Any], Any]) -> Made:
    """A function of 32-bit floats, which are the ends and middles of 512 segments."""
    x, output = step.value(0), step.output()
    scale = np.float32(x.tensor.scale)
    ends = scale * np.float32(CODES[0]), scale * np.float32(CODES[-1])
    with np.errstate(over="ignore", invalid="ignore"):
        codes = interpolated(function, *ends, np.float32(output.scale))
    return _tabulated(step, step.operator.kind.lower(), codes)


def _curve(step: TfliteStep, name: str, codes: Ints) -> Made:
    output = step.output()
    if output.dtype != "int16" or np.frexp(output.scale) != (0.5, -14):
        raise Unsuited(f"has the output scale {output.scale}, and TFLite's has 2**-15")
    return _tabulated(step, name, codes)


def _tabulated(step: TfliteStep, name: str, codes: Ints) -> Made:
    x, output = step.value(0), step.output()
    f, landing = x.format, integer_format(-(1 << 15), (1 << 15) - 1)
    inside = codes[f.int_min + (1 << 15) : f.int_max + 1 + (1 << 15)]
    table = ValueTable(name, f, Quantizer(landing, name=step.name), tuple(inside.tolist()))
    return Made(Lookup(table), (x,), output.centred)


def _scaled(step: TfliteStep, most: int) -> Ints:
    """Every code at the scale of the points, 1/12288.

    A scale that is a power of two, up to 2**`most` above 2**-12, is applied exactly, any other with 15 bits."""
    multiplier, shift = _multiplier(step.value(0).tensor, most)
    half = 1 << (shift - 1) if shift else 0
    return (CODES * multiplier + half) >> shift


def _multiplier(x: TfliteTensor, most: int) -> tuple[int, int]:
    """(multiplier, right shift) of the input of TFLite's 16-bit tables of sigmoid and tanh."""
    power = np.log2(np.float32(x.scale))
    nearest = np.round(power)
    up = 12 + int(nearest)
    if abs(power - nearest) < 1e-3 and 0 <= up <= most:
        return 3 << up, 0
    real, shift = x.scale * 4096.0 * 3.0, 0
    while real <= 32767.0 / 2.0 and shift <= 30:
        real, shift = real * 2.0, shift + 1
    if real >= 1 << 16:
        raise Unsuited(f"has the input scale {x.scale}, and 32 bits overflow")
    return int(real), shift


def _between(codes: Ints, bits: int, largest: int) -> Ints:
    """The function at |codes|, whose low `bits` bits are the position between two points."""
    size = np.abs(codes)
    place, rest = size >> bits, size & ((1 << bits) - 1)
    left = np.minimum(place, 254)
    line = (POINTS[left] << bits) + rest * (POINTS[left + 1] - POINTS[left])
    return np.where(place >= 255, largest, line)


def _logistic(codes: Ints) -> Ints:
    line = _between(codes, 9, 0x7FFF << 10)
    return np.where(codes >= 0, line + (1 << 9), (1 << 25) - line + (1 << 9) - 1) >> 10


def _tanh(codes: Ints) -> Ints:
    line = _between(codes, 8, 0xFFFF << 8)
    return np.where(codes >= 0, line - (1 << 23) + (1 << 7), -line + (1 << 23) + (1 << 7) - 1) >> 8


CURVES16: dict[str, Callable[[TfliteStep], Made]] = {"LOGISTIC": logistic, "TANH": tanh}
