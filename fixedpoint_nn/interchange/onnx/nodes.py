# SPDX-License-Identifier: MIT
"""Building ONNX nodes over float64, with deduplicated constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.onnx.file import package
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.overflow import Overflow, limits
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding


@dataclass
class Nodes:
    """The nodes of one graph, in the order of computation; `prefix` makes names of loop bodies unique."""

    prefix: str = ""
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    known: dict[bytes, str] = field(default_factory=dict)
    dtype: Any = np.float64  # of everything except indices

    def name(self, hint: str = "v") -> str:
        """A unique name."""
        return f"{self.prefix}{hint}{len(self.nodes) + len(self.constants)}"

    def add(self, op: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; returns the name of its first result."""
        names = list(outputs) or [self.name()]
        self.nodes.append(package().helper.make_node(op, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant, or reuse an equal one; returns its name."""
        array = np.asarray(value, self.dtype if dtype is None else dtype)
        key = repr((array.dtype.str, array.shape)).encode() + array.tobytes()
        if key not in self.known:
            self.known[key] = self.name("c")
            self.constants[self.known[key]] = array
        return self.known[key]

    def integers(self, *values: int) -> str:
        """Add a constant list of integers, such as axes or shapes; returns its name."""
        return self.constant(values, np.int64)

    def times(self, x: str, power: int) -> str:
        """Add x * 2**power."""
        return x if power == 0 else self.add("Mul", x, self.constant(2.0**power))

    def number(self, x: str) -> str:
        """Add a conversion of booleans or indices to floats."""
        kinds = package().TensorProto
        return self.add("Cast", x, to=kinds.DOUBLE if self.dtype is np.float64 else kinds.FLOAT)

    def parameter(self, value: FixedArray) -> str:
        """Add a constant of the network, as real numbers."""
        return self.constant(value.to_float())

    def reshaped(self, x: str, sizes: Sequence[int]) -> str:
        """Add a Reshape; -1 is the batch."""
        return self.add("Reshape", x, self.integers(*sizes))

    def part(self, x: str, axis: int, start: int, stop: int, step: int = 1) -> str:
        """Add a Slice of one axis; with a negative step, `stop` -1 is before the first element."""
        stop = -(1 << 40) if step < 0 and stop < 0 else stop
        return self.add(
            "Slice", x, self.integers(start), self.integers(stop), self.integers(axis), self.integers(step)
        )

    def cast(self, x: str, quantizer: Quantizer) -> str:
        """Add the exact rounding and overflow handling of the quantizer."""
        codes = self._fitted(
            self._rounded(self.times(x, quantizer.format.frac_bits), quantizer.rounding), quantizer
        )
        return self.times(codes, -quantizer.format.frac_bits)

    def _rounded(self, y: str, rounding: Rounding) -> str:
        """Add a rounding to integers: floor(y), plus 1 by the rounding's predicate.

        y - floor(y) is exact except where it is nearly 1.
        """
        if rounding is Rounding.HALF_EVEN:
            return self.add("Round", y)
        floor = self.add("Floor", y)
        if rounding is Rounding.FLOOR:
            return floor
        rest, half, zero = self.add("Sub", y, floor), self.constant(0.5), self.constant(0.0)
        if rounding is Rounding.TOWARD_ZERO:
            more = self.add("And", self.add("Greater", rest, zero), self.add("Less", y, zero))
        elif rounding is Rounding.HALF_UP:
            more = self.add("GreaterOrEqual", rest, half)
        else:
            more = self.add("Greater", rest, half)
            if rounding is not Rounding.HALF_DOWN:
                side = "GreaterOrEqual" if rounding is Rounding.HALF_AWAY else "Less"
                tie = self.add("And", self.add("Equal", rest, half), self.add(side, y, zero))
                more = self.add("Or", more, tie)
        return self.add("Add", floor, self.number(more))

    def _fitted(self, codes: str, quantizer: Quantizer) -> str:
        low, high = limits(quantizer.format, quantizer.overflow)
        if quantizer.overflow is Overflow.WRAP:
            return self.wrapped(codes, quantizer.format.int_min, quantizer.format.bits)
        fitted = self.add("Min", self.add("Max", codes, self.constant(low)), self.constant(high))
        if quantizer.overflow is not Overflow.ZERO:
            return fitted
        return self.add("Where", self.add("Equal", codes, fitted), codes, self.constant(0.0))

    def wrapped(self, codes: str, low: int, bits: int) -> str:
        """Add the wrap of codes modulo 2**bits into low..low + 2**bits - 1."""
        over = self.add("Sub", codes, self.constant(low)) if low else codes
        times = self.add("Floor", self.times(over, -bits))
        return self.add("Sub", codes, self.times(times, bits))
