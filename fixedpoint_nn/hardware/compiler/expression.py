# SPDX-License-Identifier: MIT
"""Exact expressions over stored values, in the normal form that a run of the engine computes.

    integers = sum over terms + bias;  then a multiplier, ReLU, shift and rounding, overflow, ReLU, table

A term is a dot product with constant weights, a value scaled by constants, or a product of two values. Each term is in
units of its own 2**-frac; `aligned` brings them to a common one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.aligned_table import AlignedTable
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Axis, View
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True, eq=False)
class Dot:
    """view @ weights, contracting the view's last axis; weights are (taps, channels)."""

    view: View
    weights: Array
    frac: int

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return int(self.weights.shape[1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result except channels."""
        return self.view.axes[:-1]

    def times(self, factor: Array, frac: int) -> Dot:
        """The term times constants with `frac` fraction bits."""
        return replace(self, weights=times(self.weights, factor), frac=self.frac + frac)

    def columns(self, chosen: slice) -> Dot:
        """The term for a slice of the channels."""
        return replace(self, weights=self.weights[:, chosen])

    def scaled(self, power: int) -> Dot:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """The views that it reads."""
        return (self.view,)

    def over_views(self, change: Callable[[View], View]) -> Dot:
        """The term with its views changed."""
        return replace(self, view=change(self.view))


@dataclass(frozen=True, eq=False)
class Scale:
    """The view's elements times weights (taps, channels), summed over the atoms `over`."""

    view: View  # without the axes that are summed over
    weights: Array
    frac: int
    over: tuple[Atom, ...] = ()
    maximum: bool = False  # the largest instead of the sum

    @classmethod
    def of(cls, view: View) -> Scale:
        """The view itself, as a term."""
        channels = prod(atom.size for atom in view.axes[-1])
        return cls(view, np.ones((1, channels), np.int64), view.format.frac_bits)

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return int(self.weights.shape[1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result except channels."""
        return self.view.axes[:-1]

    def times(self, factor: Array, frac: int) -> Scale:
        """The term times constants with `frac` fraction bits."""
        return replace(self, weights=times(self.weights, factor), frac=self.frac + frac)

    def columns(self, chosen: slice) -> Scale:
        """The term for a slice of the channels."""
        return replace(self, view=self.view.index((..., chosen)), weights=self.weights[:, chosen])

    def scaled(self, power: int) -> Scale:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """The views that it reads."""
        return (self.view,)

    def over_views(self, change: Callable[[View], View]) -> Scale:
        """The term with its views changed."""
        return replace(self, view=change(self.view))


@dataclass(frozen=True, eq=False)
class Product:
    """The element-wise product of two views, summed over the atoms `over` of both."""

    view: View  # without the axes that are summed over
    other: View

    frac: int
    over: tuple[Atom, ...] = ()

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return prod(atom.size for atom in self.view.axes[-1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result except channels."""
        return self.view.axes[:-1]

    def columns(self, chosen: slice) -> Product:
        """The term for a slice of the channels."""
        return replace(self, view=self.view.index((..., chosen)), other=self.other.index((..., chosen)))

    def scaled(self, power: int) -> Product:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """The views that it reads."""
        return self.view, self.other

    def over_views(self, change: Callable[[View], View]) -> Product:
        """The term with its views changed."""
        return replace(self, view=change(self.view), other=change(self.other))


Term = Dot | Scale | Product


@dataclass(frozen=True)
class Multiplier:
    """The requantiser's multipliers: a factor and a shift per channel for sums in units of 2**-frac."""

    frac: int
    factors: Array
    shifts: Array
    twice: bool = False

    def columns(self, chosen: slice) -> Multiplier:
        """The multipliers of a slice of the channels."""
        return replace(self, factors=self.factors[chosen], shifts=self.shifts[chosen])


@dataclass(frozen=True, eq=False)
class Expression:
    """What a run computes. `parts` are the channel groups of a grouped convolution, else there is one part."""

    shape: tuple[int, ...]
    format: QFormat  # of the exact value, or of the result of the last step below
    parts: tuple[tuple[Term, ...], ...]
    bias: Array | None = None  # one integer per channel
    bias_frac: int = 0
    accumulator: Accumulator | None = None
    multiplier: Multiplier | None = None  # requires a quantizer, whose rounding and overflow follow it
    relu_before: bool = False
    leak: int = 0
    quantizer: Quantizer | None = None
    relu_after: bool = False
    table: Table | AlignedTable | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of an expression that is not a grouped convolution."""
        return self.parts[0]

    @property
    def is_sum(self) -> bool:
        """Whether nothing follows the sum yet, so that more can be added."""
        return not (self.relu_before or self.leak or self.quantizer or self.relu_after or self.table)

    @property
    def linear(self) -> bool:
        """Whether it is a sum without products of values or maxima, which can be scaled by constants."""
        return self.is_sum and all(
            isinstance(term, Dot) or (isinstance(term, Scale) and not term.maximum)
            for part in self.parts
            for term in part
        )

    @property
    def channels(self) -> int:
        """The number of output channels."""
        return self.shape[-1]

    @property
    def frac(self) -> int:
        """The fraction bits with which every term and the bias are integers."""
        fracs = [term.frac for part in self.parts for term in part]
        return max([*fracs, self.bias_frac] if self.bias is not None else fracs)

    def plus(self, other: Expression, shape: tuple[int, ...], format: QFormat) -> Expression:
        """The sum of two sums."""
        if self.accumulator is not None and other.accumulator is not None and self.terms and other.terms:
            raise LoweringError(
                "adds two modelled accumulators, which is no single run; cast one of them first"
            )
        if len(self.parts) != len(other.parts):
            one, many = sorted((self, other), key=lambda e: len(e.parts))
            if one.terms:
                raise LoweringError(
                    "adds a grouped convolution and another sum, which is no single run; cast one of them first"
                )
            parts = many.parts
        else:
            parts = tuple(a + b for a, b in zip(self.parts, other.parts, strict=True))
        bias, frac = _sum_of_biases(self, other, shape[-1] if shape else 1)
        return Expression(shape, format, parts, bias, frac, self.accumulator or other.accumulator)

    def times(self, factor: Array, frac: int, shape: tuple[int, ...], format: QFormat) -> Expression:
        """A linear sum times constants (channels,) with `frac` fraction bits."""
        width = self.channels // len(self.parts)
        parts = []
        for number, part in enumerate(self.parts):
            own = factor[number * width : (number + 1) * width] if np.ndim(factor) else factor
            parts.append(tuple(_times(term, own, frac) for term in part))
        bias = None if self.bias is None else times(self.bias, factor)
        return Expression(shape, format, tuple(parts), bias, self.bias_frac + frac)

    def scaled(self, power: int, format: QFormat) -> Expression:
        """The sum times 2**power."""
        parts = tuple(tuple(term.scaled(power) for term in part) for part in self.parts)
        return replace(self, format=format, parts=parts, bias_frac=self.bias_frac - power)

    def over_views(self, change: Callable[[View], View]) -> Expression:
        """The expression over changed views, and with the shape that they then have."""
        parts = tuple(tuple(term.over_views(change) for term in terms) for terms in self.parts)
        pixels = parts[0][0].views()[0].shape[:-1]
        return replace(self, parts=parts, shape=(*pixels, self.channels))

    def columns(self, chosen: slice, shape: tuple[int, ...]) -> Expression:
        """The expression for a slice of the channels."""
        (part,) = self.parts
        terms = tuple(term.columns(chosen) for term in part)
        return replace(
            self,
            shape=shape,
            parts=(terms,),
            bias=None if self.bias is None else self.bias[chosen],
            multiplier=None if self.multiplier is None else self.multiplier.columns(chosen),
        )


def load(view: View) -> Expression:
    """A stored value as an expression."""
    return Expression(view.shape, view.format, ((Scale.of(view),),))


def constant(ints: Array, frac: int, shape: tuple[int, ...], format: QFormat) -> Expression:
    """The expression of one constant per channel."""
    return Expression(shape, format, ((),), ints, frac)


def aligned(ints: Array, frac: int, to: int) -> Array:
    """Integers with `frac` fraction bits as integers with `to`."""
    return times(ints, np.int64(1) << np.int64(to - frac)) if to - frac < 62 else _too_wide(to - frac)


def _times(term: Term, factor: Array, frac: int) -> Term:
    if isinstance(term, Product):
        raise LoweringError("scales a product of two values, which has no weights; cast the product first")
    return term.times(factor, frac)


def times(ints: Array, factor: Any) -> Array:
    """int64 products; raises if one could exceed 63 bits."""
    largest = _magnitude(ints) * _magnitude(np.asarray(factor))
    if largest >> 62:
        _too_wide(largest.bit_length())
    product: Array = ints * factor
    return product


def _magnitude(ints: Array) -> int:
    return max(abs(int(ints.max())), abs(int(ints.min()))) if ints.size else 0


def _too_wide(bits: int) -> Any:
    raise LoweringError(
        f"needs constants of {bits} bits to align the binary points of a sum; use closer fraction bits"
    )


def _sum_of_biases(a: Expression, b: Expression, channels: int) -> tuple[Array | None, int]:
    given = [e for e in (a, b) if e.bias is not None]
    if not given:
        return None, 0
    frac = max(e.bias_frac for e in given)
    total = sum(aligned(e.bias, e.bias_frac, frac) for e in given if e.bias is not None)
    return np.broadcast_to(np.asarray(total, np.int64), (channels,)), frac
