# SPDX-License-Identifier: MIT
"""The choice of the binary point: integer bits by the extremes, a percentile, or the least squared error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import frexp, isfinite

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

SAMPLE = 1 << 16  # values kept per place; the extremes are over all values
PERCENTILE = 99.99
CANDIDATES = 6  # integer bits below those of the extremes that are tried for the least error


class RangeMethod(Enum):
    """The criterion by which integer bits are chosen from data."""

    MAX = "max"
    PERCENTILE = "percentile"
    LEAST_ERROR = "least_error"


@dataclass(frozen=True)
class ValueRange:
    """The values observed at one place: their extremes, and a sample of them."""

    low: float
    high: float
    sample: Array

    @classmethod
    def of(cls, values: Array) -> ValueRange:
        """The extremes and a sample of an array's values."""
        flat = np.asarray(values).reshape(-1)
        return cls(float(flat.min()), float(flat.max()), thinned(flat, SAMPLE))

    def clipped(self, low: float, high: float) -> ValueRange:
        """The range clipped to [low, high]."""
        bounds = max(self.low, low), min(self.high, high)
        return ValueRange(*bounds, np.clip(self.sample, low, high))

    def through(self, function: Callable[[Array], Array]) -> ValueRange:
        """The range of an element-wise function of these values."""
        with np.errstate(divide="ignore", over="ignore"):
            values = function(np.append(self.sample, np.array([self.low, self.high], self.sample.dtype)))
        return ValueRange.of(values[np.isfinite(values)])


@dataclass
class RangeObserver:
    """A stand-in for a cast point's quantizer during calibration: records the range of values, rounds nothing."""

    name: str
    low: float = np.inf
    high: float = -np.inf
    parts: list[Array] = field(default_factory=list)
    kept: int = 0

    def observe(self, data: Array) -> None:
        """Widen the range by these values; infinities and NaN raise."""
        low, high = float(data.min()), float(data.max())
        if not (isfinite(low) and isfinite(high)):
            raise ValueError(
                f"{self.name} sees {high if isfinite(low) else low}: the network diverges on these samples"
            )
        self.low, self.high = min(self.low, low), max(self.high, high)
        part = thinned(data.reshape(-1), SAMPLE // 8)
        self.parts.append(part.copy())
        self.kept += part.size
        if self.kept > 2 * SAMPLE:
            self.parts = [part[::2] for part in self.parts]
            self.kept = sum(part.size for part in self.parts)

    def value_range(self) -> ValueRange:
        """The range observed so far."""
        return ValueRange(self.low, self.high, thinned(np.concatenate(self.parts), SAMPLE))


def thinned(flat: Array, size: int) -> Array:
    """At most `size` values at an even spacing, which is odd, so that not all are of one column of an array."""
    step = max(-(-flat.size // size), 1)
    return flat[:: step | 1]


def int_bits_for(low: float, high: float, bits: int, signed: bool, whole: bool = False) -> int:
    """The fewest integer bits whose range holds low..high; the largest value may be clipped by one step.

    With `whole`, nothing is clipped by more than rounding would change it.
    """
    largest = max(high, -low, 0.0)
    if largest == 0:
        return int(signed)
    mantissa, exponent = frexp(largest)  # largest = mantissa * 2**exponent, 1/2 <= mantissa < 1
    int_bits = exponent - (mantissa == 0.5) + signed  # now the largest is at most 2**(int_bits - signed)
    if whole:
        edge = QFormat(int_bits, bits - int_bits, signed)
        if high > edge.max + edge.step / 2:
            int_bits += 1
    return int_bits


def squared_error(values: Array, quantizer: Quantizer) -> float:
    """The sum of squared differences between the values and their roundings."""
    wrong = (quantizer.round_floats(values) - values).astype(np.float64)
    return float(np.dot(wrong, wrong))


def choose(
    value_range: ValueRange,
    bits: int,
    signed: bool,
    method: RangeMethod = RangeMethod.MAX,
    whole: bool = False,
    rounding: Rounding = Rounding.HALF_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    percentile: float = PERCENTILE,
) -> Quantizer:
    """A quantizer of `bits` bits for these values, with integer bits by `method`."""

    def quantizer(int_bits: int) -> Quantizer:
        return Quantizer(QFormat(int_bits, bits - int_bits, signed), rounding, overflow)

    widest = int_bits_for(value_range.low, value_range.high, bits, signed, whole)
    if method is RangeMethod.PERCENTILE and value_range.sample.size:
        outside = (100 - percentile) / 2
        low, high = np.percentile(value_range.sample, (outside, 100 - outside) if signed else (0, percentile))
        return quantizer(min(widest, int_bits_for(float(low), float(high), bits, signed, whole)))
    if method is RangeMethod.LEAST_ERROR and overflow in (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC):
        best, error = widest, squared_error(value_range.sample, quantizer(widest))
        for int_bits in range(widest - 1, widest - 1 - CANDIDATES, -1):
            other = squared_error(value_range.sample, quantizer(int_bits))
            if other >= error:
                break
            best, error = int_bits, other
        return quantizer(best)
    return quantizer(widest)
