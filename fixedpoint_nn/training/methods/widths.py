# SPDX-License-Identifier: MIT
"""Learned widths: the number of bits of a layer or of a channel moves along a gradient, against their price.

A place's range stays (of values between layers) or follows the largest value (of weights), so a finer step is a wider
word: bits = integer bits - log2(step). What a step does to the loss is the rounding error that it makes (as in HGQ,
Sun et al., 2024); what it does to the price is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import constant
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer
from fixedpoint_nn.training.methods.method import Entry, Method, Place
from fixedpoint_nn.training.methods.rounder import Rounder

PER = ("layer", "channel")


@dataclass(frozen=True)
class LearnedWidth(Rounder):
    """A rounding whose step is paid for; `reach` are the integer bits of each channel, sign included."""

    reach: Any = constant(default=None)
    follows: bool = False  # the range follows the largest value

    def powers(self) -> Array:
        """log2 of the step; never so coarse that less than a bit is left, or two with a sign."""
        least = 1 + self.quantizer.format.signed
        return np.minimum(super().powers(), self.reach.data.max() - least)

    def bits(self) -> Array:
        """The width of each channel's words."""
        least = 1 + self.quantizer.format.signed
        return np.maximum(self.reach.data - self.powers(), least)

    def entry(self) -> Entry:
        """The quantizer with steps and widths as they are now: in words of the widest channel."""
        powers = self.powers().astype(int)
        coarsest, width = int(powers.max()), int(self.bits().max())
        base = replace(
            self.quantizer, format=QFormat(width + coarsest, -coarsest, self.quantizer.format.signed)
        )
        return base if powers.size == 1 else ChannelQuantizer(base, tuple(int(p) - coarsest for p in powers))

    def range(self, step: Array) -> tuple[Any, Any]:
        """The smallest and the largest integer for these steps."""
        high = np.exp2(self.reach.data - self.quantizer.format.signed) / step
        return (-high if self.quantizer.format.signed else 0 * high), high - 1

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds of the rounding error; what is clipped is the range's business."""
        return self.dot(passed, q - v)

    def round_tensor(self, x: Tensor) -> Tensor:
        """The rounded values; of weights, the range is first made wide enough."""
        if self.follows:
            columns = (
                x.data.reshape(-1, self.reach.data.size)
                if self.reach.data.size > 1
                else x.data.reshape(-1, 1)
            )
            largest = np.maximum(np.abs(columns).max(0), 2.0**-24)
            self.reach.data[...] = np.floor(np.log2(largest)) + 2  # below 2**(reach - 1), and a sign
        return super().round_tensor(x)


@dataclass(frozen=True)
class LearnedWidths(Method):
    """Weights have a width for each layer or each channel, values between layers one for each place."""

    per: str = "channel"

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise ValueError(f"widths are learned per layer or per channel, not per {self.per!r}")

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A learned width; logits keep theirs."""
        if isinstance(rounder, Rounder) or place.output:
            return rounder
        entry = place.entry
        if place.values is not None and place.values.ndim == 2 and self.per == "channel":
            channels = place.values.shape[-1]
            base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
            shifts = entry.shifts if isinstance(entry, ChannelQuantizer) else (0,) * channels
            entry = ChannelQuantizer(base, shifts)
        start = LearnedWidth.of(entry)
        count = start.exponent.data.size
        base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
        reach = np.full(count, base.format.int_bits, np.float32)
        return replace(start, reach=Tensor(reach), follows=place.is_weight)
