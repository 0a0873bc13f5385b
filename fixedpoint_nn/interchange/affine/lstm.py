# SPDX-License-Identifier: MIT
"""The integer LSTM of TFLite: 8-bit values, 16-bit gates and cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixedpoint_nn.interchange.affine.rescale import Clamp, Rescale
from fixedpoint_nn.layers.fields import cast_point, parameter, table_point
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.value_table import ValueTable


@dataclass(frozen=True)
class Share:
    """rescale(x @ weight + bias): the contribution of one operand to all gates, (batch, gates * units)."""

    weight: Number = parameter()
    bias: Number | None = parameter(default=None)
    sum: Quantizer | None = cast_point()
    rescale: Rescale | None = None

    def __call__(self, x: Number) -> Any:
        total = x @ self.weight
        total = (total if self.bias is None else total + self.bias).cast(self.sum)
        assert self.rescale is not None
        return self.rescale(total)


@dataclass(frozen=True)
class IntegerLSTM:
    """Gates i, f, o = sigmoid, g = tanh of z; c' = f*c + i*g, each product rounded; h' = rescale(o * tanh(c')).

    z is the sum of the shares of x, of h and of the cell (peepholes), saturated to 16 bits after each. Columns are in
    the order i, f, o, g; with `coupled` there is no i, which is then 1 - f. A `projection` maps the output to h'.
    """

    of_input: Share
    of_state: Share
    output: Rescale
    hidden: int
    coupled: bool = False
    peepholes: Number | None = parameter(default=None)  # of i and f, then of o
    peephole_rescale: Rescale | None = None
    output_peephole_rescale: Rescale | None = None
    seen: Quantizer | None = cast_point()  # the product of a cell and its peephole weight
    one: Number | None = parameter(default=None)
    sigmoid: ValueTable | None = table_point("sigmoid", "gate")
    tanh: ValueTable | None = table_point("tanh", "gate")
    cell_tanh: ValueTable | None = table_point("tanh", "cell")
    gate: Quantizer | None = cast_point()
    product: Quantizer | None = cast_point()
    cell: Quantizer | None = cast_point()
    clip: Clamp | None = None
    projection: Share | None = None
    state: Quantizer | None = cast_point()

    def __call__(self, xs: Number) -> Any:
        size = self.hidden if self.projection is None else self.projection.weight.shape[1]
        h, c = xs.zeros(size, like=self.state), xs.zeros(self.hidden, like=self.cell)
        ys, *_ = xs.scan(self.step, h, c, each=self.of_input)
        return ys

    def step(self, projected: Number, h: Number, c: Number) -> tuple[Any, Any, Any]:
        """One time step from the input's share: the output (batch, units), then the next h and c."""
        z = (projected + self.of_state(h)).cast(self.gate)
        assert self.cell is not None
        point = self.cell.format.frac_bits
        n = self.hidden
        first = n if self.coupled else 2 * n  # columns of i and f
        inner, outer, candidate = z[..., :first], z[..., first : first + n], z[..., first + n :]
        if self.peepholes is not None:
            assert self.peephole_rescale is not None
            both = (c if self.coupled else c.concat([c])).scaled(point)
            seen = self.peephole_rescale((both * self.peepholes[:first]).cast(self.seen))
            inner = (inner + seen).cast(self.gate)
        inner = inner.lookup("sigmoid", self.sigmoid)
        f = inner if self.coupled else inner[..., n:]
        i = self.one - f if self.coupled else inner[..., :n]
        g = candidate.lookup("tanh", self.tanh)
        c = ((f * c).cast(self.product) + (i * g).cast(self.product)).cast(self.cell)
        if self.clip is not None:
            c = self.clip(c.scaled(point)).scaled(-point).cast(self.cell)
        if self.peepholes is not None:
            assert self.output_peephole_rescale is not None
            later = (c.scaled(point) * self.peepholes[first:]).cast(self.seen)
            outer = (outer + self.output_peephole_rescale(later)).cast(self.gate)
        o = outer.lookup("sigmoid", self.sigmoid)
        h = self.output((o * c.lookup("tanh", self.cell_tanh)).scaled(30))  # as integers
        if self.projection is not None:
            h = self.projection(h)
        h = h.cast(self.state)
        return h, h, c
