# SPDX-License-Identifier: MIT
"""Integer-weighted sums of two values, with rescaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class WeightedSum:
    """rescale(x * left + y * right + offset); a missing weight is 1."""

    left: Number | None = parameter(default=None)
    right: Number | None = parameter(default=None)
    sum: Quantizer | None = cast_point()
    rescale: Layer | None = None
    offset: Number | None = parameter(default=None)

    def __call__(self, x: Number, y: Number) -> Any:
        total = (x if self.left is None else x * self.left) + (y if self.right is None else y * self.right)
        if self.offset is not None:
            total = total + self.offset
        total = total.cast(self.sum)
        return total if self.rescale is None else self.rescale(total)


@dataclass(frozen=True)
class Scaling:
    """x * factor + shift, exactly."""

    factor: Number = parameter()
    shift: Number | None = parameter(default=None)

    def __call__(self, x: Number) -> Any:
        y = x * self.factor
        return y if self.shift is None else y + self.shift
