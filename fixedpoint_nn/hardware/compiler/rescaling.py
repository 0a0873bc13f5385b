# SPDX-License-Identifier: MIT
"""Rescaled sums: an integer multiplier per channel, computed by the requantiser in the same run.

Patterns in a traced program, in which each value is used only by the next:

[lossless cast] -> * factor [-> + offset] -> cast
[lossless cast] -> * factor -> cast (HALF_UP) -> * power of two -> cast
table(x) + table(y) -> either of them: `scaled_sums.py`

The engine's requantiser has {multiplier, shift} per channel and rounds once, or twice with the first rounding after 31
bits. A chain of another form, or with too wide a multiplier, keeps its verbs, unless its step function has another
multiplier without the offset (`step_functions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixedpoint_nn.hardware.compiler.multiplier_forms import MOST_CODES, Chain, each, once, twice
from fixedpoint_nn.hardware.compiler.scaled_sums import scaled_sum
from fixedpoint_nn.hardware.compiler.step_functions import MOST_SHIFT
from fixedpoint_nn.hardware.compiler.value_ranges import Range, value_ranges
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

WEIGHT_BITS = 18  # of a DSP block: multipliers that fit such weights are folded into them


@dataclass(frozen=True, eq=False)
class Rescaling:
    """A rescaling: the sum times `factors`, then a shift, rounded once or twice."""

    source: int  # the sum's node
    frac: int  # fraction bits of the sum
    factors: tuple[int, ...]  # one per channel
    shifts: tuple[int, ...]
    twice: bool
    between: tuple[int, ...]  # nodes that are part of it
    spared: bool  # whether it saves a run
    operands: tuple[tuple[int, int], ...] = ()  # instead of the sum: (operand, weight) of each term
    rounding: Rounding | None = None  # instead of the cast's


class Rescalings:
    """Finds the rescalings of a program, with multipliers of at most `most_bits` bits."""

    def __init__(self, program: Program, users: Mapping[int, Sequence[int]], most_bits: int) -> None:
        self.program, self.users, self.most_bits = program, users, most_bits

    @cached_property
    def ranges(self) -> list[Range]:
        """The ranges of the program's values."""
        return value_ranges(self.program)

    def found(self, everywhere: bool) -> dict[int, Rescaling]:
        """The rescalings, by the node of their last cast; unless `everywhere`, only where weights would be too wide."""
        chosen: dict[int, Rescaling] = {}
        if not self.most_bits:
            return chosen
        taken: set[int] = set()
        for place in reversed(range(len(self.program.nodes))):
            if place in taken or (chain := self._chain(place)) is None:
                continue
            rescaling = self._two_codes(place, chain) or self._rescaling(place, chain)
            if rescaling is not None and (everywhere or rescaling.spared or self._is_wide(rescaling)):
                chosen[place] = rescaling
                taken |= set(rescaling.between)
        return chosen

    # ---- finding -------------------------------------------------------------------------------------------

    def _alone(self, place: int) -> bool:
        return len(self.users[place]) == 1 and place not in self.program.outputs

    def _node(self, place: int, *ops: str) -> TracedNode | None:
        """The node at `place`, if it is one of these verbs and used once."""
        node = self.program.nodes[place]
        return node if node.op in ops and self._alone(place) else None

    def _with_constant(self, node: TracedNode) -> tuple[int, FixedArray] | None:
        """(computed operand, constant) of a sum or product with a per-channel constant; else None."""
        for x, c in (node.inputs, node.inputs[::-1]):
            value = self.program.nodes[c].value
            if value is not None and self.program.nodes[x].value is None:
                each = value.size == 1 or value.size == value.shape[-1] == node.shape[-1]
                return (x, value) if each and self.program.nodes[x].shape == node.shape else None
        return None

    def _chain(self, place: int) -> Chain | None:
        cast = self.program.nodes[place]
        last = cast.attributes.get("quantizer")
        if cast.op != "cast" or not isinstance(last, Quantizer):
            return None
        before = cast.inputs[0]
        if (node := self._node(before, "mul")) is None:
            return self._scaled(before, None, None, last, ())
        pair = self._with_constant(node)
        if pair is not None and _powers(pair[1]) and (inner := self._node(pair[0], "cast")) is not None:
            first = inner.attributes["quantizer"]
            if isinstance(first, Quantizer):
                chain = self._scaled(inner.inputs[0], first, pair[1], last, (pair[0], before))
                if chain is not None:
                    return chain
        return self._scaled(before, None, None, last, ())

    def _scaled(
        self,
        place: int,
        first: Quantizer | None,
        power: FixedArray | None,
        last: Quantizer,
        behind: tuple[int, ...],
    ) -> Chain | None:
        """The chain that ends with x * factor [+ offset] at this node, if any."""
        offset = None
        between = (place, *behind)
        if (node := self._node(place, "add")) is not None:
            pair = self._with_constant(node)
            if pair is None:
                return None
            place, offset = pair
            between = (place, *between)
        if (node := self._node(place, "mul")) is None or (pair := self._with_constant(node)) is None:
            return None
        return Chain(pair[0], pair[1], offset, first, power, last, between)

    def _source(self, place: int) -> tuple[int, bool]:
        """(node of the sum before a lossless cast, whether there is such a cast)."""
        node = self._node(place, "cast")
        if node is None or not isinstance(quantizer := node.attributes["quantizer"], Quantizer):
            return place, False
        inner = node.inputs[0]
        same = self.program.nodes[inner].format.frac_bits == quantizer.format.frac_bits
        return (inner, True) if same and self.ranges[inner].fits(quantizer.format) else (place, False)

    def _is_wide(self, rescaling: Rescaling) -> bool:
        """Whether weights times the multipliers would be wider than a DSP block's factor."""
        node = self.program.nodes[rescaling.source]
        while node.op == "add" and (pair := self._with_constant(node)) is not None:
            node = self.program.nodes[pair[0]]
        weights = self.program.nodes[node.inputs[1]].value if node.op == "dot" else None
        bits = 1 if weights is None else weights.format.bits
        return bits + max(factor.bit_length() for factor in rescaling.factors) > WEIGHT_BITS

    # ---- sums of two codes ---------------------------------------------------------------------------------

    def _two_codes(self, place: int, chain: Chain) -> Rescaling | None:
        """The rescaling of table(x) + table(y) for codes of few bits, if any."""
        node = self._node(chain.source, "add", "sub")
        if node is None or chain.factor.size > 1 or (chain.offset is not None and chain.offset.size > 1):
            return None
        lookups = [self._node(i, "lookup") for i in node.inputs]
        sources = [lookup.inputs[0] for lookup in lookups if lookup is not None]
        if len(sources) < 2 or sources[0] == sources[1]:
            return None
        ends = [self.ranges[i].ends for i in sources]
        nodes = [self.program.nodes[i] for i in sources]
        small = all(high - low < MOST_CODES for low, high in ends)
        if not small or len({n.format.frac_bits for n in nodes}) > 1:
            return None
        codes = [np.arange(low, high + 1) for low, high in ends]
        entries = [
            VERBS["lookup"](FixedArray.from_ints(c, n.format), **lookup.attributes)
            for c, n, lookup in zip(codes, nodes, lookups, strict=True)
            if lookup is not None
        ]
        fine = VERBS[node.op](entries[0].reshape(-1, 1), entries[1].reshape(1, -1))
        results = self._evaluated(place, chain, fine)
        slopes = [
            _slope(e, chain) * sign
            for e, sign in zip(entries, (1, -1 if node.op == "sub" else 1), strict=True)
        ]
        form = scaled_sum(codes[0], codes[1], results.ints, (slopes[0], slopes[1]), self.most_bits)
        if form is None:
            return None
        channels = self.program.nodes[place].shape[-1]
        between = (*node.inputs, chain.source, *chain.between)
        return Rescaling(
            chain.source,
            nodes[0].format.frac_bits,
            (form.factor,) * channels,
            (form.shift,) * channels,
            form.twice,
            between,
            spared=True,
            operands=tuple(zip(sources, form.weights, strict=True)),
            rounding=form.rounding,
        )

    def _evaluated(self, place: int, chain: Chain, value: FixedArray) -> FixedArray:
        """The chain's result for a sum."""
        values = {chain.source: value}
        for at in (*chain.between, place):
            node = self.program.nodes[at]
            operands = (values.get(i, self.program.nodes[i].value) for i in node.inputs)
            values[at] = VERBS[node.op](*operands, **node.attributes)
        return values[place]

    # ---- proving -------------------------------------------------------------------------------------------

    def _rescaling(self, place: int, chain: Chain) -> Rescaling | None:
        """The engine's form of a chain, if any."""
        source, spared = self._source(chain.source)
        frac = self.program.nodes[source].format.frac_bits
        channels = self.program.nodes[place].shape[-1]
        sums = self.ranges[source]
        ends = list(zip(each(sums.low, channels), each(sums.high, channels), strict=True))
        if chain.first is None:
            form = once(chain, frac, ends, self.most_bits)
        else:
            form = twice(chain, frac, ends)
        if form is None:
            return None
        factors, shifts, rounds_twice = form
        legal = all(abs(factor) >> self.most_bits - 1 == 0 for factor in factors)
        legal &= all(0 <= shift <= MOST_SHIFT for shift in shifts)
        between = (chain.source, *chain.between) if spared else chain.between
        return Rescaling(source, frac, factors, shifts, rounds_twice, between, spared) if legal else None


def _slope(entries: FixedArray, chain: Chain) -> float:
    """The slope of the result, in codes of the last format per code of an operand."""
    values = entries.to_float()
    rise = float(values[-1] - values[0]) / max(len(values) - 1, 1)
    power = 1.0 if chain.power is None else float(chain.power.to_float().reshape(-1)[0])
    return rise * float(chain.factor.to_float().reshape(-1)[0]) * power * 2.0**chain.last.format.frac_bits


def _powers(value: FixedArray) -> bool:
    ints = value.ints
    return bool((ints > 0).all() and not (ints & (ints - 1)).any())


def all_between(rescalings: Mapping[int, Rescaling]) -> Iterator[int]:
    """The nodes that are part of a rescaling."""
    for rescaling in rescalings.values():
        yield from rescaling.between
