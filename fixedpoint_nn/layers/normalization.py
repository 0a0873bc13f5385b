# SPDX-License-Identifier: MIT
"""Normalisation by the batch, which disappears into the layer before it, and by the features of each sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, constant, demand_numbers, parameter, table_point
from fixedpoint_nn.numbers.number import Number, TrainingNumber
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


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


@dataclass(frozen=True)
class RMSNorm:
    """x * gain / sqrt(mean(x**2) + eps) over the last axis; `share` is 1 / features.

    The sum is exact; `input` rounds the mean of the squares to the table's address.
    """

    share: Number = constant()
    eps: Number = constant()
    gain: Number | None = parameter(default=None)
    input: Quantizer | None = cast_point()
    rsqrt: Table | None = table_point("rsqrt", "input")
    normal: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        y = _standardized(self, x)
        return (y if self.gain is None else y * self.gain).cast(self.out)


@dataclass(frozen=True)
class LayerNorm:
    """(x - mean) * gain / sqrt(variance + eps) + bias over the last axis; `share` is 1 / features.

    The sums are exact. `mean` rounds the mean, `centred` x - mean, `input` the variance, to the table's address.
    """

    share: Number = constant()
    eps: Number = constant()
    gain: Number | None = parameter(default=None)
    bias: Number | None = parameter(default=None)
    mean: Quantizer | None = cast_point()
    centred: Quantizer | None = cast_point()
    input: Quantizer | None = cast_point()
    rsqrt: Table | None = table_point("rsqrt", "input")
    normal: Quantizer | None = cast_point()
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        demand_numbers(self)

    def __call__(self, x: Number) -> Any:
        mean = (x.sum(axis=-1, keepdims=True) * self.share).cast(self.mean)
        y = _standardized(self, (x - mean).cast(self.centred))
        y = y if self.gain is None else y * self.gain
        return (y if self.bias is None else y + self.bias).cast(self.out)


def _standardized(layer: RMSNorm | LayerNorm, x: Number) -> Any:
    """x / sqrt(mean(x**2) + eps), by the layer's table."""
    square = (x * x).sum(axis=-1, keepdims=True) * layer.share + layer.eps
    return (x * square.cast(layer.input).lookup("rsqrt", layer.rsqrt)).cast(layer.normal)
