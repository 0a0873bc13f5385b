# SPDX-License-Identifier: MIT
"""Sums and products of two values, or a value and a constant, with different scales."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Fitted, Rescale
from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class RescaledSum:
    """rescale(left(x) + right(y)), or rescale(left(x) + constant); `left` and `right` bring both to a common scale.

    `signs` turns it into left(x) - right(y), or right(y) - left(x).
    """

    rescale: Rescale | Fitted
    left: Layer
    right: Layer | None = None
    constant: Number | None = parameter(default=None)
    signs: tuple[int, int] = (1, 1)

    def __call__(self, x: Number, y: Number | None = None) -> Any:
        a, b = self.left(x), self.constant if self.right is None else self.right(y)
        if self.signs == (1, 1):
            return self.rescale(a + b)
        return self.rescale(a - b if self.signs[1] < 0 else b - a)


@dataclass(frozen=True)
class RescaledSquare:
    """rescale((left(x) - right(y))**2), or of left(x) - constant; `square` declares the range of the squares."""

    rescale: Rescale
    left: Layer
    right: Layer | None = None
    constant: Number | None = parameter(default=None)
    square: Quantizer | None = cast_point()

    def __call__(self, x: Number, y: Number | None = None) -> Any:
        difference = self.left(x) - (self.constant if self.right is None else self.right(y))
        return self.rescale((difference * difference).cast(self.square))


@dataclass(frozen=True)
class RescaledProduct:
    """rescale(x * y), or rescale(x * constant); `product` declares the range of the products."""

    rescale: Rescale
    product: Quantizer | None = cast_point()
    constant: Number | None = parameter(default=None)

    def __call__(self, x: Number, y: Number | None = None) -> Any:
        return self.rescale((x * (self.constant if y is None else y)).cast(self.product))


@dataclass(frozen=True)
class Joined:
    """All values concatenated along an axis, cast to one format."""

    axis: int = -1
    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        return first.concat(others, axis=self.axis).cast(self.out)


@dataclass(frozen=True)
class Stacked:
    """All values along a new axis (the batch is axis 0), cast to one format."""

    axis: int
    out: Quantizer | None = cast_point()

    def __call__(self, first: Number, *others: Number) -> Any:
        shape = (*first.shape[1 : self.axis], 1, *first.shape[self.axis :])
        one, *more = (x.reshape(-1, *shape) for x in (first, *others))
        return one.concat(more, axis=self.axis).cast(self.out)


@dataclass(frozen=True)
class RescaledMatMul:
    """rescale(x @ y), or rescale(x @ constant), of batches of matrices; `flipped` says whose last axes are swapped."""

    rescale: Rescale
    product: Quantizer | None = cast_point()
    flipped: tuple[bool, bool] = (False, False)
    constant: Number | None = parameter(default=None)

    def __call__(self, x: Number, y: Number | None = None) -> Any:
        x = swapped(x) if self.flipped[0] else x
        if self.constant is not None:
            return self.rescale((x @ self.constant).cast(self.product))
        assert y is not None
        return self.rescale(x.matmul(swapped(y) if self.flipped[1] else y).cast(self.product))


def swapped(x: Number) -> Any:
    """The transposed matrices: x with its last two axes exchanged."""
    *before, rows, columns = range(x.ndim)
    return x.transpose(*before, columns, rows)
