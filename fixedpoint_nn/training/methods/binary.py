# SPDX-License-Identifier: MIT
"""Binary weights, -s or +s, and ternary weights, -s, 0 or +s; the step s is learned, per channel if the plan is.

Activations can be of one bit as well: 0 or s, or -s, 0, s if they are signed. The engine stores such weights in words
of two bits and multiplies them as any others: this saves memory, not multipliers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.training.methods.learned_steps import LearnedStep
from fixedpoint_nn.training.methods.method import Method, Place, PlaceQuantizer

MATRIX = 2  # axes; biases and constants keep their formats


@dataclass(frozen=True)
class SignStep(LearnedStep):
    """y = s where x >= 0, else -s; the straight-through gradient reaches |x| up to 2 * s."""

    def codes(self, v: Array, low: int, high: int) -> Array:
        """The codes: 1 or -1."""
        return np.asarray(np.where(v >= 0, v.dtype.type(1), v.dtype.type(-1)))

    def limits(self) -> tuple[int, int]:
        """The codes beyond which the gradient is zero."""
        return -2, 2

    def settled(self, values: Array) -> Array:
        """The weights rounded to -s or s, which the two-bit format holds."""
        step = np.exp2(self.powers()).astype(values.dtype)
        return np.where(values >= 0, step, -step)


def _is_matrix(place: Place) -> bool:
    return place.values is not None and place.values.ndim >= MATRIX


def _with_bits(entry: PlaceQuantizer, int_bits: int, frac_bits: int, signed: bool) -> Quantizer:
    base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
    return replace(base, format=QFormat(int_bits, frac_bits, signed), overflow=Overflow.SATURATE_SYMMETRIC)


def _two_bits(entry: PlaceQuantizer, steps: Array) -> PlaceQuantizer:
    """A two-bit format whose step is near these steps; one per channel if the entry has one per channel."""
    powers = np.rint(np.log2(np.maximum(steps, 2.0**-24))).astype(int)
    coarsest = int(powers.max())
    base = _with_bits(entry, 2 + coarsest, -coarsest, True)
    return base if powers.size == 1 else ChannelQuantizer(base, tuple(powers - coarsest))


def _few_values(place: Place, share: float) -> PlaceQuantizer:
    """The format of a weight matrix whose step is `share` times the mean magnitude."""
    values = np.abs(np.asarray(place.values, np.float64))
    if isinstance(place.entry, ChannelQuantizer):
        return _two_bits(place.entry, share * values.reshape(-1, values.shape[-1]).mean(0))
    return _two_bits(place.entry, np.array([share * values.mean()]))


def _one_bit(place: Place) -> PlaceQuantizer:
    """A format of one bit, or two if signed, over about the same range."""
    entry = place.entry
    if (
        place.output
        or isinstance(entry, ChannelQuantizer)
        or entry.format.frac_bits == entry.format.bits == 0
    ):
        return entry
    f = entry.format
    bits = 1 + f.signed
    return entry if f.bits <= bits else _with_bits(entry, f.int_bits, bits - f.int_bits, f.signed)


@dataclass(frozen=True)
class Ternary(Method):
    """Ternary weight matrices, -s, 0 and s; with `activations`, activations of one bit (two if signed)."""

    activations: bool = False
    share: float = 1.3  # of the mean magnitude: near the least squared error for normal weights

    def entry(self, place: Place) -> PlaceQuantizer:
        """Two bits for a weight matrix; one for an activation, with `activations`."""
        if place.is_weight:
            return _few_values(place, self.share) if _is_matrix(place) else place.entry
        return _one_bit(place) if self.activations else place.entry

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A learned step for each weight matrix."""
        few = _is_matrix(place)
        return LearnedStep.of(rounder) if few else rounder


@dataclass(frozen=True)
class Binary(Ternary):
    """Binary weight matrices, -s and s; with `activations`, activations of one bit (two if signed)."""

    share: float = 1.0

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A `SignStep` for each weight matrix."""
        few = _is_matrix(place)
        return SignStep.of(rounder) if few else rounder
