# SPDX-License-Identifier: MIT
"""L2_NORMALIZATION of 8-bit values."""

from __future__ import annotations

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.unit_length import SUM_BITS, UnitLength
from fixedpoint_nn.interchange.tflite.codes import eight_bits
from fixedpoint_nn.interchange.tflite.step import Made, TfliteStep


def l2_normalization(step: TfliteStep) -> Made:
    """Convert L2_NORMALIZATION over the last axis, whose result is in units of 1/128."""
    x, output = step.value(0), step.output()
    eight_bits(step, x)
    middle = 128 if output.dtype == "uint8" else 0
    if output.scale != 1 / 128 or output.zero != middle:
        raise Unsuited(
            f"has the output scale {output.scale} and zero point {output.zero}, not 1/128 and {middle}"
        )
    if step.options["FusedActivationFunction"]:
        raise Unsuited("has a fused activation, which TFLite has not for it")
    largest = max(-x.low, x.high)
    if not x.shape or x.shape[-1] * largest**2 >> SUM_BITS:
        raise Unsuited(f"adds the squares of {x.shape[-1:]} values, and {SUM_BITS} bits are the most here")
    return Made(UnitLength.of(output.dtype == "int8", step.name), (x,), (-128, 127))
