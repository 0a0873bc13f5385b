# SPDX-License-Identifier: MIT
"""Batch normalisation, which folds into the layer before it, and normalisation over each sample's features."""

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

    gain, bias, mean and variance are (channels,). In training the mean and variance of the batch are used, and the
    running ones are updated with `momentum`. For floats only: before quantising, `fold` merges it into the layer
    before it, or replaces it by a `ScaleShift`.
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
        """(scale, shift), each (channels,), of the equivalent x * scale + shift in inference."""
        scale = self.gain * (self.variance + self.eps) ** -0.5
        return scale, self.bias - self.mean * scale


@dataclass(frozen=True)
class ScaleShift:
    """x * scale + shift, rounded once; scale and shift are (channels,), one for each element of the last axis."""

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

    The sum is exact; `input` casts mean(x**2) + eps to the input format of the table `rsqrt`, `normal` the quotient
    before the gain, `out` the result.
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

    The sums are exact. `mean` casts the mean, `centred` x - mean, `input` variance + eps to the input format of the
    table `rsqrt`, `normal` the quotient before gain and bias, `out` the result.
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
    """x / sqrt(mean(x**2) + eps), with the layer's rsqrt table."""
    square = (x * x).sum(axis=-1, keepdims=True) * layer.share + layer.eps
    return (x * square.cast(layer.input).lookup("rsqrt", layer.rsqrt)).cast(layer.normal)
