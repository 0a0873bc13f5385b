# SPDX-License-Identifier: MIT
"""Sums and products of two values of different scales, rounded once, proven for all pairs of codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import frexp
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, fixed_constant, integer_format
from fixedpoint_nn.interchange.affine.joining import RescaledProduct
from fixedpoint_nn.interchange.affine.rescale import Fitted, Lookup
from fixedpoint_nn.interchange.affine.rescaling import landing
from fixedpoint_nn.interchange.affine.stepping import along
from fixedpoint_nn.interchange.affine.steps import StepFunction, line_of
from fixedpoint_nn.interchange.affine.weighted import WeightedSum
from fixedpoint_nn.interchange.onnx.integers.chain import Times, Within, applied, channels
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, integer_range, reals
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.operators.elementwise import aligned
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

MOST_PAIRS = 1 << 16
DIVIDED = 2  # in the place of a sign
WEIGHT_BITS = (*range(17), 20, 24)  # of the larger scale's weight, tried in this order
FACTOR_BITS = 31
MOST_EXACT_BITS = 28  # of weights for values that are not rounded
MOST_TERMS, SAME = 1 << 14, Fraction(1, 1 << 50)  # of a mean, whose scale is a quotient of doubles


@dataclass(frozen=True)
class JoinedOperands:
    """Two operands that are added (with `sign` of the second) or, with sign 0, multiplied, or `DIVIDED`."""

    sign: int
    one: Reals
    two: Reals

    def real(self, a: Any, b: Any, dtype: Any) -> Any:
        """The real results for integers a and b, with every operation computed in `dtype`."""
        x, y = (applied(kind.chain, ints, dtype) for kind, ints in ((self.one, a), (self.two, b)))
        if self.sign == DIVIDED:
            return x / y
        return x * y if not self.sign else x + y if self.sign > 0 else x - y


def pair_of(step: IntegerStep) -> tuple[list[OnnxValue], tuple[int, ...]]:
    """(both values in the same order of axes, shape of the result)."""
    values = [step.value(i, kind="") for i in range(2)]
    try:
        dims = np.broadcast_shapes(*(v.dims for v in values))
    except ValueError:
        raise Refused("its operands do not broadcast to one shape") from None
    return aligned(step, values, len(dims)), dims


def sum_of_two(step: IntegerStep, sign: int) -> OnnxValue:
    """The sum of two values, or their difference."""
    values, dims = pair_of(step)
    one, two = (reals(v) for v in values)
    rounds = step.rounding
    if rounds is not None and few_pairs(one, two):
        return rounded_pairs(step, values, dims, JoinedOperands(sign, one, two), rounds)
    scales = one.scale, two.scale
    if rounds is not None and rounds.how is np.rint and not rounds.early:
        return _together(step, values, dims, JoinedOperands(sign, one, two), rounds)
    weights, unit = exact_weights(*scales)
    layer = WeightedSum(fixed_constant(weights[0]), fixed_constant(sign * weights[1]))
    ends = [
        (x * weights[0], y) for x, y in zip(integer_range(one), _signed(two, sign * weights[1]), strict=True)
    ]
    low, high = (x + y for x, y in ends)
    try:
        layer = replace(layer, sum=exact(low, high, f"{step.name}.sum"))
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    made = step.made(layer, values, dims, values[0].axes)
    kind: Any = Reals(low, high, (Times((unit,)),), summed=True)
    return replace(made, kind=kind)


def _together(
    step: IntegerStep, values: list[OnnxValue], dims: tuple[int, ...], pair: JoinedOperands, rounds: Rounds
) -> OnnxValue:
    """The weighted sum of both, rounded once; the factors have 31 bits, more than the file's floats."""
    ends = np.array([[-np.inf, np.inf]], np.float32)
    for link in (*step.between, *rounds.links):
        ends = link(ends)
    low, high = (int(end) for end in rounds.of(ends)[0])
    factors = [pair.one.scale / rounds.scales[0], pair.two.scale / rounds.scales[0]]
    bits = FACTOR_BITS - frexp(max(factors))[1]
    first, second = (int(np.floor(np.ldexp(factor, bits) + 0.5)) for factor in factors)
    if low >= high or bits < 0:
        raise Refused("its result is constant, or has a scale far below those of its operands")
    format, clamp = landing(low, high, step.name)
    fitted = Fitted(0, Quantizer(format, Rounding.HALF_EVEN, Overflow.SATURATE, step.name), clamp)
    layer = WeightedSum(fixed_constant(first, bits), fixed_constant(pair.sign * second, bits), None, fitted)
    made = step.made(layer, values, dims, values[0].axes)
    kind: Any = Codes(low, high, rounds.zero)
    return replace(made, kind=kind)


def _signed(kind: Reals, weight: int) -> tuple[int, int]:
    low, high = sorted((kind.low * weight, kind.high * weight))
    return low, high


def exact_weights(one: float, two: float) -> tuple[tuple[int, int], float]:
    """(integers in the ratio of two floats, their unit); rounded if exact ones are too long."""
    share = Fraction(one) / Fraction(two)
    near = share.limit_denominator(MOST_TERMS) if share < 1 else 1 / (1 / share).limit_denominator(MOST_TERMS)
    if abs(near / share - 1) < SAME:  # such as a value and a mean of n of them
        return (near.numerator, near.denominator), one / near.numerator
    (a, up), (b, right) = ((int(m * (1 << 24)), e) for m, e in (frexp(one), frexp(two)))
    least = min(up, right)
    a, b = a << (up - least), b << (right - least)
    unit = float(np.ldexp(1.0, least - 24))
    while not (a | b) & 1:
        a, b, unit = a >> 1, b >> 1, unit * 2
    longest = max(a, b).bit_length()
    if longest > MOST_EXACT_BITS:
        cut = longest - MOST_EXACT_BITS
        a, b, unit = (a + (1 << (cut - 1))) >> cut, (b + (1 << (cut - 1))) >> cut, unit * 2.0**cut
    return (a, b), unit


def product_of_two(step: IntegerStep) -> OnnxValue:
    """The product of two values."""
    values, dims = pair_of(step)
    one, two = (reals(v) for v in values)
    rounds = step.rounding
    if rounds is not None and few_pairs(one, two):
        return rounded_pairs(step, values, dims, JoinedOperands(0, one, two), rounds)
    ends = [x * y for x in integer_range(one) for y in integer_range(two)]
    low, high = min(ends), max(ends)
    try:
        layer = layers.Multiply(exact(low, high, f"{step.name}.product"))
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    scale = float(np.float32(one.scale) * np.float32(two.scale))
    made = step.made(layer, values, dims, values[0].axes)
    kind: Any = Reals(low, high, (Times((scale,)),), summed=True)
    return replace(made, kind=kind)


def few_pairs(one: Reals, two: Reals) -> bool:
    """Whether all pairs of integers fit a table, which is the same for all channels."""
    pairs = (one.high - one.low + 1) * (two.high - two.low + 1)
    return pairs <= MOST_PAIRS and channels(one.chain) == channels(two.chain) == 1


def rounded_pairs(
    step: IntegerStep, values: list[OnnxValue], dims: tuple[int, ...], pair: JoinedOperands, rounds: Rounds
) -> OnnxValue:
    """The codes of the following quantiser, whose own node is then skipped."""
    a, b = np.meshgrid(
        np.arange(pair.one.low, pair.one.high + 1), np.arange(pair.two.low, pair.two.high + 1), indexing="ij"
    )
    a, b = a.reshape(1, -1), b.reshape(1, -1)
    with np.errstate(all="ignore"):
        y = pair.real(a, b, np.float32)
        for link in (*step.between, *rounds.links):
            y = link(y)
        codes = np.asarray(rounds.of(y)).astype(np.int64).reshape(-1)
    return joined_codes(step, values, dims, pair, (a.reshape(-1), b.reshape(-1), codes), rounds)


def joined_codes(
    step: IntegerStep,
    values: list[OnnxValue],
    dims: tuple[int, ...],
    pair: JoinedOperands,
    found: tuple[Ints, Ints, Ints],
    rounds: Rounds,
) -> OnnxValue:
    """The value of a layer that maps every pair (found[0], found[1]) to found[2]: one multiplication, or a table."""
    a, b, codes = found
    if len(codes) > MOST_PAIRS:
        raise Refused(f"its operands have {len(codes):,} pairs of codes, and {MOST_PAIRS:,} is the most")
    layer = None
    linear = pair.sign != DIVIDED and pair.one.linear and pair.two.linear
    if linear and all(isinstance(link, Within) for link in step.between):
        layer = _line(step.name, pair, a, b, codes, rounds)
    if layer is None:
        layer = _table(step.name, pair, codes, rounds)
    made = step.made(layer, values, dims, values[0].axes)
    kind: Any = Codes(*rounds.centred, zero=rounds.zero)
    return replace(made, kind=kind)


def _line(name: str, pair: JoinedOperands, a: Ints, b: Ints, codes: Ints, rounds: Rounds) -> Any:
    """One multiplication of a weighted sum, or of the product, that is right for every pair; None without one."""
    scales = pair.one.scale, pair.two.scale
    for bits in WEIGHT_BITS if pair.sign else (0,):
        unit = max(scales) / (1 << bits)
        weights = [int(np.floor(scale / unit + 0.5)) for scale in scales]
        if not all(weights):
            continue
        n = a * b if not pair.sign else a * weights[0] + pair.sign * b * weights[1]
        steps = _steps(n, codes, rounds)
        line = None if steps is None else line_of(steps, 0) or line_of(steps, 0, even=True)
        if steps is None or line is None:
            continue
        rescale = along([line], steps, name, steps.signs)
        if rescale is None:
            continue
        total = exact(*steps.sums, f"{name}.sum")
        if not pair.sign:
            return RescaledProduct(rescale, total)
        return WeightedSum(fixed_constant(weights[0]), fixed_constant(pair.sign * weights[1]), total, rescale)
    return None


def _steps(n: Ints, codes: Ints, rounds: Rounds) -> StepFunction | None:
    """The thresholds of codes among the occurring sums; None if the code does not increase with the sum."""
    order = np.lexsort((codes, n))
    n, codes = n[order], codes[order]
    if (np.diff(codes) < 0).any() or (codes[1:] != codes[:-1])[n[1:] == n[:-1]].any():
        return None
    sums = int(n[0]), int(n[-1])
    wanted = np.arange(rounds.centred[0] + 1, rounds.centred[1] + 1)
    at = np.searchsorted(codes, wanted)
    until = np.append(n, sums[1] + 1)[at]
    first = np.append(sums[0] - 1, n)[at] + 1
    return StepFunction(first[np.newaxis], np.ones(1, np.int64), sums, rounds.centred, until[np.newaxis])


def _table(name: str, pair: JoinedOperands, codes: Ints, rounds: Rounds) -> WeightedSum:
    """A table of the code of every pair, whose address is made of both."""
    span = pair.two.high - pair.two.low + 1
    address = integer_format(0, len(codes) - 1)
    entries = np.zeros(1 << address.bits, np.int64)
    entries[: len(codes)] = codes
    low, high = rounds.centred
    table = ValueTable("pairs", address, exact(low, high, name), tuple(np.clip(entries, low, high).tolist()))
    return WeightedSum(
        fixed_constant(span),
        None,
        exact(0, len(codes) - 1, f"{name}.address"),
        Lookup(table),
        fixed_constant(-pair.one.low * span - pair.two.low),
    )
