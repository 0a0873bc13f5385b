# SPDX-License-Identifier: MIT
"""Recurrent layers: the same cell at every time step.

A cell is two formulas: `project`, which needs only this step's input, and `step`, which needs the state too.
`scan` may compute the projections of all time steps at once; the sum is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from fixedpoint_nn.layers.activation import Rectifier, Sigmoid, Tanh
from fixedpoint_nn.layers.fields import INLINE, accumulator_point, cast_point, demand_numbers, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class RNNCell:
    """h' = tanh(x @ input_weight + h @ state_weight + bias), or with a `Rectifier` max(..., 0)."""

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    tanh: Tanh | Rectifier = Tanh()
    state: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    states: ClassVar[tuple[str, ...]] = ("state",)

    def __post_init__(self) -> None:
        demand_numbers(self)

    @property
    def hidden(self) -> int:
        """The number of units."""
        return self.state_weight.shape[0]

    def project(self, x: Number) -> Any:
        """x @ input_weight: (batch, ..., units), which needs no state."""
        return x.dot(self.input_weight, self.accumulator)

    def step(self, projected: Number, h: Number) -> tuple[Any, Any]:
        """One step in time from `projected`: the output, then the next h."""
        h = self.tanh(h.dot(self.state_weight, self.accumulator, projected) + self.bias).cast(self.state)
        return h, h

    def __call__(self, x: Number, h: Number) -> tuple[Any, Any]:
        return self.step(self.project(x), h)


@dataclass(frozen=True)
class GRUCell:
    """r, z = sigmoid(x @ input_weight + h @ state_weight + bias), n = tanh(...), h' = z*h + (1 - z)*n.

    The reset gate acts before the candidate's product, n = tanh(x@W + (r*h)@U + b), as it was published, or
    (`reset_after`) after it, n = tanh(x@W + b + r*(h@U + c)), as cuDNN and PyTorch have it.
    """

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    candidate_input_weight: Number = parameter()
    candidate_state_weight: Number = parameter()
    candidate_bias: Number = parameter()
    candidate_state_bias: Number | None = parameter(default=None)
    reset_after: bool = False
    sigmoid: Sigmoid = Sigmoid()
    tanh: Tanh = Tanh()
    reset: Quantizer | None = cast_point()
    candidate: Quantizer | None = cast_point()
    state: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    states: ClassVar[tuple[str, ...]] = ("state",)

    def __post_init__(self) -> None:
        demand_numbers(self)

    @property
    def hidden(self) -> int:
        """The number of units."""
        return self.candidate_state_weight.shape[0]

    def project(self, x: Number) -> tuple[Any, Any]:
        """The input's shares of the gates and of the candidate: (batch, ..., units), which needs no state."""
        for_gates = x.dot(self.input_weight, self.accumulator)
        return for_gates, x.dot(self.candidate_input_weight, self.accumulator)

    def step(self, projected: tuple[Number, Number], h: Number) -> tuple[Any, Any]:
        """One step in time from `projected`: the output, then the next h."""
        for_gates, for_candidate = projected
        r, z = self.sigmoid(h.dot(self.state_weight, self.accumulator, for_gates) + self.bias).split(2)
        if self.reset_after:
            from_input = (for_candidate + self.candidate_bias).cast(self.candidate)
            from_state = h.dot(self.candidate_state_weight, self.accumulator) + self.candidate_state_bias
            n = self.tanh(from_input + r * from_state.cast(self.reset))
        else:
            kept = (r * h).cast(self.reset)
            n = self.tanh(
                kept.dot(self.candidate_state_weight, self.accumulator, for_candidate) + self.candidate_bias
            )
        h = (z * h + (1 - z) * n).cast(self.state)
        return h, h

    def __call__(self, x: Number, h: Number) -> tuple[Any, Any]:
        return self.step(self.project(x), h)


@dataclass(frozen=True)
class LSTMCell:
    """i, f, o = sigmoid, g = tanh of z = x @ input_weight + h @ state_weight + bias; columns in that order.

    c' = f*c + i*g is rounded once, to `cell`; h' = o * tanh(c') is rounded to `state`.
    """

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    sigmoid: Sigmoid = Sigmoid()
    tanh: Tanh = Tanh()
    cell_tanh: Tanh = Tanh()
    cell: Quantizer | None = cast_point()
    state: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    states: ClassVar[tuple[str, ...]] = ("state", "cell")

    def __post_init__(self) -> None:
        demand_numbers(self)

    @property
    def hidden(self) -> int:
        """The number of units."""
        return self.state_weight.shape[0]

    def project(self, x: Number) -> Any:
        """x @ input_weight, for all four gates: (batch, ..., units), which needs no state."""
        return x.dot(self.input_weight, self.accumulator)

    def step(self, projected: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        """One step in time from `projected`: the output, then the next h, c."""
        z = h.dot(self.state_weight, self.accumulator, projected) + self.bias
        gates = 3 * self.hidden
        i, f, o = self.sigmoid(z[..., :gates]).split(3)
        g = self.tanh(z[..., gates:])
        c = (f * c + i * g).cast(self.cell)
        h = (o * self.cell_tanh(c)).cast(self.state)
        return h, h, c

    def __call__(self, x: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        return self.step(self.project(x), h, c)


Cell = RNNCell | GRUCell | LSTMCell


@dataclass(frozen=True)
class Recurrent:
    """Layers of cells over axis 1 (time) of (batch, time, features).

    The result is the last layer's whole sequence, or with `last` only its last step.
    """

    cells: tuple[Cell, ...]
    last: bool = False

    def __call__(self, xs: Number, *states: Any) -> Any:
        ys, _ = self.run(xs, *states)
        return ys[:, -1] if self.last else ys

    def run(self, xs: Number, *states: Any) -> tuple[Any, tuple[Any, ...]]:
        """The whole sequence and the last states, which the next call may start from."""
        states = self.started(states) if states else self.initial(xs)
        finals: list[Any] = []
        for cell in self.cells:
            first, states = states[: len(cell.states)], states[len(cell.states) :]
            xs, *last = xs.scan(cell.step, *first, each=cell.project)
            finals += last
        return xs, tuple(finals)

    def started(self, states: tuple[Any, ...]) -> tuple[Any, ...]:
        """States that somebody gives, in the formats of the states."""
        formats = [getattr(cell, name) for cell in self.cells for name in cell.states]
        return tuple(state.cast(format) for state, format in zip(states, formats, strict=True))

    def initial(self, xs: Number) -> tuple[Any, ...]:
        """Zeros, in the formats of the states."""
        return tuple(
            xs.zeros(cell.hidden, like=getattr(cell, name)) for cell in self.cells for name in cell.states
        )


@dataclass(frozen=True)
class RNN(Recurrent):
    """A plain recurrent layer of `RNNCell`s."""

    cells: tuple[RNNCell, ...]


@dataclass(frozen=True)
class GRU(Recurrent):
    """A gated recurrent layer of `GRUCell`s."""

    cells: tuple[GRUCell, ...]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """A long short-term memory layer of `LSTMCell`s."""

    cells: tuple[LSTMCell, ...]


@dataclass(frozen=True)
class WithStates:
    """A recurrent layer that gives its whole sequence and its last states together, for a graph's `Pick`s."""

    layer: Recurrent = field(metadata={INLINE: True})

    def __call__(self, xs: Number, *states: Any) -> Any:
        ys, last = self.layer.run(xs, *states)
        return ys, *last
