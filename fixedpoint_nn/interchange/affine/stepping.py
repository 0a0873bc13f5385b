# SPDX-License-Identifier: MIT
"""The choice of a layer for a step function: one multiplication and rounding, a table, or thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import (
    MOST_BITS,
    Unsuited,
    exact,
    fixed_constant,
    integer_format,
)
from fixedpoint_nn.interchange.affine.rescale import Lookup, Rescale
from fixedpoint_nn.interchange.affine.rescaling import landing
from fixedpoint_nn.interchange.affine.steps import Line, StepFunction, line_of
from fixedpoint_nn.interchange.affine.thresholds import Refined, Thresholds
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import UQ
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.table import MAX_ADDRESS_BITS
from fixedpoint_nn.numerics.value_table import ValueTable

CHEAP_LOOKUP_BITS, MOST_LOOKUP_BITS = 12, 17  # of a sum that directly addresses a table
MOST_THRESHOLDS = 256
REACHED = Quantizer(UQ(1, 0), Rounding.FLOOR, Overflow.SATURATE)


def stepped(steps: StepFunction, name: str) -> Any:
    """A layer with the same codes at every sum, proven for every step; raises `Unsuited` if a channel has none."""
    lines: Any = None
    for even in (False, True):
        lines = lines_of(steps, even=even)
        rescale = None if isinstance(lines, int) else along(lines, steps, name, steps.signs)
        if rescale is not None:
            return rescale
    bits = integer_format(*steps.sums).bits if len(steps.first) == 1 else MAX_ADDRESS_BITS
    refined = _refined(steps, name) if bits > CHEAP_LOOKUP_BITS else None
    if refined is None and bits <= MOST_LOOKUP_BITS:
        return Lookup(tabulated(steps, steps.sums, steps.codes, name))
    return refined or _compared(steps, lines, name)


def tabulated(
    function: Callable[[Ints], Ints], sums: tuple[int, int], codes: tuple[int, int], name: str
) -> ValueTable:
    """The table of a function from sums to codes; addresses outside `sums` get the code of the nearest sum."""
    source = integer_format(*sums)
    places = np.clip(np.arange(source.int_min, source.int_max + 1), *sums)
    entries = np.asarray(function(places), np.int64)
    return ValueTable(name, source, Quantizer(integer_format(*codes), name=name), tuple(entries.tolist()))


def lines_of(steps: StepFunction, late: bool = False, even: bool = False) -> list[Line] | int:
    """A line for each channel, or the index of the first channel without one."""
    found = []
    for channel in range(len(steps.first)):
        line = line_of(steps, channel, late, even)
        if line is None:
            return channel
        found.append(line)
    return found


def along(lines: list[Line], steps: StepFunction, name: str, signs: Any) -> Rescale | None:
    """The rescaling with one multiplication, one addition and one rounding; None if it needs too many bits."""
    format, clamp = landing(*steps.codes, name)
    furthest = max(line.shift for line in lines)
    ups = [furthest - line.shift for line in lines]
    fused = [int(sign) * line.multiplier << up for line, up, sign in zip(lines, ups, signs, strict=True)]
    even = lines[0].even
    # rounding down is rounding half up half a step lower
    halves = [
        (line.offset - (0 if even else 1 << (line.shift - 1))) << up
        for line, up in zip(lines, ups, strict=True)
    ]
    most = max(-steps.sums[0], steps.sums[1]).bit_length()
    widest = max(max(abs(m) for m in fused).bit_length() + most, max(abs(h) for h in halves).bit_length())
    if widest + 2 > MOST_BITS:
        return None
    rounding = Rounding.HALF_EVEN if even else Rounding.HALF_UP
    return Rescale(
        fixed_constant(one_or_all(fused), furthest),
        half=fixed_constant(one_or_all(halves), furthest) if any(halves) else None,
        out=Quantizer(format, rounding, Overflow.SATURATE, name),
        clamp=clamp,
    )


def _refined(steps: StepFunction, name: str) -> Refined | None:
    """The step function as a multiplication that a table of thresholds corrects by one; None if that is not exact."""
    lines = lines_of(steps, late=True)
    if isinstance(lines, int):
        return None
    rescale = along(lines, steps, name, np.ones_like(steps.signs))
    low, high = steps.codes
    span, channels = high - low + 1, len(steps.first)
    address = integer_format(0, channels * span - 1)
    if rescale is None or address.bits > MAX_ADDRESS_BITS:
        return None
    following = np.full((channels, span), 0, np.int64)
    following[:, :-1], following[:, -1] = steps.first, steps.highest + 1
    entries = np.zeros(1 << address.bits, np.int64)
    entries[: following.size] = following.reshape(-1)
    table = ValueTable(
        "following",
        address,
        Quantizer(integer_format(int(entries.min()), int(entries.max())), name=f"{name}.following"),
        tuple(entries.tolist()),
    )
    return Refined(
        rescale,
        fixed_constant(one_or_all([channel * span - low for channel in range(channels)])),
        _signs(steps),
        exact(0, channels * span - 1, f"{name}.address"),
        table,
        REACHED,
        exact(low, high, name),
    )


def _compared(steps: StepFunction, channel: Any, name: str) -> Thresholds:
    """The step function as the number of thresholds that the sum reaches."""
    if steps.first.shape[1] > MOST_THRESHOLDS:
        raise Unsuited(f"has no multiplier with the same codes at every sum, in its channel {channel}")
    count = exact(0, steps.first.shape[1], f"{name}.count")
    return Thresholds(
        fixed_constant(steps.first.T),
        steps.codes[0],
        _signs(steps),
        REACHED,
        count,
        exact(*steps.codes, name),
    )


def _signs(steps: StepFunction) -> Any:
    return None if (steps.signs > 0).all() else fixed_constant(steps.signs)


def one_or_all(values: list[int]) -> Any:
    """The values as one number if all are equal, else per channel."""
    if all(value == values[0] for value in values):
        return np.asarray(values[0])
    return np.array(values, np.int64)
