# SPDX-License-Identifier: MIT
"""Recurrent layers: RNN, GRU and LSTM cells, and stacks of them over time.

A cell is two formulas: `project`, of this time step's input alone, and `step`, which takes the state too. So `scan`
may compute the projections of all time steps in one matrix product, with the same result. Any activation may take
the place of `sigmoid` and `tanh`, such as a `Rectifier`.

Shapes: x (batch, inputs), states (batch, units), input_weight (inputs, columns), state_weight (units, columns).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from fixedpoint_nn.layers.activation import Sigmoid, Tanh
from fixedpoint_nn.layers.fields import INLINE, accumulator_point, cast_point, demand_numbers, parameter
from fixedpoint_nn.layers.structure import Layer
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class RNNCell:
    """h' = tanh(x @ input_weight + h @ state_weight + bias), cast to `state`."""

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    tanh: Layer = Tanh()
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
        """x @ input_weight: (batch, ..., inputs) -> (batch, ..., units), without the state."""
        return x.dot(self.input_weight, self.accumulator)

    def step(self, projected: Number, h: Number) -> tuple[Any, Any]:
        """One time step from `projected`: the output (batch, units), then the next h."""
        h = self.tanh(h.dot(self.state_weight, self.accumulator, projected) + self.bias).cast(self.state)
        return h, h

    def __call__(self, x: Number, h: Number) -> tuple[Any, Any]:
        return self.step(self.project(x), h)


@dataclass(frozen=True)
class GRUCell:
    """r, z = sigmoid(x @ input_weight + h @ state_weight + bias), n = tanh(...), h' = z*h + (1 - z)*n.

    The reset gate acts before the candidate's product, n = tanh(x@W + (r*h)@U + b), as in the original paper, or with
    `reset_after` after it, n = tanh(x@W + b + r*(h@U + c)), as in cuDNN and PyTorch. The columns of `input_weight` and
    `state_weight` are r, then z. Casts: `reset` of r*h, or with `reset_after` of h@U + c; `candidate`, only with
    `reset_after`, of x@W + b; `state` of h'.
    """

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    candidate_input_weight: Number = parameter()
    candidate_state_weight: Number = parameter()
    candidate_bias: Number = parameter()
    candidate_state_bias: Number | None = parameter(default=None)
    reset_after: bool = False
    sigmoid: Layer = Sigmoid()
    tanh: Layer = Tanh()
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
        """The products with the input of the gates (batch, ..., 2 * units) and the candidate (batch, ..., units)."""
        for_gates = x.dot(self.input_weight, self.accumulator)
        return for_gates, x.dot(self.candidate_input_weight, self.accumulator)

    def step(self, projected: tuple[Number, Number], h: Number) -> tuple[Any, Any]:
        """One time step from `projected`: the output (batch, units), then the next h."""
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
    """z = x @ input_weight + h @ state_weight + bias; i, f, o = sigmoid(z[:3]), g = tanh(z[3]).

    z has 4 * units columns, in the order i, f, o, g. c' = f*c + i*g is rounded once, to `cell`; h' = o * tanh(c') is
    rounded to `state`. `peepholes`, (3 * units,), are weights of the cell in z: of c in i and f, of c' in o.
    """

    input_weight: Number = parameter()
    state_weight: Number = parameter()
    bias: Number = parameter()
    sigmoid: Layer = Sigmoid()
    tanh: Layer = Tanh()
    cell_tanh: Layer = Tanh()
    cell: Quantizer | None = cast_point()
    state: Quantizer | None = cast_point()
    accumulator: Accumulator | None = accumulator_point()
    peepholes: Number | None = parameter(default=None)
    states: ClassVar[tuple[str, ...]] = ("state", "cell")

    def __post_init__(self) -> None:
        demand_numbers(self)

    @property
    def hidden(self) -> int:
        """The number of units."""
        return self.state_weight.shape[0]

    def project(self, x: Number) -> Any:
        """x @ input_weight: (batch, ..., inputs) -> (batch, ..., 4 * units), without the state."""
        return x.dot(self.input_weight, self.accumulator)

    def step(self, projected: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        """One time step from `projected`: the output (batch, units), then the next h and c."""
        z = h.dot(self.state_weight, self.accumulator, projected) + self.bias
        gates = 3 * self.hidden
        if self.peepholes is not None:
            return self._step_with_peepholes(z[..., :gates], self.tanh(z[..., gates:]), c)
        i, f, o = self.sigmoid(z[..., :gates]).split(3)
        g = self.tanh(z[..., gates:])
        c = (f * c + i * g).cast(self.cell)
        h = (o * self.cell_tanh(c)).cast(self.state)
        return h, h, c

    def _step_with_peepholes(self, z: Number, g: Number, c: Number) -> tuple[Any, Any, Any]:
        """The same from z of the gates and the candidate g, where the gates see the cell."""
        assert self.peepholes is not None
        inner = 2 * self.hidden  # columns of i and f
        i, f = self.sigmoid(z[..., :inner] + c.concat([c]) * self.peepholes[:inner]).split(2)
        c = (f * c + i * g).cast(self.cell)
        o = self.sigmoid(z[..., inner:] + c * self.peepholes[inner:])
        h = (o * self.cell_tanh(c)).cast(self.state)
        return h, h, c

    def __call__(self, x: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        return self.step(self.project(x), h, c)


Cell = RNNCell | GRUCell | LSTMCell


@dataclass(frozen=True)
class Recurrent:
    """A stack of cells over axis 1 (time): (batch, time, features) -> (batch, time, units).

    With `last` only the last time step is returned, (batch, units).

    Each cell runs over the whole output sequence of the one before it. States start at zero, unless a call gives
    them: h of each cell, for an LSTM h and c, in the order of the cells.
    """

    cells: tuple[Cell, ...]
    last: bool = False

    def __call__(self, xs: Number, *states: Any) -> Any:
        ys, _ = self.run(xs, *states)
        return ys[:, -1] if self.last else ys

    def run(self, xs: Number, *states: Any) -> tuple[Any, tuple[Any, ...]]:
        """(output sequence (batch, time, units), final states); a later call may start from these states."""
        states = self.started(states) if states else self.initial(xs)
        finals: list[Any] = []
        for cell in self.cells:
            first, states = states[: len(cell.states)], states[len(cell.states) :]
            xs, *last = xs.scan(cell.step, *first, each=cell.project)
            finals += last
        return xs, tuple(finals)

    def started(self, states: tuple[Any, ...]) -> tuple[Any, ...]:
        """The given initial states, cast to the cells' state formats."""
        formats = [getattr(cell, name) for cell in self.cells for name in cell.states]
        return tuple(state.cast(format) for state, format in zip(states, formats, strict=True))

    def initial(self, xs: Number) -> tuple[Any, ...]:
        """Initial states of zeros, (batch, units) each, in the cells' state formats."""
        return tuple(
            xs.zeros(cell.hidden, like=getattr(cell, name)) for cell in self.cells for name in cell.states
        )


@dataclass(frozen=True)
class RNN(Recurrent):
    """A recurrent layer of `RNNCell`s."""

    cells: tuple[RNNCell, ...]


@dataclass(frozen=True)
class GRU(Recurrent):
    """A gated recurrent layer, of `GRUCell`s."""

    cells: tuple[GRUCell, ...]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """A long short-term memory layer, of `LSTMCell`s.

    >>> import numpy as np
    >>> from fixedpoint_nn import Tensor
    >>> from fixedpoint_nn.network.initialise import Initialiser
    >>> lstm = Initialiser(seed=0).lstm(inputs=3, hidden=5)
    >>> lstm(Tensor(np.zeros((2, 7, 3), np.float32))).shape
    (2, 7, 5)
    """

    cells: tuple[LSTMCell, ...]


@dataclass(frozen=True)
class WithStates:
    """A recurrent layer that returns the tuple (output sequence, *final states), for the `Pick`s of a graph."""

    layer: Recurrent = field(metadata={INLINE: True})

    def __call__(self, xs: Number, *states: Any) -> Any:
        ys, last = self.layer.run(xs, *states)
        return ys, *last
