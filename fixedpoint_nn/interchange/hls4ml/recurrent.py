# SPDX-License-Identifier: MIT
"""Recurrent layers as in hls4ml's C++: two products, each with a bias, and a cast after every operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.hls4ml.accumulated import AccumulatedDense
from fixedpoint_nn.interchange.hls4ml.curves import SigmoidCurve, TanhCurve
from fixedpoint_nn.layers import Dense
from fixedpoint_nn.layers.fields import cast_point
from fixedpoint_nn.network.encoding import register
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer

Product = Dense | AccumulatedDense
Curve = SigmoidCurve | TanhCurve


@dataclass(frozen=True)
class AccumulatedLSTM:
    """i, f, g, o from (x @ W + b) + (h @ U + c), cast to `sums`; c' = g*i + c*f and h' = o * act(c')."""

    from_input: Product
    from_state: Product
    gates: Curve
    candidate: Curve
    cell_curve: Curve
    units: int
    whole: bool  # the whole sequence, or its last step
    sums: Quantizer | None = cast_point()
    state: Quantizer | None = cast_point()

    def __call__(self, xs: Number) -> Any:
        first = (xs.zeros(self.units, like=self.state), xs.zeros(self.units, like=self.state))
        ys, _, _ = xs.scan(self.step, *first, each=self.from_input)
        return ys if self.whole else ys[:, -1]

    def step(self, projected: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        """One time step: the output (batch, units), then the next h and c."""
        total = (projected + self.from_state(h)).cast(self.sums)
        n = self.units
        i, f = self.gates(total[..., : 2 * n]).split(2)
        g, o = self.candidate(total[..., 2 * n : 3 * n]), self.gates(total[..., 3 * n :])
        c = (g * i + c * f).cast(self.state)
        h = (o * self.cell_curve(c)).cast(self.state)
        return h, h, c


@dataclass(frozen=True)
class AccumulatedGRU:
    """r, z and n from (x @ W + b) and (h @ U + c): n = act((x@W + b) + r * (h@U + c)), h' = n * (1 - z) + h * z.

    The columns of the gates are r, z if `reset_first`, as in PyTorch, else z, r.
    """

    from_input: Product
    from_state: Product
    gates: Curve
    candidate: Curve
    units: int
    whole: bool
    reset_first: bool
    sums: Quantizer | None = cast_point()
    state: Quantizer | None = cast_point()

    def __call__(self, xs: Number) -> Any:
        ys, _ = xs.scan(self.step, xs.zeros(self.units, like=self.state), each=self.from_input)
        return ys if self.whole else ys[:, -1]

    def step(self, projected: Number, h: Number) -> tuple[Any, Any]:
        """One time step: the output (batch, units), then the next h."""
        from_state, n = self.from_state(h), self.units
        both = self.gates((projected[..., : 2 * n] + from_state[..., : 2 * n]).cast(self.sums)).split(2)
        r, z = both if self.reset_first else both[::-1]
        kept = (r * from_state[..., 2 * n :]).cast(self.sums)
        new = self.candidate((projected[..., 2 * n :] + kept).cast(self.sums))
        h = (new * (1 - z) + h * z).cast(self.state)
        return h, h


register(AccumulatedLSTM, AccumulatedGRU)
