# SPDX-License-Identifier: MIT
"""Rounding of real numbers to codes: the file's step function, and a layer with the same thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import MOST_BITS, Unsuited, fixed_constant
from fixedpoint_nn.interchange.affine.rescale import Lookup, Rescale
from fixedpoint_nn.interchange.affine.rescaling import landing
from fixedpoint_nn.interchange.affine.stepping import along, lines_of, one_or_all, stepped, tabulated
from fixedpoint_nn.interchange.affine.steps import StepFunction
from fixedpoint_nn.interchange.affine.sums import folds
from fixedpoint_nn.interchange.onnx.builder import GraphBuilder
from fixedpoint_nn.interchange.onnx.integers.chain import (
    Chain,
    Over,
    Times,
    Within,
    applied,
    channels,
    line,
    signs,
)
from fixedpoint_nn.interchange.onnx.integers.meaning import Codes, Reals, format_of
from fixedpoint_nn.interchange.onnx.integers.step import IntegerStep
from fixedpoint_nn.interchange.onnx.value import OnnxValue, Refused
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

Rounder = Callable[[Any], Any]
MANY_CODES = 1 << 12  # more than a float32 distinguishes after a sum
MULTIPLIER_BITS, FEWEST_MULTIPLIER_BITS = 31, 20
MOST_TABLE_BITS = 17  # 16-bit codes minus their zero point


@dataclass(frozen=True)
class Rounds:
    """A quantiser: code = round(y / scale) + zero, saturated to low..high; one scale, or one per channel.

    With `early` the zero point is added before rounding: round(y / scale + zero).
    """

    scales: tuple[float, ...]
    zero: int
    low: int
    high: int
    how: Rounder = np.rint
    early: bool = False

    @property
    def centred(self) -> tuple[int, int]:
        """(lowest, highest) code - zero."""
        return self.low - self.zero, self.high - self.zero

    @property
    def rows(self) -> int:
        """The number of channels with different scales; 1 if all are equal."""
        return len(self.scales)

    @property
    def links(self) -> Chain:
        """The operations before rounding."""
        return (Over(self.scales),)

    def of(self, y: Any) -> Any:
        """code - zero for real numbers y / scale (channels, n)."""
        y = self.how(y + y.dtype.type(self.zero)) - self.zero if self.early else self.how(y)
        return np.clip(y, *self.centred)

    def steps(self, reals: Reals, dtype: Any) -> Callable[[Any], Any]:
        """The function from integers (channels, n) to code - zero, with every operation computed in `dtype`."""

        def function(n: Any) -> Any:
            with np.errstate(all="ignore"):
                return self.of(applied((*reals.chain, *self.links), n, dtype))

        return function

    def fused(self, reals: Reals) -> Callable[[Any], Any] | None:
        """That function as integer kernels compute it, with one float32 factor; None if that is impossible."""
        if self.early or not reals.chain or not isinstance(reals.chain[0], Times):
            return None
        if not all(isinstance(link, Within) for link in reals.chain[1:]):
            return None
        ours = np.array(self.scales, np.float32)
        factor = Times(tuple((np.array(reals.chain[0].values, np.float32) / ours).tolist()))

        def function(n: Any) -> Any:
            with np.errstate(all="ignore"):
                y = factor(np.asarray(n).astype(np.float32))
                for link in reals.chain[1:]:
                    assert isinstance(link, Within)
                    low, high = (np.float32(end) / ours[:, np.newaxis] for end in (link.low, link.high))
                    y = np.minimum(np.maximum(y, low), high)
            return self.of(y)

        return function


def rounded(step: IntegerStep, v: OnnxValue, rounds: Rounds) -> OnnxValue:
    """The value's real numbers rounded to codes."""
    kind: Any = v.kind
    reals: Reals = kind
    sums = reals.low, reals.high
    whole = (*reals.chain, *rounds.links)
    count = max(channels(whole), rounds.rows)
    directions = np.broadcast_to(signs(whole), (count,))
    single = rounds.steps(reals, np.float32)
    if not directions.all():
        if count > 1 or format_of(reals).bits > MOST_TABLE_BITS:
            raise Refused(
                "what it rounds neither rises nor falls with its integers, which are too many for a table"
            )
        table = tabulated(lambda n: single(n[np.newaxis])[0], sums, rounds.centred, step.name)
        return landed(step, v, Lookup(table), rounds)
    functions = [single]
    if reals.near or (reals.summed and rounds.high - rounds.low >= MANY_CODES):
        direct = _direct(step, reals, rounds)
        if direct is not None:
            return landed(step, v, *direct)
    if reals.summed:  # the last bits are undefined: use those of integer kernels, or exact ones
        fused = rounds.fused(reals)
        functions = [*([fused] if fused is not None else []), rounds.steps(reals, np.float64)]
    try:
        return landed(step, v, best(functions, directions, sums, rounds.centred, step.name), rounds)
    except Unsuited as reason:
        raise Refused(f"it {reason}") from None


def _direct(step: IntegerStep, reals: Reals, rounds: Rounds) -> tuple[Rescale, Rounds] | None:
    """sum * factor + shift, rounded once, for wide codes whose exact thresholds float sums do not define.

    Factors have 31 bits; the result is exact if they are integers times a power of two.
    """
    found = line((*reals.chain[: _limits_at(reals.chain)], *rounds.links))
    if found is None or rounds.how is not np.rint or rounds.early:
        return None
    ends = np.array([[-np.inf, np.inf]], np.float32)
    for link in (*reals.chain[_limits_at(reals.chain) :], *rounds.links):
        if isinstance(link, Within) or len(rounds.scales) == 1:
            ends = link(ends)
    low, high = (int(end) for end in rounds.of(ends)[0])
    factor, shift = found
    most = max(-reals.low, reals.high).bit_length()
    room = MOST_BITS - 2 - max(most, int(np.abs(shift / np.abs(factor).max()).max()).bit_length() + 1)
    width = min(MULTIPLIER_BITS, room)
    bits = width - int(np.frexp(np.abs(factor).max())[1])
    if width < FEWEST_MULTIPLIER_BITS or bits < 1 or low >= high:
        return None
    factors, shifts = (np.floor(np.ldexp(part, bits) + 0.5).astype(np.int64) for part in (factor, shift))
    format, clamp = landing(low, high, step.name)
    rescale = Rescale(
        fixed_constant(one_or_all(factors.tolist()), bits),
        half=fixed_constant(one_or_all(shifts.tolist()), bits) if shifts.any() else None,
        out=Quantizer(format, Rounding.HALF_EVEN, Overflow.SATURATE, step.name),
        clamp=clamp,
    )
    return rescale, replace(rounds, low=low + rounds.zero, high=high + rounds.zero)


def _limits_at(chain: Chain) -> int:
    """The index at which the clipping at the end of the chain begins."""
    place = len(chain)
    while place and isinstance(chain[place - 1], Within):
        place -= 1
    return place


def best(
    functions: list[Callable[[Any], Any]],
    directions: Any,
    sums: tuple[int, int],
    codes: tuple[int, int],
    name: str,
) -> Any:
    """A layer for the first function that one multiplication computes, else for the last one."""
    for function in functions:
        steps = StepFunction.of(function, directions, sums, codes)
        if function is functions[-1]:
            break
        lines = lines_of(steps)
        rescale = None if isinstance(lines, int) else along(lines, steps, name, steps.signs)
        if rescale is not None:
            return rescale
    return stepped(steps, name)


def landed(step: IntegerStep, v: OnnxValue, layer: Any, rounds: Rounds) -> OnnxValue:
    """The value of the layer's result; its multiplier is folded into weights if possible."""
    if isinstance(layer, Rescale):
        unkept(step.builder, v.node, layer)
    node = step.builder.add(step.name, layer, v.node)
    kind: Any = Codes(*rounds.centred, zero=rounds.zero)
    return replace(v, node=node, kind=kind, flat=None)


def unkept(builder: GraphBuilder, node: str, rescale: Rescale) -> None:
    """Remove the cast of sums that only the rescaling takes, if the multiplied weights still fit."""
    part = builder.parts.get(node)
    layer: Any = part.layer if part is not None else None
    if part is None or not isinstance(layer, layers.Dense | layers.Conv2D) or layer.out is None:
        return
    weight: Any = layer.weight
    rows = weight.ints.reshape(-1, weight.shape[-2], weight.shape[-1]).transpose(0, 2, 1)
    source = builder.formats.get(node)
    if source is not None and folds(rescale, rows.reshape(-1, rows.shape[-1]), source):
        builder.parts[node] = replace(part, layer=replace(layer, out=None))
