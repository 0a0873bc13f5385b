# SPDX-License-Identifier: MIT
"""Integers as constants of a network, and the formats and casts that a range of integers needs."""

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
    """Raised where numbers do not allow an exact conversion; the message goes on from "it ..."."""


def constant(ints: Any, frac_bits: int = 0) -> FixedArray:
    """The integers, each worth 2**-frac_bits, in the smallest format that holds them."""
    array = np.asarray(ints)
    low, high = min(int(array.min()), 0), max(int(array.max()), 0)
    if max(-low, high).bit_length() > MOST_BITS:
        raise Unsuited(f"needs constants of {max(-low, high).bit_length()} bits, and {MOST_BITS} is the most")
    format = QFormat.enclosing(low, high, frac_bits, signed=low < 0)
    return FixedArray.from_ints(array.astype(np.int64), format)


def whole(low: int, high: int) -> QFormat:
    """The smallest format of whole numbers that holds low..high; unsigned where nothing is negative."""
    if max(-low, high).bit_length() > MOST_BITS:
        raise Unsuited(f"has sums of up to {max(-low, high)}, which need more than {MOST_BITS} bits")
    return QFormat.enclosing(min(low, 0), max(high, 0), 0, signed=low < 0)


def exact(low: int, high: int, name: str = "") -> Quantizer:
    """A cast that changes nothing: it only says that every integer is in low..high."""
    return Quantizer(whole(low, high), Rounding.FLOOR, Overflow.WRAP, name)
