# SPDX-License-Identifier: MIT
"""Creation of `FixedArray`s from floats, integers and fxpmath's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.bounded_ints import INT64, BoundedInts
from fixedpoint_nn.numerics.conversion import ConversionStats, checked_array, place_of
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer


def from_float(x: ArrayLike, quantizer: Quantizer | ChannelQuantizer) -> BoundedInts:
    """The integers of floats, rounded by the quantizer and counted by open `OverflowStats`."""
    array = checked_array(x)
    if isinstance(quantizer, ChannelQuantizer):
        return BoundedInts.of(quantizer.from_floats(array))
    if not isinstance(quantizer, Quantizer):
        raise TypeError(
            f"from_float rounds by a Quantizer, not by {quantizer!r}; use Quantizer({quantizer!r})"
        )
    stats = overflow_stats.active()
    if stats is None:
        return quantizer.to_bounded(array)
    if array.dtype == INT64:
        stats.record_cast(BoundedInts.of(array), quantizer.format.frac_bits, quantizer)
        return quantizer.to_bounded(array)
    conversion = ConversionStats(stats.count_rounded)
    ints = quantizer.to_bounded(array, conversion)
    stats.record_floats(conversion, array.shape, quantizer)
    return ints


def from_ints(ints: ArrayLike, format: QFormat) -> BoundedInts:
    """A copy of the integers; raises ValueError if the format does not hold one."""
    if not isinstance(format, QFormat):
        raise TypeError(f"from_ints takes a QFormat, not {format!r}")
    array = checked_array(ints)
    if array.dtype != INT64:
        raise TypeError(f"from_ints takes integers, not {array.dtype}; use from_float to round real numbers")
    if int(array.min()) < format.int_min or int(array.max()) > format.int_max:
        outside = (array < format.int_min) | (array > format.int_max)
        raise ValueError(
            f"{int(array[outside][0])}{place_of(outside)} is outside of {format}, "
            f"which holds {format.int_min} to {format.int_max}"
        )
    return BoundedInts.of(array)


def from_fxp(x: Any) -> tuple[BoundedInts, QFormat]:
    """(integers, format) of an `fxpmath.Fxp`."""
    if getattr(x, "vdtype", float) is complex:
        raise TypeError("a complex Fxp has no FixedArray; convert its real and imaginary parts")
    format = QFormat(int(x.n_word) - int(x.n_frac), int(x.n_frac), bool(x.signed))
    return from_ints(np.asarray(x.val).astype(np.int64), format), format
