# SPDX-License-Identifier: MIT
"""A rounding whose step is trained: a layer that stands where a quantizer stood.

    y = clip(round(x / s), low, high) * s,    s = 2**round(SPEED * exponent)

The step is a power of two in every forward pass; its exponent is a float that gradients move, and rounding the
exponent passes the gradient straight through (Jain et al., Trained Quantization Thresholds, 2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import constant, parameter
from fixedpoint_nn.numbers.tensor import channels
from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.training.methods.method import Entry

SPEED = 8.0  # an exponent moves so many times as fast as a weight, at the same rate
STUBBORN = 0.75  # how far an exponent goes before the step follows; at 0.5 steps would flip to and fro
SATURATING = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
FARTHEST = 4  # a channel's step is at most 2**4 times finer than the coarsest channel's


@dataclass(frozen=True)
class Rounder:
    """A trained rounding to `quantizer`'s words; `exponent` is log2 of the step over SPEED, one or one per channel."""

    exponent: Any = parameter()
    held: Any = constant()  # log2 of the step in use
    quantizer: Quantizer = field(default_factory=lambda: Quantizer(QFormat(1, 7)))
    stochastic: bool = False
    rng: np.random.Generator | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, entry: Entry, dtype: Any = np.float32, **options: Any) -> Rounder:
        """A rounding that starts as this one."""
        by_channel = isinstance(entry, ChannelQuantizer)
        base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
        if base.rounding is not Rounding.HALF_EVEN or base.overflow not in SATURATING:
            raise ValueError(
                f"{base.name or 'a place'} rounds by {base.rounding.name} and {base.overflow.name}, and a step is "
                "learned for HALF_EVEN and SATURATE; calibrate with those, or use method='straight-through'"
            )
        steps = np.log2(np.asarray(entry.step if by_channel else [base.step]))
        return cls(Tensor((steps / SPEED).astype(dtype)), Tensor(steps.astype(dtype)), base, **options)

    def in_training(self, rng: np.random.Generator) -> Rounder:
        """The same, with random numbers to draw from if it rounds at random."""
        return replace(self, rng=rng) if self.stochastic else self

    def __call__(self, x: Tensor) -> Tensor:
        return self.round_tensor(x)

    # ---- the step ---------------------------------------------------------------------------------------

    def powers(self) -> Array:
        """log2 of the step, a whole number; it follows the exponent when that is well on its way to another one."""
        wanted, held = SPEED * self.exponent.data, self.held.data
        far = np.abs(wanted - held) > STUBBORN
        held[far] = np.rint(wanted[far])
        return np.asarray(np.maximum(held, held.max() - FARTHEST))

    def entry(self) -> Entry:
        """The quantizer with the steps as they are now."""
        f, powers = self.quantizer.format, self.powers().astype(int)
        coarsest = int(powers.max())
        base = replace(self.quantizer, format=QFormat(f.bits + coarsest, -coarsest, f.signed))
        return base if powers.size == 1 else ChannelQuantizer(base, tuple(powers - coarsest))

    def settled(self, values: Array) -> Array:
        """The master weights whose roundings are those of this rounder; the same unless it has its own codes."""
        return values

    # ---- the rounding -----------------------------------------------------------------------------------

    def codes(self, v: Array, low: int, high: int) -> Array:
        """The integers for values in steps."""
        if self.rng is None:
            whole = np.rint(v)
        else:
            whole = np.floor(v + self.rng.random(v.shape, np.float32).astype(v.dtype))
        return np.clip(whole, low, high, out=whole)

    def limits(self) -> tuple[int, int]:
        """The smallest and the largest integer."""
        return limits(self.quantizer.format, self.quantizer.overflow)

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds, one number or one for each channel, from dL/dy and the part of it that passed to x."""
        raise NotImplementedError

    def dot(self, a: Array, b: Array) -> Array:
        """The sum of a * b, for each step."""
        if self.exponent.data.size == 1:
            return np.atleast_1d(np.vdot(a, b))
        return channels.dots(a, b)

    def round_tensor(self, x: Tensor) -> Tensor:
        """The rounded values; gradients reach x where nothing was clipped, and the exponent."""
        exponent = self.exponent
        step = np.exp2(self.powers()).astype(x.data.dtype)
        low, high = self.limits()
        v = x.data * (1 / step)
        q = self.codes(v, low, high)

        def backward(g: Array) -> None:
            passed = g * ((v >= low) & (v <= high))
            x.add_gradient(passed)
            if exponent.needs_gradient:
                # d s / d exponent = s * ln(2) * SPEED; the scale evens out layers of different sizes (LSQ).
                scale = np.log(2) * SPEED / np.sqrt(v.size / step.size * max(high, 1))
                gradient = self.step_gradient(g, passed, v, q) * step * scale
                exponent.add_gradient(gradient.astype(exponent.data.dtype))

        return record(q * step, self.quantizer.name or "cast", (x, exponent), backward)
