# SPDX-License-Identifier: MIT
"""The signal-to-noise ratio of each cast point against the float network, in dB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fixedpoint_nn.layers.fields import ACCUMULATOR, CAST, TABLE
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.tree import rebuild, walk
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.overflow_stats import OverflowStats
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.requantize import requantized
from fixedpoint_nn.precision.plan import Plan

EXACT_DB = 150.0  # shown if there is no noise at all
ConversionStats = Mapping[str, list[Array]]  # by cast point, the values of every call


class Collector:
    """A stand-in for a cast point's quantizer in a float network, which records the values that reach it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[Array] = []

    def observe(self, data: Array) -> None:
        """Record the values."""
        self.parts.append(data)


def float_values(net: Any, x: Array) -> dict[str, list[Array]]:
    """The values that reach every cast point of the float network, by path, one array per call."""
    net = fold(net)
    collectors = {leaf.path: Collector(leaf.path) for leaf in walk(net) if leaf.kind == CAST}
    bare = {leaf.path: None for leaf in walk(net) if leaf.kind in (TABLE, ACCUMULATOR)}
    with no_gradient():
        rebuild(net, {**bare, **collectors})(as_input(x))
    return {path: collector.parts for path, collector in collectors.items()}


class RoundingNoiseStats(OverflowStats):
    """`OverflowStats` that also record the results of every cast for the first rows of a batch."""

    def __init__(self, rows: int) -> None:
        super().__init__(count_rounded=False)
        self.rows = rows
        self.seen: dict[str, list[Array]] = {}

    def record_cast(self, held: BoundedInts, shift: int, quantizer: Quantizer) -> None:
        """Count the overflows of a cast, and record its results for the first rows."""
        super().record_cast(held, shift, quantizer)
        if self.first_row == 0 and quantizer.name:
            first = requantized(BoundedInts(held.array[: self.rows], held.bound), shift, quantizer)
            values = np.ldexp(first.array.astype(np.float64), -quantizer.format.frac_bits)
            self.seen.setdefault(quantizer.name, []).append(values)


def signal_to_noise(exact: ConversionStats, rounded: ConversionStats, plan: Plan) -> dict[str, float]:
    """10 log10(mean square of the float values / mean square of the difference), for every cast point."""
    return {
        path: _decibels(_kept(np.stack(exact[path]), plan, path), np.stack(parts))
        for path, parts in rounded.items()
        if len(exact.get(path, ())) == len(parts)
    }


def _kept(values: Array, plan: Plan, path: str) -> Array:
    """The float values to compare with; negative ones become 0 for an unsigned format, as after its ReLU."""
    format = plan.format(path)
    return values if format is None or format.signed else np.maximum(values, 0)


def _decibels(exact: Array, rounded: Array) -> float:
    signal = float(np.mean(np.square(exact, dtype=np.float64)))
    noise = float(np.mean(np.square(exact - rounded, dtype=np.float64)))
    if noise == 0:
        return EXACT_DB
    return round(10 * float(np.log10(max(signal, 1e-300) / noise)), 2)
