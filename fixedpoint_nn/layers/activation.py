# SPDX-License-Identifier: MIT
"""Activations, element by element on any shape; sigmoid, tanh, exp and log become lookup tables in fixed point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, constant, parameter, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class ReLU:
    """max(x, 0), then a cast to `out`."""

    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return x.relu().cast(self.out)


@dataclass(frozen=True)
class Rectifier:
    """max(x, 0) without a cast: the activation of an `RNNCell`, which casts its state itself."""

    def __call__(self, x: Number) -> Any:
        return x.relu()


@dataclass(frozen=True)
class LeakyReLU:
    """max(x, x / 2**power): the negative slope is a power of two, so the engine needs no multiplication for it."""

    power: int = 3
    out: Quantizer | None = cast_point()

    def __post_init__(self) -> None:
        if self.power < 1:
            raise ValueError(
                f"LeakyReLU(power={self.power}) has no slope below 1; use 1 or more (slope 2**-power)"
            )

    def __call__(self, x: Number) -> Any:
        return x.maximum(x.scaled(-self.power)).cast(self.out)


@dataclass(frozen=True)
class PReLU:
    """max(x, 0) - slope * max(-x, 0), with one slope for all channels or one per channel, (channels,)."""

    slope: Number = parameter()
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return (x.relu() - (-x).relu() * self.slope).cast(self.out)


@dataclass(frozen=True)
class Clip:
    """min(max(x, low), high); a bound that is None does not apply."""

    low: Number | None = parameter(default=None)
    high: Number | None = parameter(default=None)
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        y = x if self.low is None else x.maximum(self.low)
        return (y if self.high is None else y.minimum(self.high)).cast(self.out)


@dataclass(frozen=True)
class Elu:
    """max(x, 0) + alpha * (exp(min(x, 0)) - 1); `input` casts min(x, 0) to the input format of the table `exp`."""

    alpha: Number = parameter()
    input: Quantizer | None = cast_point()
    exp: Table | None = table_point("exp", "input")
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = (-(-x).relu()).cast(self.input).lookup("exp", self.exp)
        return (x.relu() + (below - 1) * self.alpha).cast(self.out)


@dataclass(frozen=True)
class Sigmoid:
    """1 / (1 + exp(-x)); `input` casts x to the table's input format."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("sigmoid", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("sigmoid", self.table)


@dataclass(frozen=True)
class Tanh:
    """tanh(x); `input` casts x to the table's input format."""

    input: Quantizer | None = cast_point()
    table: Table | None = table_point("tanh", "input")

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("tanh", self.table)


@dataclass(frozen=True)
class Softmax:
    """exp(x - max) / sum(exp(x - max)) over the last axis, with an exact sum and two tables (exp, reciprocal).

    `mask`, of ones and zeros, broadcasts to x: where it is 0 the result is 0, and the element is left out of the sum.
    """

    input: Quantizer | None = cast_point()
    exp: Table | None = table_point("exp", "input")
    total: Quantizer | None = cast_point()
    reciprocal: Table | None = table_point("reciprocal", "total")
    out: Quantizer | None = cast_point()
    mask: Number | None = constant(default=None)

    def __call__(self, x: Number) -> Any:
        x = x if self.mask is None else x * self.mask
        below = (x - x.max(axis=-1, keepdims=True)).cast(self.input)
        exponentials = below.lookup("exp", self.exp)
        exponentials = exponentials if self.mask is None else exponentials * self.mask
        total = exponentials.sum(axis=-1, keepdims=True).cast(self.total)
        return (exponentials * total.lookup("reciprocal", self.reciprocal)).cast(self.out)


@dataclass(frozen=True)
class LogSoftmax:
    """x - max - log(sum(exp(x - max))) over the last axis, with an exact sum and two tables (exp, log)."""

    input: Quantizer | None = cast_point()
    exp: Table | None = table_point("exp", "input")
    total: Quantizer | None = cast_point()
    log: Table | None = table_point("log", "total")
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = x - x.max(axis=-1, keepdims=True)
        exponentials = below.cast(self.input).lookup("exp", self.exp)
        total = exponentials.sum(axis=-1, keepdims=True).cast(self.total)
        return (below - total.lookup("log", self.log)).cast(self.out)


@dataclass(frozen=True)
class Abs:
    """max(x, -x), then a cast to `out`."""

    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return x.maximum(-x).cast(self.out)


@dataclass(frozen=True)
class Argmax:
    """(..., n) -> (...): the index of the largest value along the last axis; of equal values, the first."""

    def __call__(self, x: Number) -> Any:
        return x.argmax(axis=-1)
