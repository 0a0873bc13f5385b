# SPDX-License-Identifier: MIT
"""The plan of one time step: operations on slots, float matrices (rows of the batch, columns) of integers."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Part:
    """Columns of a slot: integers of a format, with magnitudes up to `bound`."""

    slot: int
    start: int
    width: int
    format: QFormat
    bound: int
    signed: bool

    @property
    def columns(self) -> slice:
        """The columns as a slice of the slot."""
        return slice(self.start, self.start + self.width)


@dataclass(frozen=True)
class SlotDot:
    """part @ weights."""

    part: Part
    weights: BoundedInts  # (taps, columns)


@dataclass(frozen=True)
class RoundedColumns:
    """Columns of a sum of products, rounded by `shift` bits and fitted, which become slot `out`."""

    out: int
    start: int
    width: int
    relu: bool
    shift: int
    quantizer: Quantizer
    fits: bool  # known not to overflow


@dataclass
class ProductSum:
    """A sum of products and a bias, cut into parts; `raw` is the slot of the unrounded sum, if needed."""

    dots: tuple[SlotDot, ...]
    bias: Array | None  # int64, one for each column
    width: int
    bound: int  # of the sum and of every partial sum
    cuts: list[RoundedColumns]
    raw: int | None = None


@dataclass(frozen=True)
class SlotProduct:
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
    """out = a * 2**shift, rounded and fitted."""

    out: int
    a: Part
    shift: int
    quantizer: Quantizer
    fits: bool


@dataclass(frozen=True)
class SlotLookup:
    """out = the table's entries at a."""

    out: int
    a: Part
    table: Table


Operation = ProductSum | SlotProduct | Combine | Requantize | SlotLookup


@dataclass(frozen=True)
class LoopPlan:
    """One time step: its inputs (`x` and the states), its operations, its output and next states.

    Every state has its own slot, to which the executors copy `after` at the end of the step.
    """

    widths: tuple[int, ...]  # of each slot
    x: int
    input_format: QFormat
    states: tuple[int, ...]
    operations: tuple[Operation, ...]
    y: Part
    after: tuple[Part, ...]
    bound: int  # of everything in slots, except sums of products
    sum_bound: int  # of the sums of products
