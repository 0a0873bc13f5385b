# SPDX-License-Identifier: MIT
"""A plan of one step in time: operations on slots, which are matrices (rows of a batch, columns) of whole floats."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Part:
    """Some columns of a slot: integers of a format, none larger than `bound`."""

    slot: int
    start: int
    width: int
    format: QFormat
    bound: int
    signed: bool

    @property
    def columns(self) -> slice:
        """The columns in their slot."""
        return slice(self.start, self.start + self.width)


@dataclass(frozen=True)
class Dot:
    """part @ weights."""

    part: Part
    weights: BoundedInts  # (taps, columns)


@dataclass(frozen=True)
class Cut:
    """Columns of a sum of products, rounded by 2**shift and fitted: slot `out` is as wide as they are."""

    out: int
    start: int
    width: int
    relu: bool
    shift: int
    quantizer: Quantizer
    fits: bool  # nothing overflows, as is known beforehand


@dataclass
class Products:
    """The sum of several products and a bias, cut into parts; `raw` is the slot of the sum itself, if it is needed."""

    dots: tuple[Dot, ...]
    bias: Array | None  # int64, one for each column
    width: int
    bound: int  # of the sum, and of every sum of some of its terms
    cuts: list[Cut]
    raw: int | None = None


@dataclass(frozen=True)
class Multiply:
    """out = a * b."""

    out: int
    a: Part
    b: Part


@dataclass(frozen=True)
class Combine:
    """out = a * a_factor + b * b_factor + constant; factors are powers of two or their negatives."""

    out: int
    a: Part
    a_factor: int
    b: Part | None
    b_factor: int
    constant: Array | None  # int64, one for each column


@dataclass(frozen=True)
class Requantize:
    """out = a times 2**shift, rounded and fitted."""

    out: int
    a: Part
    shift: int
    quantizer: Quantizer
    fits: bool


@dataclass(frozen=True)
class Lookup:
    """out = the table's entries for a."""

    out: int
    a: Part
    table: Table


Operation = Products | Multiply | Combine | Requantize | Lookup


@dataclass(frozen=True)
class Plan:
    """One step: what is read (`x` and the states), what is done, and where the output and the next states are then.

    A state is kept in its own slot: the executors copy `after` there when the step is done.
    """

    widths: tuple[int, ...]  # of each slot
    x: int
    input_format: QFormat
    states: tuple[int, ...]
    operations: tuple[Operation, ...]
    y: Part
    after: tuple[Part, ...]
    bound: int  # of everything that is ever in a slot, sums of products apart
    sum_bound: int  # of the sums of products
