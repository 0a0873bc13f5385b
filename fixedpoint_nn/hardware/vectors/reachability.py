# SPDX-License-Identifier: MIT
"""Cover points that are proven unreachable by interval arithmetic, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn.hardware.vectors.cover_points import (
    Key,
    coverage,
    layer_of,
    lowest_weights,
    may_be_negative,
)
from fixedpoint_nn.hardware.vectors.intervals import Interval, follow, inputs, zeros
from fixedpoint_nn.hardware.vectors.stimuli import codes, every_input
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Arrival:
    """The interval of values at a cover point, `low` to `high` in steps of 2**-frac_bits, and whether it can hit it."""

    possible: bool
    low: int
    high: int
    frac_bits: int

    def joined(self, other: Arrival | None) -> Arrival:
        """Merged with the interval at another node or time step of the same layer."""
        if other is None:
            return self
        return Arrival(
            self.possible or other.possible,
            min(self.low, other.low),
            max(self.high, other.high),
            max(self.frac_bits, other.frac_bits),
        )

    def reason(self, point: str) -> str:
        """The reason why the cover point cannot be hit."""
        if point == "most negative times most negative":
            return f"{UNREACHABLE}: no word that can be the most negative meets a most negative weight"
        return f"{UNREACHABLE}: only {self.low} to {self.high} arrive, in steps of 2**{-self.frac_bits}"


def points_within(
    interval: Interval, source: QFormat, zero_bits: int, quantizer: Quantizer, negative: bool
) -> Iterator[tuple[str, bool]]:
    """(cover point, whether the interval of any element contains it) for every cover point of a cast."""
    low, high = (end.ints.ravel() for end in interval)
    f = quantizer.format
    shift = source.frac_bits - f.frac_bits
    if 0 < shift < 62:
        half = 1 << (shift - 1)
        first, last = -(-(low - half) >> shift), (high - half) >> shift  # floors of the ties in the interval
        for sign in ("negative", "positive") if negative else ("positive",):
            least = first if sign == "negative" else np.maximum(first, 0)
            most = np.minimum(last, -1) if sign == "negative" else last
            for parity, odd in (("odd", 1), ("even", 0)):
                # A multiple of 2**shift is no tie.
                held = (most > least) | ((most == least) & ((least & 1) == odd))
                held = held if zero_bits < shift else np.zeros(0, bool)
                yield f"tie, {sign}, {parity} floor", bool(np.any(held))
    floors = [_floor(end, shift) for end in (low, high)]
    yield "above the largest", bool((floors[1] > f.int_max).any())
    if negative:
        yield "below the smallest", bool((floors[0] < f.int_min).any())
    for name, code in (("largest", f.int_max), ("smallest", f.int_min)):
        yield f"exactly the {name}", bool(((floors[0] <= code) & (code <= floors[1])).any())


def _floor(ints: Ints, shift: int) -> Ints:
    return np.asarray(ints << -shift if -30 < shift <= 0 else ints >> min(shift, 62))


def unreachable(program: Program, samples: FixedArray) -> dict[Key, str]:
    """The unreachable cover points with reasons, for inputs like these samples.

    If there are few possible inputs, all are tried.
    """
    every = every_input(program, samples)
    if every is not None:
        inputs = FixedArray.from_ints(every.reshape(-1, *samples.shape[1:]), samples.format)
        text = f"{UNREACHABLE}: none of all {len(every)} inputs meets it"
        return {key: text for key, found in coverage(program, inputs).items() if not found.hits.any()}
    return by_intervals(program, codes(program, samples))


def by_intervals(program: Program, allowed: range) -> dict[Key, str]:
    """The unreachable cover points with reasons, by interval arithmetic from inputs of these codes."""
    found: dict[Key, Arrival] = {}

    def watch(where: Program, place: int, values: dict[int, Interval]) -> None:
        node = where.nodes[place]
        if not node.inputs or node.inputs[0] not in values or node.op not in ("cast", "lookup", "dot"):
            return
        source = values[node.inputs[0]]
        format = where.nodes[node.inputs[0]].format
        low, high = int(source[0].ints.min()), int(source[1].ints.max())
        zero_bits = min(zeros(where, node.inputs[0]), 62)
        answers: list[tuple[str, bool]] = []
        if node.op == "cast" and isinstance(node.attributes["quantizer"], Quantizer):
            negative = may_be_negative(where, node)
            answers = list(points_within(source, format, zero_bits, node.attributes["quantizer"], negative))
        elif node.op == "lookup":
            answers = [
                ("first entry of the table", low <= format.int_min),
                ("last entry of the table", high >= format.int_max),
            ]
        elif (lowest := lowest_weights(where, node)) is not None:
            meets = (source[0].ints == format.int_min) & lowest
            answers = [("most negative times most negative", bool(meets.any()))]
        for point, possible in answers:
            key = layer_of(where, place), point
            found[key] = Arrival(
                possible, low >> zero_bits, high >> zero_bits, format.frac_bits - zero_bits
            ).joined(found.get(key))

    follow(program, (inputs(program, allowed),), watch)
    return {key: arrival.reason(key[1]) for key, arrival in found.items() if not arrival.possible}
