# SPDX-License-Identifier: MIT
"""Learned widths: the bits of each layer or channel are trained, with a cost per bit added to the loss.

A word has a step s and a limit L, both powers of two, and log2(L / s) bits, one more if signed. The gradient of the
step comes from the rounding error within the range (as in HGQ, Sun et al., 2024), that of the limit from what was
clipped (as in PACT); the cost of the bits has an exact gradient for both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import constant, parameter
from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.training.methods.method import Method, Place, PlaceQuantizer
from fixedpoint_nn.training.methods.rounder import SPEED, STUBBORN, Rounder

PER = ("layer", "channel")


@dataclass(frozen=True)
class LearnedWidth(Rounder):
    """A rounder with a trained limit too; `limit` is log2(L) / SPEED, () or (channels,)."""

    limit: Any = parameter(default=None)
    held_limit: Any = constant(default=None)  # log2 of the limit in use

    @property
    def least(self) -> int:
        """The smallest width: one bit, or two if signed."""
        return 1 + self.quantizer.format.signed

    def limit_powers(self) -> Array:
        """log2 of the limit as whole numbers, () or (channels,)."""
        wanted, held = SPEED * self.limit.data, self.held_limit.data
        far = np.abs(wanted - held) > STUBBORN
        held[far] = np.rint(wanted[far])
        return np.asarray(np.maximum(held, self.powers() + 1))

    def bits(self) -> Array:
        """The width in bits of each channel's words."""
        return self.limit_powers() - self.powers() + self.quantizer.format.signed

    def entry(self) -> PlaceQuantizer:
        """The plan's entry with the current steps, in words as wide as the widest channel's."""
        powers = self.powers().astype(int)
        coarsest, width = int(powers.max()), int(self.bits().max())
        base = replace(
            self.quantizer, format=QFormat(width + coarsest, -coarsest, self.quantizer.format.signed)
        )
        return base if powers.size == 1 else ChannelQuantizer(base, tuple(int(p) - coarsest for p in powers))

    def settled(self, values: Array) -> Array:
        """The weights clipped to their own channel's limits, which may be narrower than the words."""
        step = np.exp2(self.powers())
        low, high = self.range(step)
        return np.asarray(np.clip(values, low * step, high * step), values.dtype)

    def range(self, step: Array) -> tuple[Any, Any]:
        """The smallest and the largest code for these steps."""
        high = np.exp2(self.limit_powers()) / step
        return (-high if self.quantizer.format.signed else 0 * high), high - 1

    def round_tensor(self, x: Tensor) -> Tensor:
        """The rounded values; gradients reach x where it was not clipped, the step, and the limit."""
        exponent, limit = self.exponent, self.limit
        step = np.exp2(self.powers()).astype(x.data.dtype)
        low, high = (np.asarray(end, x.data.dtype) for end in self.range(step))
        v = x.data * (1 / step)
        q = self.codes(v, low, high)  # type: ignore[arg-type]

        def backward(g: Array) -> None:
            passed = g * ((v >= low) & (v <= high))
            x.add_gradient(passed)
            scale = step * (np.log(2) * SPEED)
            exponent.add_gradient((self.dot(passed, q - v) * scale).astype(exponent.data.dtype))
            limit.add_gradient((self.dot(g - passed, q) * scale).astype(limit.data.dtype))

        return record(q * step, self.quantizer.name or "cast", (x, exponent, limit), backward)


@dataclass(frozen=True)
class LearnedWidths(Method):
    """Weights have a trained width per layer or per channel (`per`), activations one per place."""

    per: str = "channel"

    def __post_init__(self) -> None:
        if self.per not in PER:
            raise ValueError(f"widths are learned per layer or per channel, not per {self.per!r}")

    def rounder(self, place: Place, rounder: Any) -> Any:
        """A rounder with a trained width; the network's outputs keep theirs."""
        if isinstance(rounder, Rounder) or place.output:
            return rounder
        entry, shape = place.entry, () if place.values is None else place.values.shape
        if len(shape) == 2 and self.per == "channel" and isinstance(entry, Quantizer):
            entry = ChannelQuantizer(entry, (0,) * shape[-1])
        start: Any = LearnedWidth.of(entry)
        f = start.quantizer.format
        limits = start.held.data + np.float32(f.bits - f.signed)
        return replace(start, limit=Tensor(limits / np.float32(SPEED)), held_limit=Tensor(limits.copy()))
