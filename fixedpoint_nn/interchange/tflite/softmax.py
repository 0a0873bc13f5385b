# SPDX-License-Identifier: MIT
"""SOFTMAX of 8-bit and of 16-bit values."""

from __future__ import annotations

from collections.abc import Callable
from math import exp as exp_of
from math import floor

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.gemmlowp import WIDE
from fixedpoint_nn.interchange.affine.interpolation import HIGHEST, LOWEST, RANGE, interpolated
from fixedpoint_nn.interchange.affine.multiplier import high_product, quantized_multiplier
from fixedpoint_nn.interchange.affine.rescaling import rescaled_twice
from fixedpoint_nn.interchange.affine.softmax import (
    DIFFERENCE,
    SUM_BITS,
    UNIT,
    Softmax8,
    Softmax16,
    power_of,
)
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ, Q
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

exponential_of = np.vectorize(exp_of, otypes=[np.float64])  # the C library's
INTEGER_BITS = 5  # of a scaled difference


def softmax(step: TfliteStep) -> Made:
    """Convert SOFTMAX of 8 bits, with output scale 1/256 and the lowest code as zero point; of 16 bits `_softmax16`."""
    x, output = step.value(0), step.output()
    if step.same_type(x.tensor, output) == "int16":
        return _softmax16(step)
    if output.zero != output.codes[0] or abs(output.scale * 256 - 1) > 0.001:
        raise Unsuited(
            f"has the output scale {output.scale} and zero point {output.zero}, not 1/256 and {output.codes[0]}"
        )
    if not x.shape or x.shape[-1] >= 1 << SUM_BITS:
        raise Unsuited(f"takes a value of shape {x.tensor.shape}")
    exp = ValueTable.of("exp", _exponential(step, x.tensor.scale), DIFFERENCE, UNIT, f"{step.name}.exp")
    whole = Quantizer(UQ(SUM_BITS, 0), Rounding.FLOOR, Overflow.WRAP, f"{step.name}.whole")
    bits = SUM_BITS - 1
    power = ValueTable.of(
        "power", lambda n: power_of(bits, n), whole.format, UQ(1, bits), f"{step.name}.power"
    )
    layer = Softmax8(
        exp,
        power,
        Quantizer(DIFFERENCE, Rounding.FLOOR, Overflow.WRAP, f"{step.name}.difference"),
        whole,
        Quantizer(UQ(8, 0), Rounding.HALF_AWAY, Overflow.SATURATE, step.name),
    )
    return Made(layer, (x,), (0, 255))


def _exponential(step: TfliteStep, scale: float) -> Callable[[int], int]:
    """exp of a difference of codes; very negative ones are left out of the sum."""
    real = min(float(step.options["Beta"]) * scale * (1 << (31 - INTEGER_BITS)), (1 << 31) - 1.0)
    if not real > 1:
        raise Unsuited(f"has the input scale {scale} and beta {step.options['Beta']}, too small for 32 bits")
    m, shift = quantized_multiplier(real)
    least = -floor(((1 << INTEGER_BITS) - 1) * (1 << (31 - INTEGER_BITS)) / (1 << shift))

    def exponential(difference: int) -> int:
        if difference > 0 or difference < least:
            return 0
        return int(WIDE.exp_of_negative(high_product(difference << shift, m), INTEGER_BITS))

    return exponential


def _softmax16(step: TfliteStep) -> Made:
    """SOFTMAX of 16 bits, with output scale 2**-15 and zero point 0."""
    x, output = step.value(0), step.output()
    if abs(output.scale * (1 << 15) - 1) > 0.001:
        raise Unsuited(f"has the output scale {output.scale}, not 2**-15")
    if not x.shape or x.shape[-1] >= 1 << SUM_BITS:
        raise Unsuited(f"takes a value of shape {x.tensor.shape}")
    # As in TFLite, computed in float32 first.
    real = float(np.float32(x.tensor.scale) * np.float32(step.options["Beta"])) / (10.0 / RANGE)
    ends = LOWEST - HIGHEST, 0
    rescale = rescaled_twice(
        real, (x.low - x.high, x.high - x.low), (-(1 << 16), (1 << 16) - 1), f"{step.name}.far"
    )
    falling = interpolated(exponential_of, -10.0, 0.0)
    far = np.arange(-(1 << 16), 1 << 16)
    values = falling[np.clip(far - ends[0], 0, len(falling) - 1)]
    exp = ValueTable("exp", Q(17, 0), Quantizer(UQ(15, 0), name=f"{step.name}.exp"), tuple(values.tolist()))
    halves = interpolated(lambda a: 1.0 / (1.0 + a), 0.0, 1.0)
    address = Quantizer(Q(16, 0), Rounding.FLOOR, Overflow.SATURATE, f"{step.name}.address")
    reciprocal = ValueTable("reciprocal", address.format, Quantizer(UQ(15, 0)), tuple(halves.tolist()))
    whole = Quantizer(UQ(SUM_BITS + 1, 0), Rounding.FLOOR, Overflow.WRAP, f"{step.name}.whole")
    power = ValueTable.of(
        "power", lambda n: power_of(SUM_BITS, n), whole.format, UQ(1, SUM_BITS), f"{step.name}.power"
    )
    out = Quantizer(UQ(15, 0), Rounding.HALF_UP, Overflow.SATURATE, step.name)
    layer = Softmax16(rescale, exp, power, reciprocal, whole, address, out)
    return Made(layer, (x,), (0, HIGHEST))
