# SPDX-License-Identifier: MIT
"""The choice of a layer's rescaling: TFLite's two roundings, or one where it is proven to give the same codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.affine.constants import (
    MOST_BITS,
    Unsuited,
    exact,
    fixed_constant,
    integer_format,
)
from fixedpoint_nn.interchange.affine.multiplier import Proven, high_product, quantized_multipliers
from fixedpoint_nn.interchange.affine.narrow import Narrow, narrowed
from fixedpoint_nn.interchange.affine.rescale import Clamp, Fitted, Rescale
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding
from fixedpoint_nn.numerics.value_table import ValueTable

MOST_TABLE_BITS = 12


def landing(low: int, high: int, name: str = "") -> tuple[QFormat, Clamp | None]:
    """(format, clamp) that together saturate to low..high; the clamp is None if low..high is a format's range."""
    format = integer_format(low, high)
    if (format.int_min, format.int_max) == (low, high):
        return format, None
    if format.bits > MOST_TABLE_BITS:
        ends = None if format.int_min == low else low, None if format.int_max == high else high
        return format, Clamp(None, *ends, exact(low, high, name))
    table = ValueTable.of("clamp", lambda code: min(max(code, low), high), format, integer_format(low, high))
    return format, Clamp(table)


def rescaled_twice(
    reals: Any, sums: tuple[int, int], codes: tuple[int, int], name: str, most_bits: int = 0
) -> Rescale:
    """The rescaling of 32-bit sums by 31-bit multipliers of the real factors, rounded twice."""
    return multiplied_twice(*quantized_multipliers(reals), sums, codes, name, most_bits)


def multiplied_twice(
    ms: Sequence[int],
    shifts: Sequence[int],
    sums: tuple[int, int],
    codes: tuple[int, int],
    name: str,
    most_bits: int = 0,
) -> Rescale:
    """The rescaling of 32-bit sums by m / 2**31 * 2**shift: rounded half up at bit 31, then half away from zero.

    If no code is negative, one rounding is equal to the two: with r the second shift, code k > 0 is reached where x *
    m + 2**30 >= (k * 2**r - 2**(r-1)) * 2**31, which is where (x * m / 2**31 + 1/2) / 2**r rounds half up to k. Then a
    multiplier of at most `most_bits` bits is used if it is proven to give the same codes.
    """
    left, right = [max(shift, 0) for shift in shifts], [max(-shift, 0) for shift in shifts]
    most = max(-sums[0], sums[1])
    if most << max(left) >= 1 << 31:
        raise Unsuited(
            f"multiplies sums of up to {most} by more than 2**{max(left) - 1}, and 32 bits overflow"
        )
    format, clamp = landing(*codes, name)
    scaled = [m << up for m, up in zip(ms, left)]
    furthest = max(right)
    if codes[0] >= 0:
        narrow = narrowed(scaled, right, sums, codes[1], most_bits) if most_bits else None
        if narrow is not None:
            once = _offset_once(narrow, most, format, clamp, name)
            if once is not None:
                return once
        fused = [m << (furthest - shift) for m, shift in zip(scaled, right)]
        half = [1 << (30 + furthest - shift) if shift else 0 for shift in right]
        if most.bit_length() + max(fused).bit_length() < MOST_BITS:
            return Rescale(
                fixed_constant(_one_or_all(fused), 31 + furthest),
                half=fixed_constant(_one_or_all(half), 31 + furthest) if any(half) else None,
                out=Quantizer(format, Rounding.HALF_UP, Overflow.SATURATE, name),
                clamp=clamp,
            )
    if not furthest:
        return _once(scaled, [31] * len(scaled), Rounding.HALF_UP, codes, name)
    # Values beyond all codes are clipped here already, and stay beyond them.
    past = (max(-codes[0], codes[1]) + 1) << furthest
    low, high = (sorted(high_product(end, m) for m in scaled) for end in sums)
    first = Quantizer(
        integer_format(max(low[0], -past), min(high[-1], past)),
        Rounding.HALF_UP,
        Overflow.SATURATE,
        f"{name}.high",
    )
    power = [1 << (furthest - shift) for shift in right]
    return Rescale(
        fixed_constant(_one_or_all(scaled), 31),
        first=first,
        power=fixed_constant(_one_or_all(power), furthest),
        out=Quantizer(format, Rounding.HALF_AWAY, Overflow.SATURATE, name),
        clamp=clamp,
    )


def _offset_once(
    narrow: Narrow, most: int, format: QFormat, clamp: Clamp | None, name: str
) -> Rescale | None:
    """floor((x * m + h) / 2**s) as a rescaling that rounds half up; None if it needs too many bits."""
    furthest = max(narrow.shifts)
    ups = [furthest - shift for shift in narrow.shifts]
    below = [offset - (1 << (shift - 1)) for offset, shift in zip(narrow.offsets, narrow.shifts)]
    fused = [m << up for m, up in zip(narrow.multipliers, ups)]
    halves = [offset << up for offset, up in zip(below, ups)]
    if max(most.bit_length() + max(fused).bit_length(), *(half.bit_length() for half in halves)) >= MOST_BITS:
        return None
    return Rescale(
        fixed_constant(_one_or_all(fused), furthest),
        half=fixed_constant(_one_or_all(halves), furthest),
        out=Quantizer(format, Rounding.HALF_UP, Overflow.SATURATE, name),
        clamp=clamp,
    )


def rescaled_once(proven: Proven, sums: tuple[int, int], codes: tuple[int, int], name: str) -> Rescale:
    """The rescaling with one rounding, half away from zero."""
    ms, shifts, low = proven.multipliers, proven.shifts, proven.low
    if not low:
        return _once(ms, shifts, Rounding.HALF_AWAY, codes, name)

    (shift,) = set(shifts)
    format, clamp = landing(*codes, name)
    most = max(-sums[0], sums[1]) + 1
    high, rest = [m >> low for m in ms], [m & ((1 << low) - 1) for m in ms]
    unit = shift - low
    return Rescale(
        fixed_constant(_one_or_all(high), unit),
        low=fixed_constant(_one_or_all(rest), shift),
        carry=Quantizer(
            QFormat.enclosing(-most, most, unit), Rounding.FLOOR, Overflow.SATURATE, f"{name}.carry"
        ),
        out=Quantizer(format, Rounding.HALF_AWAY, Overflow.SATURATE, name),
        clamp=clamp,
    )


def rescaled_short(reals: Any, sums: tuple[int, int], codes: tuple[int, int], name: str) -> Rescale:
    """The rescaling of 64-bit sums by 15-bit multipliers, rounded half up once."""
    ms, shifts = quantized_multipliers(reals)
    short = [(m + (1 << 15)) >> 16 if m < 0x7FFF0000 else 0x7FFF for m in ms]
    most = max(-sums[0], sums[1])
    worst = max(
        most * m >> (15 - shift) if shift < 15 else most * m << (shift - 15)
        for m, shift in zip(short, shifts)
    )
    if max(shifts) >= 8 or most >> 47 or worst >> 31:
        raise Unsuited(
            f"multiplies sums of up to {most} by {max(np.atleast_1d(reals)):.4g}, and 32 bits overflow"
        )
    return _once(short, [15 - shift for shift in shifts], Rounding.HALF_UP, codes, name)


def fitted(shift: int, codes: tuple[int, int], name: str) -> Fitted:
    """The rescaling by a right shift, ties away from zero, clamped to `codes`."""
    format, clamp = landing(*codes, name)
    return Fitted(shift, Quantizer(format, Rounding.HALF_AWAY, Overflow.SATURATE, name), clamp)


def _once(ms: Any, shifts: Any, rounding: Rounding, codes: tuple[int, int], name: str) -> Rescale:
    format, clamp = landing(*codes, name)
    furthest = max(shifts)
    fused = [m << (furthest - shift) for m, shift in zip(ms, shifts)]
    return Rescale(
        fixed_constant(_one_or_all(fused), furthest),
        out=Quantizer(format, rounding, Overflow.SATURATE, name),
        clamp=clamp,
    )


def _one_or_all(values: list[int]) -> Any:
    """The values as one number if all are equal, else per channel."""
    if all(value == values[0] for value in values):
        return np.asarray(values[0])
    return np.array(values, np.int64 if max(values) >> 62 == 0 else object)
