# SPDX-License-Identifier: MIT
"""Quotients of two values: a table of all pairs of codes, or a product with a table of reciprocals."""

from __future__ import annotations

from dataclasses import replace
from math import frexp
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited, exact, integer_format
from fixedpoint_nn.interchange.affine.rescale import Lookup
from fixedpoint_nn.interchange.onnx.integers.chain import Times, applied, channels
from fixedpoint_nn.interchange.onnx.integers.joining import (
    DIVIDED,
    JoinedOperands,
    few_pairs,
    pair_of,
    rounded_pairs,
)
from fixedpoint_nn.interchange.onnx.integers.meaning import Reals, format_of, integer_range, reals
from fixedpoint_nn.interchange.onnx.integers.rounding import Rounds
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.value_table import ValueTable

MOST_DIVISORS = 1 << 16  # codes of the second value: the addresses of the table
RECIPROCAL_BITS, MOST_BITS = 24, 34  # of the smallest reciprocal, and of the largest one


def quotient_of_two(step: IntegerStep) -> OnnxValue:
    """The first value divided by the second one."""
    values, dims = pair_of(step)
    one, two = (reals(v) for v in values)
    rounds = step.rounding
    if rounds is not None and few_pairs(one, two):
        return rounded_pairs(step, values, dims, JoinedOperands(DIVIDED, one, two), rounds)
    if two.high - two.low >= MOST_DIVISORS or channels(two.chain) > 1:
        raise Refused("it divides by values of more than 16 bits; quantise them before")
    reciprocals, bits = _reciprocals(one, two, rounds)
    least, most = int(reciprocals.min()), int(reciprocals.max())
    ends = [x * r for x in integer_range(one) for r in (least, most)]
    low, high = min(ends), max(ends)
    table = ValueTable.of(
        "reciprocal",
        lambda n: int(reciprocals[min(max(n, two.low), two.high) - two.low]),
        format_of(two),
        integer_format(least, most),
        f"{step.name}.reciprocal",
    )
    inverse = step.builder.add(f"{step.name}_reciprocal", Lookup(table), values[1].node)
    try:
        layer = layers.Multiply(exact(low, high, f"{step.name}.product"))
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None
    made = step.made(layer, [values[0], replace(values[1], node=inverse)], dims, values[0].axes)
    kind: Any = Reals(low, high, (Times((float(np.ldexp(one.scale, -bits)),)),), summed=True, near=True)
    return replace(made, kind=kind)


def _reciprocals(one: Reals, two: Reals, rounds: Rounds | None) -> tuple[Any, int]:
    """(1 / y * 2**bits as integers, bits) for every code of the divisor y.

    The smallest one has 24 bits, as many as the file's floats. Where y is 0 it is so large that the quotient of any
    number but 0 leaves the range of the codes behind it.
    """
    y = applied(two.chain, np.arange(two.low, two.high + 1)[np.newaxis], np.float64)[0]
    if not np.isfinite(y).all() or not y.any():
        raise Refused("it divides by infinity, by nan, or always by zero")
    with np.errstate(divide="ignore"):
        inverse = 1 / y
    sizes = np.abs(inverse[y != 0])
    beyond = 2 * float(sizes.max())
    if rounds is not None and not y.all():
        reached = max(map(abs, rounds.centred)) * max(rounds.scales)
        beyond = max(beyond, 2 * reached / one.scale)
    largest = beyond if not y.all() else float(sizes.max())
    inverse = np.where(y == 0, beyond, inverse)
    bits = min(RECIPROCAL_BITS - frexp(float(sizes.min()))[1], MOST_BITS - frexp(largest)[1])
    return np.floor(np.ldexp(inverse, bits) + 0.5).astype(np.int64), bits
