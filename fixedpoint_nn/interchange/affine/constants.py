# SPDX-License-Identifier: MIT
"""Integer constants of a network, and formats and casts for ranges of integers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

MOST_BITS = 62


class Unsuited(ValueError):
    """Raised for numbers that have no exact conversion; the message continues a sentence that starts with "it"."""


def fixed_constant(ints: Any, frac_bits: int = 0) -> FixedArray:
    """The integers, in units of 2**-frac_bits, as a FixedArray of the smallest format that holds them."""
    array = np.asarray(ints)
    low, high = min(int(array.min()), 0), max(int(array.max()), 0)
    if max(-low, high).bit_length() > MOST_BITS:
        raise Unsuited(f"needs constants of {max(-low, high).bit_length()} bits, and {MOST_BITS} is the most")
    format = QFormat.enclosing(low, high, frac_bits, signed=low < 0)
    return FixedArray.from_ints(array.astype(np.int64), format)


def integer_format(low: int, high: int) -> QFormat:
    """The smallest integer format that holds low..high; unsigned if low >= 0."""
    if max(-low, high).bit_length() > MOST_BITS:
        raise Unsuited(f"has sums of up to {max(-low, high)}, which need more than {MOST_BITS} bits")
    return QFormat.enclosing(min(low, 0), max(high, 0), 0, signed=low < 0)


def exact(low: int, high: int, name: str = "") -> Quantizer:
    """A lossless cast that declares every integer to be in low..high."""
    return Quantizer(integer_format(low, high), Rounding.FLOOR, Overflow.WRAP, name)
