# SPDX-License-Identifier: MIT
"""Outputs of an imported network: the file's codes, or real numbers on a common grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import frexp
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.centred import Shifted
from fixedpoint_nn.interchange.affine.constants import exact, fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Fitted, Lookup
from fixedpoint_nn.interchange.affine.stepping import tabulated
from fixedpoint_nn.interchange.affine.weighted import Scaling
from fixedpoint_nn.interchange.onnx.builder import GraphBuilder
from fixedpoint_nn.interchange.onnx.integers.chain import Within, channels, line
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, format_of
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

MOST_TABLE_BITS = 17  # of integers of which a function is an output
GRID_BITS = 24  # of the largest factor on a grid: as many as a 32-bit float has


@dataclass(frozen=True)
class Shown:
    """The meaning of output integers, which are those of `of` plus `by`."""

    of: Codes | Reals
    by: int = 0

    def filed(self, ints: Any) -> Any:
        """The file's values."""
        return self.of.filed(np.asarray(ints, np.int64) - self.by)


@dataclass(frozen=True)
class GridMeaning:
    """The meaning of output integers in units of 2**-bits."""

    bits: int

    def filed(self, ints: Any) -> Any:
        """The file's values as float32."""
        return np.ldexp(np.asarray(ints, np.float64), -self.bits).astype(np.float32)


def filed_output(builder: GraphBuilder, v: OnnxValue) -> OnnxValue:
    """The value converted to an output of the network."""
    kind: Any = v.kind
    zero = kind.zero
    if isinstance(kind, Reals) and kind.linear and not zero and frexp(kind.scale)[0] == 0.5:
        power = frexp(kind.scale)[1] - 1  # the format says what the integers are worth
        node = builder.add("output", Fitted(-power, exact_power(kind, power)), v.node) if power else v.node
        return replace(v, node=node, kind=Shown(kind), flat=None)
    if zero is not None and (isinstance(kind, Codes) or kind.linear):  # codes, or codes that are dequantised
        if not zero:
            return replace(v, kind=Shown(kind))
        low, high = kind.low + zero, kind.high + zero
        node = builder.add("output", Shifted(zero, exact(low, high, "output")), v.node)
        return replace(v, node=node, kind=Shown(kind, zero), flat=None)
    if kind.linear:
        return replace(v, kind=Shown(kind))
    return on_grid(builder, v)


def exact_power(kind: Reals, power: int) -> Quantizer:
    """A lossless cast that declares the integers to be in units of 2**power."""
    format = QFormat.enclosing(min(kind.low, 0), max(kind.high, 0), -power, signed=kind.low < 0)
    return Quantizer(format, Rounding.FLOOR, Overflow.WRAP, "output")


def on_grid(builder: GraphBuilder, v: OnnxValue) -> OnnxValue:
    """Sums with per-channel factors and biases, converted to one unit for all channels."""
    kind: Any = v.kind
    found = line(kind.chain)
    bits = format_of(kind).bits
    if found is None and channels(kind.chain) == 1 and bits <= MOST_TABLE_BITS:
        return _tabulated(builder, v)
    if found is None or any(isinstance(link, Within) for link in kind.chain):
        raise Refused("it is a function of integers that is not rounded; quantise the output")
    factor, shift = found
    largest = float(np.abs(factor).max())
    bits = GRID_BITS - frexp(largest)[1]
    factors: Ints = np.floor(np.ldexp(factor, bits) + 0.5).astype(np.int64)
    shifts: Ints = np.floor(np.ldexp(shift, bits) + 0.5).astype(np.int64)
    layer = Scaling(fixed_constant(factors, bits), fixed_constant(shifts, bits))
    node = builder.add("output", layer, v.node)
    return replace(v, node=node, kind=GridMeaning(bits), flat=None)


def _tabulated(builder: GraphBuilder, v: OnnxValue) -> OnnxValue:
    """A function of codes, such as a last Tanh: a table of its values, in one unit."""
    kind: Any = v.kind
    every = np.arange(kind.low, kind.high + 1)
    values = np.asarray(kind.filed(every), np.float64)
    if not np.isfinite(values).all():
        raise Refused("it is a function of integers that is not finite; quantise the output")
    bits = GRID_BITS - frexp(float(np.abs(values).max()))[1]
    entries: Ints = np.floor(np.ldexp(values, bits) + 0.5).astype(np.int64)
    ends = int(entries.min()), int(entries.max())
    table = tabulated(lambda n: entries[n - kind.low], (kind.low, kind.high), ends, "output")
    node = builder.add("output", Lookup(table), v.node)
    return replace(v, node=node, kind=GridMeaning(bits), flat=None)
