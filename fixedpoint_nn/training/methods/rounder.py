# SPDX-License-Identifier: MIT
"""A quantizer with a trained step: a layer in the place of a quantizer.

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
from fixedpoint_nn.training.methods.method import PlaceQuantizer

SPEED = 8.0  # an exponent moves this many times as fast as a weight, at the same learning rate
STUBBORN = 0.75  # how far an exponent moves before the step follows; at 0.5 steps would oscillate
SATURATING = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
FARTHEST = 4  # a channel's step is at most 2**4 times finer than the coarsest channel's


@dataclass(frozen=True)
class Rounder:
    """A trained rounding to words of `quantizer`'s width; `exponent` is log2(step) / SPEED, () or (channels,)."""

    exponent: Any = parameter()
    held: Any = constant()  # log2 of the step in use
    quantizer: Quantizer = field(default_factory=lambda: Quantizer(QFormat(1, 7)))
    stochastic: bool = False
    rng: np.random.Generator | None = field(default=None, compare=False, repr=False)
    tally: Any = constant(default=None)  # a number of batches, and the sum of `held` over them: (1 + steps,)

    @classmethod
    def of(cls, entry: PlaceQuantizer, dtype: Any = np.float32, **options: Any) -> Rounder:
        """A rounder that starts with the format of this entry."""
        by_channel = isinstance(entry, ChannelQuantizer)
        base = entry.quantizer if isinstance(entry, ChannelQuantizer) else entry
        if base.rounding is not Rounding.HALF_EVEN or base.overflow not in SATURATING:
            raise ValueError(
                f"{base.name or 'a place'} rounds by {base.rounding.name} and {base.overflow.name}, and a step is "
                "learned for HALF_EVEN and SATURATE; calibrate with those, or use method='straight-through'"
            )
        steps = np.log2(np.asarray(entry.step if by_channel else [base.step]))
        tally = Tensor(np.zeros(1 + steps.size, dtype))
        return cls(
            Tensor((steps / SPEED).astype(dtype)), Tensor(steps.astype(dtype)), base, tally=tally, **options
        )

    def in_training(self, rng: np.random.Generator) -> Rounder:
        """The rounder in training; a stochastic one draws from `rng`."""
        return replace(self, rng=rng) if self.stochastic else self

    def __call__(self, x: Tensor) -> Tensor:
        return self.round_tensor(x)

    # ---- the step ---------------------------------------------------------------------------------------

    def powers(self) -> Array:
        """log2 of the step as whole numbers, () or (channels,).

        A step changes only when its exponent has moved by more than STUBBORN, which avoids oscillation.
        """
        wanted, held = SPEED * self.exponent.data, self.held.data
        far = np.abs(wanted - held) > STUBBORN
        held[far] = np.rint(wanted[far])
        return np.asarray(np.maximum(held, held.max() - FARTHEST))

    def count(self) -> None:
        """Count the steps in use, for one batch."""
        self.tally.data[0] += 1
        self.tally.data[1:] += self.held.data

    def freeze(self) -> None:
        """Take the steps that were in use most of the time: the logarithms' mean over the counted batches, rounded.

        A step whose best value lies between two powers moves to and fro, so that of the last batch is one by chance.
        """
        batches, total = self.tally.data[0], self.tally.data[1:]
        if batches:
            self.held.data[...] = np.rint(total / batches)
            self.exponent.data[...] = self.held.data / self.held.data.dtype.type(SPEED)

    def entry(self) -> PlaceQuantizer:
        """The plan's entry with the current steps."""
        f, powers = self.quantizer.format, self.powers().astype(int)
        coarsest = int(powers.max())
        base = replace(self.quantizer, format=QFormat(f.bits + coarsest, -coarsest, f.signed))
        return base if powers.size == 1 else ChannelQuantizer(base, tuple(powers - coarsest))

    def settled(self, values: Array) -> Array:
        """Float weights that an ordinary quantizer rounds as this rounder does."""
        return values

    # ---- the rounding -----------------------------------------------------------------------------------

    def codes(self, v: Array, low: int, high: int) -> Array:
        """The integer codes of v = x / s, in [low, high]."""
        if self.rng is None:
            whole = np.rint(v)
        else:
            whole = np.floor(v + self.rng.random(v.shape, np.float32).astype(v.dtype))
        return np.clip(whole, low, high, out=whole)

    def limits(self) -> tuple[int, int]:
        """The smallest and the largest code."""
        return limits(self.quantizer.format, self.quantizer.overflow)

    def step_gradient(self, g: Array, passed: Array, v: Array, q: Array) -> Array:
        """dL/ds, () or (channels,), from g = dL/dy, the part `passed` to x, v = x / s, and the codes q."""
        raise NotImplementedError

    def dot(self, a: Array, b: Array) -> Array:
        """sum(a * b), over all elements or per channel, as many as there are steps."""
        if self.exponent.data.size == 1:
            return np.atleast_1d(np.vdot(a, b))
        return channels.dots(a, b)

    def round_tensor(self, x: Tensor) -> Tensor:
        """The rounded values; gradients reach x where it was not clipped, and the exponent."""
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
