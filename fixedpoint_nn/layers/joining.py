# SPDX-License-Identifier: MIT
"""Layers that join several values, for graphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Add:
    """The sum of all values, one rounding."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        total = first
        for other in others:
            total = total + other
        return total.cast(self.out)


@dataclass(frozen=True)
class Subtract:
    """a - b, one rounding."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return (a - b).cast(self.out)


@dataclass(frozen=True)
class Multiply:
    """a * b, element by element, one rounding."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return (a * b).cast(self.out)


@dataclass(frozen=True)
class Concat:
    """All values, one after the other along an axis, cast to one format."""

    axis: int = -1
    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        return first.concat(others, self.axis).cast(self.out)


@dataclass(frozen=True)
class Constant:
    """A number that is the same for every sample; a node that takes nothing."""

    value: Number = parameter()

    def __call__(self) -> Any:
        return self.value


@dataclass(frozen=True)
class Repeated:
    """A number that is the same for every sample, as a batch as large as that of the value that it is given."""

    value: Number = parameter()

    def __call__(self, like: Number) -> Any:
        return like.zeros(*self.value.shape) + self.value


@dataclass(frozen=True)
class Maximum:
    """The largest of all values, element by element."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        largest = first
        for other in others:
            largest = largest.maximum(other)
        return largest.cast(self.out)


@dataclass(frozen=True)
class Minimum:
    """The smallest of all values, element by element."""

    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        smallest = first
        for other in others:
            smallest = smallest.minimum(other)
        return smallest.cast(self.out)


@dataclass(frozen=True)
class MatMul:
    """The product of two batches of matrices, (..., m, k) @ (..., k, n), one rounding."""

    out: Quantizer | None = cast_point()

    def __call__(self, a: Number, b: Number) -> Any:
        return a.matmul(b).cast(self.out)
