# SPDX-License-Identifier: MIT
"""Quantizers: conversions into a format, with a rounding and an overflow mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.conversion import (
    ConversionStats,
    checked_array,
    checked_ints,
    convert,
    nearest_floats,
    quantize_floats,
)
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.rounding import Rounding

__all__ = ["ChannelQuantizer", "Overflow", "Quantizer", "Rounding"]

# With at most 63 bits, and the binary point moved by at most twice as many, no value exceeds float32's range.
_MODERATE = 30
_MODES = re.compile(r"(.*<[^<>,]*,[^<>,]*),([^<>,]*)(?:,([^<>,]*))?(?:,\s*(\d+)\s*)?>")


@dataclass(frozen=True)
class Quantizer:
    """A conversion into `format`: bits lost on the right are rounded, values out of range handled by `overflow`.

    `name` labels the cast point in statistics; it is ignored in comparisons.

    >>> Quantizer(QFormat(4, 12), Rounding.HALF_EVEN, Overflow.SATURATE).from_floats([0.1, 100.0])
    array([  410, 32767])
    >>> Quantizer.parse("ap_fixed<16,4,AP_RND_CONV,AP_SAT>").rounding
    Rounding.HALF_EVEN
    """

    format: QFormat
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name, kind in (
            ("format", QFormat),
            ("rounding", Rounding),
            ("overflow", Overflow),
            ("name", str),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} of a Quantizer is of type {kind.__name__}, not {value!r}")

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Quantizer({self.format!r}, {self.rounding!r}, {self.overflow!r}{name})"

    def __str__(self) -> str:
        """AMD's notation, such as ap_fixed<16,4,AP_RND_CONV,AP_SAT>."""
        f = self.format
        kind = "ap_fixed" if f.signed else "ap_ufixed"
        return f"{kind}<{f.bits},{f.int_bits},AP_{self.rounding.value},AP_{self.overflow.value}>"

    @classmethod
    def parse(cls, text: str) -> Quantizer:
        """The quantizer in AMD's notation, or for the text of a format.

        Modes that AMD's notation omits are AMD's defaults, TRN and WRAP; a fifth number, of saturation bits, must be
        0. A format in another notation gets this class's default modes.
        """
        if not isinstance(text, str):
            raise TypeError(f"a quantizer is parsed from text, not from {text!r}")
        stripped = text.strip()
        found = _MODES.fullmatch(stripped)
        try:
            format = QFormat.parse(f"{found[1]}>" if found else stripped)
        except ValueError as error:
            if not str(error).endswith("'ap_fixed<16,4>'"):
                raise
            raise ValueError(
                f"{text!r} is not a quantizer; write it like 'ap_fixed<16,4,AP_RND_CONV,AP_SAT>' or 'Q4.12'"
            ) from None
        if not found:
            return cls(format, Rounding.FLOOR, Overflow.WRAP) if "<" in stripped else cls(format)
        if found[4] and int(found[4]):
            raise ValueError(
                f"{text!r} has {int(found[4])} saturation bits, and only 0 are modelled; write 0, or leave them out"
            )
        rounding = Rounding(_mode(found[2], Rounding, text))
        return cls(format, rounding, Overflow(_mode(found[3], Overflow, text) if found[3] else "WRAP"))

    @property
    def step(self) -> float:
        """The distance between neighbouring values."""
        return self.format.step

    # ---- conversions ---------------------------------------------------------------------------------------

    def from_floats(self, x: ArrayLike) -> Ints:
        """The integers (int64) of these floats, correctly rounded; NaN and infinity raise ValueError."""
        array = checked_array(x)
        return quantize_floats(array, self.format, self.rounding, self.overflow, wide=True).ints()

    def from_ints(self, ints: ArrayLike, frac_bits: int) -> Ints:
        """The integers (int64), in this format, of the values `ints * 2**-frac_bits`."""
        shift = self.format.frac_bits - frac_bits
        array = checked_ints(np.asanyarray(ints))
        return np.asarray(convert(array, shift, self.format, self.rounding, self.overflow))

    def round_floats(self, x: Array) -> Array:
        """Each float rounded to a value of this format, in the same dtype; NaN stays NaN."""
        return nearest_floats(x, self.format, self.rounding, self.overflow)

    def to_bounded(self, x: Array, stats: ConversionStats | None = None) -> BoundedInts:
        """`from_floats` of a checked array as `BoundedInts`; `stats` counts what did not fit."""
        return quantize_floats(x, self.format, self.rounding, self.overflow, stats)


@dataclass(frozen=True)
class ChannelQuantizer:
    """One quantizer per channel (last axis), of equal width, with the binary point moved by `shifts`.

    Channel j has `shifts[j]` more integer bits, and as many fewer fraction bits, than `quantizer`. The resulting
    integers have one common format, the smallest that holds every channel.
    """

    quantizer: Quantizer
    shifts: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shifts", tuple(int(shift) for shift in self.shifts))
        if not self.shifts:
            raise ValueError("a ChannelQuantizer has one shift for each channel, and there is none")
        object.__setattr__(self, "format", QFormat.for_any([q.format for q in self.channels]))

    format: QFormat = field(init=False)

    def __repr__(self) -> str:
        return f"ChannelQuantizer({self.quantizer!r}, {self.shifts})"

    @property
    def name(self) -> str:
        """The label of the cast point."""
        return self.quantizer.name

    @property
    def overflow(self) -> Overflow:
        """The overflow mode, which is the same in every channel."""
        return self.quantizer.overflow

    @property
    def step(self) -> Array:
        """The distance between neighbouring values of each channel, (channels,)."""
        return np.ldexp(self.quantizer.step, self.shifts)

    @property
    def channels(self) -> tuple[Quantizer, ...]:
        """The quantizer of each channel."""
        q, f = self.quantizer, self.quantizer.format
        return tuple(
            Quantizer(QFormat(f.int_bits + s, f.frac_bits - s, f.signed), q.rounding, q.overflow, q.name)
            for s in self.shifts
        )

    def from_floats(self, x: ArrayLike) -> Ints:
        """The integers of floats (..., channels), each rounded by its channel's quantizer."""
        array = checked_array(x)
        return self._by_channel(array, [q.from_floats(array[..., j]) for j, q in self._pairs(array)])

    def from_ints(self, ints: ArrayLike, frac_bits: int) -> Ints:
        """The integers of the values `ints * 2**-frac_bits`, each rounded by its channel's quantizer."""
        array = checked_ints(np.asanyarray(ints))
        return self._by_channel(array, [q.from_ints(array[..., j], frac_bits) for j, q in self._pairs(array)])

    def round_floats(self, x: Array) -> Array:
        """Each float rounded to a value of its channel's format, in the same dtype; NaN stays NaN."""
        self._pairs(x)
        shifts = np.array(self.shifts)
        if abs(self.quantizer.format.frac_bits) <= _MODERATE and np.abs(shifts).max() <= _MODERATE:
            scale = np.ldexp(x.dtype.type(1), shifts)
            with np.errstate(over="ignore", under="ignore"):
                scaled = x / scale
                exact = np.array_equal(scaled * scale, x)
            if exact:  # no float is subnormal, so moving the binary point loses no bits
                nearest: Array = self.quantizer.round_floats(scaled) * scale
                return nearest
        channels, result = self.channels, np.empty_like(x)
        for j in np.unique(shifts, return_index=True)[1]:  # one pass for all channels of a format
            same = shifts == shifts[j]
            result[..., same] = channels[j].round_floats(x[..., same])
        return result

    def _pairs(self, array: Array) -> list[tuple[int, Quantizer]]:
        if array.ndim == 0 or array.shape[-1] != len(self.shifts):
            raise ValueError(f"{len(self.shifts)} channel shifts do not fit an array of shape {array.shape}")
        return list(enumerate(self.channels))

    def _by_channel(self, array: Array, columns: Sequence[Ints]) -> Ints:
        shifts = [self.format.frac_bits - q.format.frac_bits for q in self.channels]
        return np.stack([column << shift for column, shift in zip(columns, shifts, strict=True)], axis=-1)


def _mode(text: str, kind: type[Rounding] | type[Overflow], whole: str) -> str:
    name = text.strip().removeprefix("AP_")
    if name not in [mode.value for mode in kind]:
        known = ", ".join(f"AP_{mode.value}" for mode in kind)
        raise ValueError(f"{text.strip()!r} in {whole!r} is no {kind.__name__}; use one of {known}")
    return name
