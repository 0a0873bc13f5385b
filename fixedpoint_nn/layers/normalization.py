# SPDX-License-Identifier: MIT
"""Batch normalisation, and how it disappears into the layer before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, constant, demand_numbers, parameter
from fixedpoint_nn.numbers.number import Number, TrainingNumber
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class BatchNorm:
    """gain * (x - mean) / sqrt(variance + eps) + bias, per channel (the last axis).

    In training the batch's own mean and variance are used, and the kept ones move towards them by `momentum`.
    It is for floats: `fold` turns it into the layer before it, or into a `ScaleShift`, before quantising.
    """

    gain: TrainingNumber = parameter()
    bias: TrainingNumber = parameter()
    mean: TrainingNumber = constant()
    variance: TrainingNumber = constant()
    eps: float = 1e-5
    momentum: float = 0.1
    training: bool = False

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: TrainingNumber) -> Any:
        if self.training:
            normal, mean, variance = x.standardized(self.eps)
            self.mean.move_towards(mean, self.momentum)
            self.variance.move_towards(variance, self.momentum)
            return normal * self.gain + self.bias
        scale, shift = self.scale_and_shift()
        return x * scale + shift

    def scale_and_shift(self) -> tuple[Any, Any]:
        """The same in inference: x * scale + shift."""
        scale = self.gain * (self.variance + self.eps) ** -0.5
        return scale, self.bias - self.mean * scale


@dataclass(frozen=True)
class ScaleShift:
    """x * scale + shift, per channel, one rounding."""

    scale: Number = parameter()
    shift: Number = parameter()
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        return (x * self.scale + self.shift).cast(self.out)
