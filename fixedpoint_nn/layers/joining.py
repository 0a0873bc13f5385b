# SPDX-License-Identifier: MIT
"""Layers with several arguments, for graphs; shapes broadcast, and each layer rounds once, by `out`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Add:
    """The sum of all arguments, rounded once."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        total = first
        for other in others:
            total = total + other
        return total.cast(self.out)


@dataclass(frozen=True)
class Subtract:
    """a - b, rounded once."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return (a - b).cast(self.out)


@dataclass(frozen=True)
class Multiply:
    """a * b, element by element, rounded once."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return (a * b).cast(self.out)


@dataclass(frozen=True)
class Concat:
    """All arguments concatenated along `axis` (the batch is axis 0), cast to one format."""

    axis: int = -1
    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        return first.concat(others, self.axis).cast(self.out)


@dataclass(frozen=True)
class Constant:
    """A node without arguments, whose result is `value`, the same for every sample."""

    value: Number = parameter()

    def __call__(self) -> Any:
        return self.value


@dataclass(frozen=True)
class Repeated:
    """`value`, repeated for every sample of the argument's batch: (batch, *value.shape)."""

    value: Number = parameter()

    def __call__(self, like: Number) -> Any:
        return like.zeros(*self.value.shape) + self.value


@dataclass(frozen=True)
class Maximum:
    """The element-wise maximum of all arguments."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        largest = first
        for other in others:
            largest = largest.maximum(other)
        return largest.cast(self.out)


@dataclass(frozen=True)
class Minimum:
    """The element-wise minimum of all arguments."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        smallest = first
        for other in others:
            smallest = smallest.minimum(other)
        return smallest.cast(self.out)


@dataclass(frozen=True)
class MatMul:
    """The product of two batches of matrices, (..., m, k) @ (..., k, n) -> (..., m, n), rounded once."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return a.matmul(b).cast(self.out)
