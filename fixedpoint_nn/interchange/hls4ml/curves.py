# SPDX-License-Identifier: MIT
"""Table lookups as in hls4ml's C++: sigmoid, tanh, and its stable softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, tanh
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.layers.fields import cast_point, table_point
from fixedpoint_nn.network.encoding import register
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

REACH = {"sigmoid": 4, "tanh": 3}  # a table covers -2**(n-1) to 2**(n-1)
FUNCTIONS: dict[str, Callable[[float], float]] = {"sigmoid": lambda x: 1 / (1 + exp(-x)), "tanh": tanh}


@dataclass(frozen=True)
class SigmoidCurve:
    """A table lookup at x rounded towards zero, cast to `out`."""

    input: Quantizer | None = cast_point()
    table: ValueTable | None = table_point("sigmoid", "input")
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("sigmoid", self.table).cast(self.out)


@dataclass(frozen=True)
class TanhCurve:
    """`SigmoidCurve` for tanh."""

    input: Quantizer | None = cast_point()
    table: ValueTable | None = table_point("tanh", "input")
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        return x.cast(self.input).lookup("tanh", self.table).cast(self.out)


@dataclass(frozen=True)
class StableSoftmax:
    """exp(x - max) * (1 / sum) over the last axis; the address of each table is the high bits of its argument."""

    norm: Quantizer | None = cast_point()
    input: Quantizer | None = cast_point()
    exp: ValueTable | None = table_point("exp", "input")
    term: Quantizer | None = cast_point()
    total: Quantizer | None = cast_point()
    address: Quantizer | None = cast_point()
    reciprocal: ValueTable | None = table_point("reciprocal", "address")
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        below = (x.max(axis=-1, keepdims=True) - x).cast(self.norm).cast(self.input)
        terms = below.lookup("exp", self.exp).cast(self.term)
        total = terms.sum(axis=-1, keepdims=True).cast(self.total).cast(self.address)
        return (terms * total.lookup("reciprocal", self.reciprocal)).cast(self.out)


def curve(kind: str, size: int, kept: Quantizer, out: Quantizer) -> SigmoidCurve | TanhCurve:
    """The layer of a sigmoid or tanh with a table of `size` entries of the type `kept`."""
    reach = REACH[kind]
    bits = size.bit_length() - 1
    if size != 1 << bits or bits < reach:
        raise Unsuited(f"has a table of {size} entries, and powers of two from {1 << reach} on are supported")
    address = Quantizer(
        QFormat(reach, bits - reach), Rounding.TOWARD_ZERO, Overflow.SATURATE, f"{out.name}.address"
    )
    table = _table(kind, address.format, kept, lambda x: float(np.float32(FUNCTIONS[kind](x))))
    return (SigmoidCurve if kind == "sigmoid" else TanhCurve)(address, table, out)


def softmax(
    types: dict[str, Quantizer],
    exp_size: int,
    inverse_size: int,
    out: Quantizer,
    terms: int,
    scale: float = 1.0,
) -> StableSoftmax:
    """The layer of a stable softmax over `terms` values; `types` are those of its configuration."""
    first, second = (
        _address(types[name].format, size)
        for name, size in (("inp_norm_t", exp_size), ("inv_inp_t", inverse_size))
    )
    exponentials = _table(
        "exp", first.format, types["exp_table_t"], lambda x: float(np.exp(-np.float32(x) * np.float32(scale)))
    )
    inverses = _table(
        "reciprocal",
        second.format,
        types["inv_table_t"],
        lambda x: float(np.float32(1) / np.float32(x)) if x else 0.0,
    )
    accum = types["accum_t"]
    largest = max(
        abs(value)
        for value in accum.from_ints(exponentials.ints, exponentials.output.format.frac_bits).tolist()
    )
    if largest * terms > accum.format.int_max:
        raise Unsuited(f"may overflow its accumulator {accum.format} on the way")
    return StableSoftmax(
        types["inp_norm_t"], first, exponentials, accum, types["inv_inp_t"], second, inverses, out
    )


def _address(format: QFormat, size: int) -> Quantizer:
    """The quantizer to the high bits of a word, as an address of `size` entries."""
    bits = size.bit_length() - 1
    if size != 1 << bits or bits > format.bits:
        raise Unsuited(f"has a table of {size} entries for {format}")
    cut = QFormat(format.int_bits, bits - format.int_bits, format.signed)
    return Quantizer(cut, Rounding.FLOOR, Overflow.WRAP, "address")


def _table(name: str, source: QFormat, kept: Quantizer, function: Callable[[float], float]) -> ValueTable:
    codes = range(source.int_min, source.int_max + 1)
    reals = np.array([function(code * float(source.step)) for code in codes])
    values = tuple(int(value) for value in kept.from_floats(reals))
    return ValueTable(name, source, kept, values)


register(SigmoidCurve, TanhCurve, StableSoftmax)
