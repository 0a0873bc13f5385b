# SPDX-License-Identifier: MIT
"""The codes of roundings and overflows in instructions, engine parameters and the C kernels: the only table of them."""

from __future__ import annotations

from functools import cache

from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding

# Names of `Rounding` and `Overflow`; the code is the place. requantize.v, quantize_product.v and
# kernels.c implement them.
ROUNDINGS = (
    "FLOOR",
    "TOWARD_ZERO",
    "HALF_UP",
    "HALF_DOWN",
    "HALF_AWAY",
    "HALF_TOWARD_ZERO",
    "HALF_EVEN",
)
OVERFLOWS = ("WRAP", "SATURATE", "SATURATE_SYMMETRIC", "ZERO")


def rounding_of(code: int) -> Rounding:
    """The rounding with this code."""
    return Rounding[ROUNDINGS[code]]


def overflow_of(code: int) -> Overflow:
    """The overflow with this code."""
    return Overflow[OVERFLOWS[code]]


@cache
def code_of(mode: Rounding | Overflow) -> int:
    """The code of a rounding or an overflow."""
    return (ROUNDINGS if isinstance(mode, Rounding) else OVERFLOWS).index(mode.name)
