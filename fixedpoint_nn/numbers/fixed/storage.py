# SPDX-License-Identifier: MIT
"""What a `FixedArray` holds, and how it is made, read and shown."""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.bounded_ints import INT64, BoundedInts
from fixedpoint_nn.numerics.conversion import ConversionStats, checked_array, place_of
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import ChannelQuantizer, Quantizer

F = TypeVar("F", bound="FixedValues")


class FixedValues:
    """Integers in their cheapest container, and their format."""

    __slots__ = ("_format", "_held")
    _held: BoundedInts
    _format: QFormat

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError(
            "a FixedArray is made by FixedArray.from_float(x, quantizer) or from_ints(ints, format)"
        )

    @classmethod
    def _of(cls: type[F], held: BoundedInts, format: QFormat) -> F:
        result = object.__new__(cls)
        result._held = held
        result._format = format
        return result

    def _like(self: F, array: Array) -> F:
        """Some of this one's integers, elsewhere."""
        return self._of(BoundedInts(np.asarray(array), self._held.bound, self._held.signed), self._format)

    # ---- from and to ---------------------------------------------------------------------------------------

    @classmethod
    def from_float(cls: type[F], x: ArrayLike, quantizer: Quantizer | ChannelQuantizer) -> F:
        """Each float rounded by the quantizer; a NaN or an infinity raises."""
        array = checked_array(x)
        if isinstance(quantizer, ChannelQuantizer):
            return cls._of(BoundedInts.of(quantizer.from_floats(array)), quantizer.format)
        if not isinstance(quantizer, Quantizer):
            raise TypeError(
                f"from_float rounds by a Quantizer, not by {quantizer!r}; use Quantizer({quantizer!r})"
            )
        seeing = overflow_stats.active()
        if seeing is None:
            return cls._of(quantizer.hold(array), quantizer.format)
        if array.dtype == INT64:
            seeing.see_cast(BoundedInts.of(array), quantizer.format.frac_bits, quantizer)
            return cls._of(quantizer.hold(array), quantizer.format)
        seen = ConversionStats(seeing.count_rounded)
        held = quantizer.hold(array, seen)
        seeing.see_floats(seen, array.shape, quantizer)
        return cls._of(held, quantizer.format)

    @classmethod
    def from_ints(cls: type[F], ints: ArrayLike, format: QFormat) -> F:
        """These integers, each worth `format.step`; one outside of the format raises."""
        if not isinstance(format, QFormat):
            raise TypeError(f"from_ints takes a QFormat, not {format!r}")
        array = checked_array(ints)
        if array.dtype != INT64:
            raise TypeError(
                f"from_ints takes integers, not {array.dtype}; use from_float to round real numbers"
            )
        held = BoundedInts.of(array)
        if int(array.min()) < format.int_min or int(array.max()) > format.int_max:
            outside = (array < format.int_min) | (array > format.int_max)
            raise ValueError(
                f"{int(array[outside][0])}{place_of(outside)} is outside of {format}, "
                f"which holds {format.int_min} to {format.int_max}"
            )
        return cls._of(held, format)

    @classmethod
    def from_fxp(cls: type[F], x: Any) -> F:
        """The same integers and format as an `fxpmath.Fxp`."""
        if getattr(x, "vdtype", float) is complex:
            raise TypeError("a complex Fxp has no FixedArray; convert its real and imaginary parts")
        format = QFormat(int(x.n_word) - int(x.n_frac), int(x.n_frac), bool(x.signed))
        return cls.from_ints(np.asarray(x.val).astype(np.int64), format)

    def to_fxp(self) -> Any:
        """The same integers and format as an `fxpmath.Fxp`, which is a package of its own."""
        from fxpmath import objects

        f = self._format
        fxp: Any = objects.Fxp
        return fxp(self.ints, signed=f.signed, n_word=f.bits, n_frac=f.frac_bits, raw=True)

    def to_float(self) -> NDArray[np.float64]:
        """The values; above 53 bits, the doubles nearest to them."""
        array = self._held.array.astype(np.float64)
        real: NDArray[np.float64] = np.asarray(np.ldexp(array + 0.0, -self._format.frac_bits))
        return real

    @property
    def ints(self) -> Ints:
        """The integers, read-only."""
        return self._held.ints()

    @property
    def format(self) -> QFormat:
        return self._format

    @property
    def shape(self) -> tuple[int, ...]:
        return self._held.shape

    @property
    def ndim(self) -> int:
        return self._held.ndim

    @property
    def size(self) -> int:
        return prod(self._held.shape)

    def __len__(self) -> int:
        return self._held.shape[0]

    def __repr__(self) -> str:
        values = np.array2string(self.to_float(), separator=", ", prefix="FixedArray(", threshold=100)
        return f"FixedArray({values}, {self._format!r})"
