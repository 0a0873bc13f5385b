# SPDX-License-Identifier: MIT
"""Sums that are brought to another scale by an integer multiplier for each channel: one run with a multiplier.

What is looked for in a traced program, each value used by the next one only:

    [cast that loses nothing] -> * factor [-> + offset] -> cast
    [cast that loses nothing] -> * factor -> cast (HALF_UP) -> * power of two -> cast
    table(x) + table(y)       -> either of them: `scaled_sums.py`

The engine's requantiser has {multiplier, shift} for each channel and rounds once, or twice with the first rounding
after 31 bits. A chain that is not of this form, or is so with too wide a multiplier, keeps its verbs, with one
exception: an offset may say a step function that another multiplier has without one (`step_functions.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fixedpoint_nn.hardware.compiler.scaled_sums import scaled_sum
from fixedpoint_nn.hardware.compiler.step_functions import HIGH_PRODUCT, MOST_SHIFT, found, steps_of
from fixedpoint_nn.hardware.compiler.value_ranges import Range, value_ranges
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import VERBS, Node, Program
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding, shift_right

WEIGHT_BITS = 18  # of a DSP block: multipliers that fit into such weights are folded into them
MOST_CODES = 1 << 10  # of a step function that is compared step by step


@dataclass(frozen=True, eq=False)
class Rescaling:
    """What a run does between its sum and its overflow: times `factors`, then a shift, rounded once or twice."""

    source: int  # the sum's place
    frac: int  # fraction bits in which the sum counts
    factors: tuple[int, ...]  # one for each channel
    shifts: tuple[int, ...]
    twice: bool
    between: tuple[int, ...]  # places that are not computed on their own
    spared: bool  # a run whose result would be stored
    operands: tuple[tuple[int, int], ...] = ()  # instead of the sum: what is added, and its weight
    rounding: Rounding | None = None  # instead of the cast's


@dataclass(frozen=True)
class _Chain:
    """The verbs from a sum to its cast."""

    source: int
    factor: FixedArray
    offset: FixedArray | None
    first: Quantizer | None
    power: FixedArray | None
    last: Quantizer
    between: tuple[int, ...]


class Rescalings:
    """All of them in a program, for multipliers of at most `most_bits` bits."""

    def __init__(self, program: Program, users: Mapping[int, Sequence[int]], most_bits: int) -> None:
        self.program, self.users, self.most_bits = program, users, most_bits

    @cached_property
    def ranges(self) -> list[Range]:
        """What the program's values can be."""
        return value_ranges(self.program)

    def found(self, everywhere: bool) -> dict[int, Rescaling]:
        """By the place of the cast that ends each; unless `everywhere`, only where weights would be too wide."""
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

    def _node(self, place: int, *ops: str) -> Node | None:
        """The node, if it is one of these verbs and used once."""
        node = self.program.nodes[place]
        return node if node.op in ops and self._alone(place) else None

    def _with_constant(self, node: Node) -> tuple[int, FixedArray] | None:
        """(the operand that is computed, the constant one) of a sum or product, if there is one for each channel."""
        for x, c in (node.inputs, node.inputs[::-1]):
            value = self.program.nodes[c].value
            if value is not None and self.program.nodes[x].value is None:
                each = value.size == 1 or value.size == value.shape[-1] == node.shape[-1]
                return (x, value) if each and self.program.nodes[x].shape == node.shape else None
        return None

    def _chain(self, place: int) -> _Chain | None:
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
    ) -> _Chain | None:
        """The chain that ends in x * factor [+ offset] at this place."""
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
        return _Chain(pair[0], pair[1], offset, first, power, last, between)

    def _source(self, place: int) -> tuple[int, bool]:
        """The sum itself, where all that comes between is a cast that loses nothing; whether there is one."""
        node = self._node(place, "cast")
        if node is None or not isinstance(quantizer := node.attributes["quantizer"], Quantizer):
            return place, False
        inner = node.inputs[0]
        same = self.program.nodes[inner].format.frac_bits == quantizer.format.frac_bits
        return (inner, True) if same and self.ranges[inner].fits(quantizer.format) else (place, False)

    def _is_wide(self, rescaling: Rescaling) -> bool:
        """Would weights times the multipliers be wider than what a DSP block multiplies?"""
        node = self.program.nodes[rescaling.source]
        while node.op == "add" and (pair := self._with_constant(node)) is not None:
            node = self.program.nodes[pair[0]]
        weights = self.program.nodes[node.inputs[1]].value if node.op == "dot" else None
        bits = 1 if weights is None else weights.format.bits
        return bits + max(factor.bit_length() for factor in rescaling.factors) > WEIGHT_BITS

    # ---- sums of two codes ---------------------------------------------------------------------------------

    def _two_codes(self, place: int, chain: _Chain) -> Rescaling | None:
        """One run for table(x) + table(y), rescaled: for codes of few bits, if it has such a form."""
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
        if (
            not small
            or len({n.format.frac_bits for n in nodes}) > 1
            or {n.shape for n in nodes} != {node.shape}
        ):
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

    def _evaluated(self, place: int, chain: _Chain, value: FixedArray) -> FixedArray:
        """What the chain makes of a sum."""
        values = {chain.source: value}
        for at in (*chain.between, place):
            node = self.program.nodes[at]
            operands = (values.get(i, self.program.nodes[i].value) for i in node.inputs)
            values[at] = VERBS[node.op](*operands, **node.attributes)
        return values[place]

    # ---- proving -------------------------------------------------------------------------------------------

    def _rescaling(self, place: int, chain: _Chain) -> Rescaling | None:
        """The engine's form of a chain, if it has one."""
        source, spared = self._source(chain.source)
        frac = self.program.nodes[source].format.frac_bits
        channels = self.program.nodes[place].shape[-1]
        sums = self.ranges[source]
        ends = list(zip(_each(sums.low, channels), _each(sums.high, channels), strict=True))
        if chain.first is None:
            form = self._once(chain, frac, channels, ends)
        else:
            form = self._twice(chain, frac, channels, ends)
        if form is None:
            return None
        factors, shifts, twice = form
        legal = all(abs(factor) >> self.most_bits - 1 == 0 for factor in factors)
        legal &= all(0 <= shift <= MOST_SHIFT for shift in shifts)
        between = (chain.source, *chain.between) if spared else chain.between
        return Rescaling(source, frac, factors, shifts, twice, between, spared) if legal else None

    def _once(
        self, chain: _Chain, frac: int, channels: int, ends: Sequence[tuple[int, int]]
    ) -> tuple[tuple[int, ...], tuple[int, ...], bool] | None:
        ms = _each(chain.factor.ints, channels)
        shift = frac + chain.factor.format.frac_bits - chain.last.format.frac_bits
        if chain.offset is None:
            return (*_shortest(ms, [shift] * channels), False)
        up = frac + chain.factor.format.frac_bits - chain.offset.format.frac_bits
        if up < 0 or shift < 1 or chain.last.rounding is not Rounding.HALF_UP:
            return None
        offsets = [offset << up for offset in _each(chain.offset.ints, channels)]
        f = chain.last.format
        if chain.last.overflow is not Overflow.SATURATE or f.int_max - f.int_min > MOST_CODES or min(ms) < 1:
            return None
        for twice in (True, False):
            known: dict[tuple[int, ...], tuple[int, int] | None] = {}
            for m, offset, (low, high) in zip(ms, offsets, ends, strict=True):
                channel = (m, offset, low, high)
                if channel not in known:
                    steps = steps_of(m, offset, shift, (low, high), (f.int_min, f.int_max))
                    slope = m / (1 << shift)
                    known[channel] = found(steps, slope, self.most_bits, chain.last.rounding, twice)
                if known[channel] is None:
                    break
            else:
                pairs = [known[(m, o, *e)] for m, o, e in zip(ms, offsets, ends, strict=True)]
                factors, shifts = zip(*(pair for pair in pairs if pair is not None), strict=True)
                return factors, shifts, twice
        return None

    def _twice(
        self, chain: _Chain, frac: int, channels: int, ends: Sequence[tuple[int, int]]
    ) -> tuple[tuple[int, ...], tuple[int, ...], bool] | None:
        first, last, power = chain.first, chain.last, chain.power
        assert first is not None and power is not None
        if chain.offset is not None or first.rounding is not Rounding.HALF_UP:
            return None
        one = frac + chain.factor.format.frac_bits - first.format.frac_bits  # what the first rounding drops
        two = first.format.frac_bits + power.format.frac_bits - last.format.frac_bits
        seconds = [two - p.bit_length() + 1 for p in _each(power.ints, channels)]
        if one < 0 or min(seconds) < 0:
            return None
        factors, shifts = [], []
        for m, second, (low, high) in zip(_each(chain.factor.ints, channels), seconds, ends, strict=True):
            if not _passes(first, last, second, one, sorted((low * m, high * m))):
                return None
            if not second:  # one rounding
                (m,), (total,) = _shortest([m], [one])
                if total > HIGH_PRODUCT:
                    return None
            else:
                down = one - HIGH_PRODUCT
                if down >= 0 and m & (1 << down) - 1:
                    return None
                m, total = m >> down if down >= 0 else m << -down, HIGH_PRODUCT + second
            factors.append(m)
            shifts.append(total)
        return tuple(factors), tuple(shifts), True


def _slope(entries: FixedArray, chain: _Chain) -> float:
    """How much the result rises, in codes of the last format, from one code of an operand to the next."""
    values = entries.to_float()
    rise = float(values[-1] - values[0]) / max(len(values) - 1, 1)
    power = 1.0 if chain.power is None else float(chain.power.to_float().reshape(-1)[0])
    return rise * float(chain.factor.to_float().reshape(-1)[0]) * power * 2.0**chain.last.format.frac_bits


def _passes(first: Quantizer, last: Quantizer, second: int, one: int, products: Sequence[int]) -> bool:
    """Does the first cast's range leave no trace: is what it cuts off cut off by the last one anyway?"""
    f, ends = first.format, [int(shift_right(np.array(p, object), one, first.rounding)) for p in products]
    if f.int_min <= ends[0] and ends[1] <= f.int_max:
        return True
    if first.overflow is not Overflow.SATURATE or last.overflow is not Overflow.SATURATE:
        return False
    low, high = (
        int(shift_right(np.array(end, object), second, last.rounding)) for end in (f.int_min, f.int_max)
    )
    return low <= last.format.int_min and last.format.int_max <= high


def _shortest(ms: Sequence[int], shifts: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The same factors without the zeros at their ends."""
    pairs = list(map(_short, ms, shifts))
    return tuple(m for m, _ in pairs), tuple(shift for _, shift in pairs)


def _short(m: int, shift: int) -> tuple[int, int]:
    if shift < 0:
        return m << -shift, 0
    zeros = min((m & -m).bit_length() - 1, shift) if m else shift
    return m >> zeros, shift - zeros


def _each(ints: np.ndarray, channels: int) -> list[int]:  # type: ignore[type-arg]
    """One for each channel."""
    values: list[int] = np.broadcast_to(np.asarray(ints).reshape(-1), (channels,)).tolist()
    return values


def _powers(value: FixedArray) -> bool:
    ints = value.ints
    return bool((ints > 0).all() and not (ints & (ints - 1)).any())


def all_between(rescalings: Mapping[int, Rescaling]) -> Iterator[int]:
    """The places that nothing computes on their own."""
    for rescaling in rescalings.values():
        yield from rescaling.between
