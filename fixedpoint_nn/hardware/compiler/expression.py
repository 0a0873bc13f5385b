# SPDX-License-Identifier: MIT
"""Exact expressions over stored values, in the one form that a run of the engine computes.

    integers = sum over terms + bias;  then a multiplier, ReLU, shift and rounding, overflow, ReLU, table

A term is a dot product with constant weights, a value scaled by constants, or a product of two values. Every
term counts in units of 2**-frac of its own; `aligned` brings them all to one.
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
    """view @ weights: the view's last axis is contracted; weights are (taps, channels)."""

    view: View
    weights: Array
    frac: int

    @property
    def channels(self) -> int:
        """How many channels come out."""
        return int(self.weights.shape[1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result without its channels."""
        return self.view.axes[:-1]

    def times(self, factor: Array, frac: int) -> Dot:
        """The term times constants, which have `frac` fraction bits."""
        return replace(self, weights=times(self.weights, factor), frac=self.frac + frac)

    def columns(self, chosen: slice) -> Dot:
        """Some of the channels."""
        return replace(self, weights=self.weights[:, chosen])

    def scaled(self, power: int) -> Dot:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """What it reads."""
        return (self.view,)

    def over_views(self, change: Callable[[View], View]) -> Dot:
        """The same term over other views."""
        return replace(self, view=change(self.view))


@dataclass(frozen=True, eq=False)
class Scale:
    """The view's elements times weights, summed over the atoms `over`; weights are (taps, channels)."""

    view: View  # without the axes that are summed over
    weights: Array
    frac: int
    over: tuple[Atom, ...] = ()
    maximum: bool = False  # the largest instead of the sum

    @classmethod
    def of(cls, view: View) -> Scale:
        """The value itself."""
        channels = prod(atom.size for atom in view.axes[-1])
        return cls(view, np.ones((1, channels), np.int64), view.format.frac_bits)

    @property
    def channels(self) -> int:
        """How many channels come out."""
        return int(self.weights.shape[1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result without its channels."""
        return self.view.axes[:-1]

    def times(self, factor: Array, frac: int) -> Scale:
        """The term times constants, which have `frac` fraction bits."""
        return replace(self, weights=times(self.weights, factor), frac=self.frac + frac)

    def columns(self, chosen: slice) -> Scale:
        """Some of the channels."""
        return replace(self, view=self.view.index((..., chosen)), weights=self.weights[:, chosen])

    def scaled(self, power: int) -> Scale:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """What it reads."""
        return (self.view,)

    def over_views(self, change: Callable[[View], View]) -> Scale:
        """The same term over other views."""
        return replace(self, view=change(self.view))


@dataclass(frozen=True, eq=False)
class Product:
    """One value times another one, element by element, summed over the atoms `over` of both."""

    view: View  # without the axes that are summed over
    other: View

    frac: int
    over: tuple[Atom, ...] = ()

    @property
    def channels(self) -> int:
        """How many channels come out."""
        return prod(atom.size for atom in self.view.axes[-1])

    @property
    def pixels(self) -> tuple[Axis, ...]:
        """The axes of the result without its channels."""
        return self.view.axes[:-1]

    def columns(self, chosen: slice) -> Product:
        """Some of the channels."""
        return replace(self, view=self.view.index((..., chosen)), other=self.other.index((..., chosen)))

    def scaled(self, power: int) -> Product:
        """The term times 2**power."""
        return replace(self, frac=self.frac - power)

    def views(self) -> tuple[View, ...]:
        """What it reads."""
        return self.view, self.other

    def over_views(self, change: Callable[[View], View]) -> Product:
        """The same term over other views."""
        return replace(self, view=change(self.view), other=change(self.other))


Term = Dot | Scale | Product


@dataclass(frozen=True)
class Multiplier:
    """Between the sum, which counts in units of 2**-frac, and its overflow: a factor and a shift for each channel."""

    frac: int
    factors: Array
    shifts: Array
    twice: bool = False

    def columns(self, chosen: slice) -> Multiplier:
        """Those of some of the channels."""
        return replace(self, factors=self.factors[chosen], shifts=self.shifts[chosen])


@dataclass(frozen=True, eq=False)
class Expression:
    """What a run will compute. `parts` are the channel groups of a grouped convolution, else there is one."""

    shape: tuple[int, ...]
    format: QFormat  # of the exact value, or of what the last step below gives
    parts: tuple[tuple[Term, ...], ...]
    bias: Array | None = None  # one integer per channel
    bias_frac: int = 0
    accumulator: Accumulator | None = None
    multiplier: Multiplier | None = None  # with a quantizer, whose rounding and overflow come after it
    relu_before: bool = False
    leak: int = 0
    quantizer: Quantizer | None = None
    relu_after: bool = False
    table: Table | AlignedTable | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of an expression that is no grouped convolution."""
        return self.parts[0]

    @property
    def is_sum(self) -> bool:
        """Nothing has been done to the sum yet, so more can be added to it."""
        return not (self.relu_before or self.leak or self.quantizer or self.relu_after or self.table)

    @property
    def linear(self) -> bool:
        """A sum without products of values or maxima: it can be scaled by constants."""
        return self.is_sum and all(
            isinstance(term, Dot) or (isinstance(term, Scale) and not term.maximum)
            for part in self.parts
            for term in part
        )

    @property
    def channels(self) -> int:
        """How many channels come out."""
        return self.shape[-1]

    @property
    def frac(self) -> int:
        """Fraction bits in which every term and the bias are whole numbers."""
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
        """A linear sum times constants: one per channel."""
        width = self.channels // len(self.parts)
        parts = []
        for number, part in enumerate(self.parts):
            own = factor[number * width : (number + 1) * width] if np.ndim(factor) else factor
            parts.append(tuple(_times(term, own, frac) for term in part))
        bias = None if self.bias is None else times(self.bias, factor)
        return Expression(shape, format, tuple(parts), bias, self.bias_frac + frac)

    def scaled(self, power: int, format: QFormat) -> Expression:
        """The sum times 2**power: the binary point moves."""
        parts = tuple(tuple(term.scaled(power) for term in part) for part in self.parts)
        return replace(self, format=format, parts=parts, bias_frac=self.bias_frac - power)

    def columns(self, chosen: slice, shape: tuple[int, ...]) -> Expression:
        """Some of the channels."""
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
    """One constant per channel."""
    return Expression(shape, format, ((),), ints, frac)


def aligned(ints: Array, frac: int, to: int) -> Array:
    """The same values with more fraction bits."""
    return times(ints, np.int64(1) << np.int64(to - frac)) if to - frac < 62 else _too_wide(to - frac)


def _times(term: Term, factor: Array, frac: int) -> Term:
    if isinstance(term, Product):
        raise LoweringError("scales a product of two values, which has no weights; cast the product first")
    return term.times(factor, frac)


def times(ints: Array, factor: Any) -> Array:
    """int64 products; one that could leave 63 bits is refused."""
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
