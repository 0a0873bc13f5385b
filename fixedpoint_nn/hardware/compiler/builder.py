# SPDX-License-Identifier: MIT
"""The program under construction during lowering: items, buffers, constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.compiler.computation import computation, new_target, padded
from fixedpoint_nn.hardware.compiler.constants import Constants
from fixedpoint_nn.hardware.compiler.dense_copy import all_walkable
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression, Scale, load
from fixedpoint_nn.hardware.compiler.ir import Declare, Item
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, Buffer, Register, View, dense_axes
from fixedpoint_nn.hardware.isa.config import LANES_RULE, is_lanes
from fixedpoint_nn.numbers.fixed.array import FixedArray


@dataclass
class Builder:
    """The items in the order of execution; `layer` is the layer being lowered, `refused` its name in error messages."""

    lanes: int
    multiplier: int = 0  # the most bits of the requantiser's multiplier
    words: int = 1  # activation words read per clock
    multiply_everywhere: bool = False  # else only where weights would be too wide
    multiplied: bool = False  # whether a multiplier was used
    items: list[Item] = field(default_factory=list)
    constants: Constants = field(init=False)
    layer: str = ""
    refused: str = ""

    def __post_init__(self) -> None:
        if not is_lanes(self.lanes):
            raise LoweringError(
                f"The network does not fit any engine: lanes = {self.lanes!r} is no engine; {LANES_RULE}."
            )
        self.constants = Constants(self.lanes)

    @contextmanager
    def block(self) -> Iterator[list[Item]]:
        """A context in which items are appended to a new list, the body of a loop."""
        outer, self.items = self.items, []
        try:
            yield self.items
        finally:
            self.items = outer

    # ---- memory --------------------------------------------------------------------------------------------

    def padded(self, words: int) -> int:
        """The number of words, rounded up to whole rows of the memory."""
        return padded(words, self.lanes)

    def buffer(self, name: str, words: int, **options: Any) -> Buffer:
        """A new buffer of whole rows."""
        buffer = Buffer(name, self.padded(max(words, 1)), **options)
        self.items.append(Declare(buffer, self.refused))
        return buffer

    def target(self, shape: Sequence[int], in_rows: bool = True) -> tuple[Target, tuple[int, ...]]:
        """(new buffer for a value, its strides): pixel by pixel, each from the start of a row if `in_rows`."""
        target, strides = new_target(self.layer, shape, self.lanes, in_rows)
        self.items.append(Declare(target.buffer, self.refused))
        return target, strides

    def constant(self, value: FixedArray) -> View:
        """A constant in the activation memory, pixel by pixel."""
        return self.constants.pixels(value)

    def registers(self, *registers: Register) -> None:
        """Declare registers of the engine."""
        self.items += [Declare(register, self.refused) for register in registers]

    # ---- computations --------------------------------------------------------------------------------------

    def compute(
        self,
        expression: Expression,
        target: Target | None,
        path: Path,
        in_rows: bool = True,
        **options: Any,
    ) -> View:
        """Append the computation of an expression into `target` or a new buffer; returns the view of the result."""
        expression = all_walkable(self, expression, path)
        item, view = computation(
            expression, self.layer, self.refused, path, self.lanes, target, in_rows, **options
        )
        self.items.append(item)
        return view

    def fill(self, value: FixedArray, target: Target) -> None:
        """Append a run that writes constants, to every sample the first one's: all taps are padding, so the bias."""
        shape = len(value), prod(value.shape[1:])
        view = View(target.buffer, target.offset, dense_axes(shape, (0, 0)), value.format, ALL_PADDING)
        term = Scale(view, np.zeros((1, shape[1]), np.int64), value.format.frac_bits)
        filled = Expression(
            shape, value.format, ((term,),), value.ints[0].reshape(-1), value.format.frac_bits
        )
        self.compute(filled, target, ())

    def copied(self, view: View, path: Path, target: Target | None = None, **options: Any) -> View:
        """Append a copy of a view; returns the view of the copy, in rows."""
        return self.compute(load(view), target, path, **options)
