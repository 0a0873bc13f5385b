# SPDX-License-Identifier: MIT
"""Conversions into a format: the only place where bits are lost.

`convert` is the one path that every conversion takes: scale by a power of two, round, fit. It works on int64 and on
floats that hold the numbers exactly, because multiplying a float by a power of two loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.container import FLOAT32_EXACT, FLOAT64_EXACT
from fixedpoint_nn.overflow import Overflow, fit, limits
from fixedpoint_nn.qformat import QFormat
from fixedpoint_nn.rounding import Rounding, round_floats, shift_right

__all__ = ["ChannelQuantizer", "Overflow", "Quantizer", "Rounding", "checked_array", "convert"]

Array = NDArray[Any]
Ints = NDArray[np.int64]

_BLOCK = 1 << 14                        # elements that stay in the cache from one pass to the next

_MODES = re.compile(r"(.*<[^<>,]*,[^<>,]*),([^<>,]*)(?:,([^<>,]*))?>")


@dataclass(frozen=True, repr=False)
class Quantizer:
    """A format, and what happens to the bits that do not fit: on the right `rounding`, on the left `overflow`.

    `name` labels the place where the conversion happens; two quantizers that differ only in it are equal.
    """

    format: QFormat
    rounding: Rounding = Rounding.HALF_EVEN
    overflow: Overflow = Overflow.SATURATE
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name, kind in (("format", QFormat), ("rounding", Rounding), ("overflow", Overflow), ("name", str)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} of a Quantizer is of type {kind.__name__}, not {value!r}")

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Quantizer({self.format!r}, {self.rounding!r}, {self.overflow!r}{name})"

    def __str__(self) -> str:
        """AMD's text, such as ap_fixed<16,4,AP_RND_CONV,AP_SAT>."""
        f = self.format
        kind = "ap_fixed" if f.signed else "ap_ufixed"
        return f"{kind}<{f.bits},{f.int_bits},AP_{self.rounding.value},AP_{self.overflow.value}>"

    @classmethod
    def parse(cls, text: str) -> Quantizer:
        """Read AMD's text or any format's.

        Modes that AMD's text leaves out are AMD's defaults, TRN and WRAP; a format in another notation says nothing
        of modes and gets this class's.
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
        rounding = Rounding(_mode(found[2], Rounding, text))
        return cls(format, rounding, Overflow(_mode(found[3], Overflow, text) if found[3] else "WRAP"))

    @property
    def step(self) -> float:
        """The distance between neighbouring values."""
        return self.format.step

    # ---- conversions ------------------------------------------------------------------------------------------

    def from_floats(self, x: ArrayLike) -> Ints:
        """The integers of these floats, exactly rounded; NaN and infinity raise."""
        return self.hold_floats(checked_array(x)).astype(np.int64, copy=False)

    def from_ints(self, ints: ArrayLike, frac_bits: int) -> Ints:
        """The integers, in this format, of the values `ints * 2**-frac_bits`."""
        return convert(_int64(np.asarray(ints)), self.format.frac_bits - frac_bits, self)

    def round_floats(self, x: Array) -> Array:
        """Each float's nearest value of this format, as the same kind of float; a NaN stays one."""
        f = self.format
        narrow = x.dtype == np.float32 and f.magnitude <= FLOAT32_EXACT
        if not narrow or self.overflow is Overflow.WRAP or not 0 <= f.frac_bits <= 100:
            if not np.isfinite(x).all():
                return np.where(np.isfinite(x), self.round_floats(np.where(np.isfinite(x), x, 0)), x * 1)
            held = self._hold(x.astype(np.float64).reshape(-1)).reshape(x.shape)
            values: Array = np.ldexp(held.astype(np.float64), -f.frac_bits).astype(x.dtype)
            return values
        with np.errstate(over="ignore"):
            scaled = np.multiply(x, np.float32(2.0**f.frac_bits), out=np.empty_like(x))
        rounded = fit(round_floats(scaled, self.rounding, scaled), f, self.overflow, scaled)
        nearest: Array = np.multiply(rounded, np.float32(f.step), out=rounded)
        return nearest

    def hold_floats(self, x: Array) -> Array:
        """`from_floats` of a checked array, in whichever container the conversion leaves it."""
        if x.dtype.kind == "i":
            return convert(x, self.format.frac_bits, self)
        flat = x.reshape(-1)
        if flat.size <= _BLOCK:
            return self._hold(_finite(flat, x, 0)).reshape(x.shape)
        first = self._hold(_finite(flat[:_BLOCK], x, 0))
        result = np.empty(flat.size, first.dtype)
        result[:_BLOCK] = first
        for start in range(_BLOCK, flat.size, _BLOCK):
            result[start : start + _BLOCK] = self._hold(_finite(flat[start : start + _BLOCK], x, start))
        return result.reshape(x.shape)

    def _hold(self, x: Array) -> Array:
        """Finite floats to integers; the container depends on the format and on the dtype alone."""
        f = self.format
        exact = FLOAT32_EXACT if x.dtype == np.float32 else FLOAT64_EXACT
        if f.magnitude > exact or (x.dtype == np.float32 and not 0 <= f.frac_bits <= 100):
            x = x.astype(np.float64)
        # A float32 above 2**27 times 2**100 overflows, which only a wrapped value would notice.
        if x.dtype == np.float32 and self.overflow is Overflow.WRAP:
            return self._scale_and_fit(x.astype(np.float64)).astype(np.float32)
        return self._scale_and_fit(x)

    def _scale_and_fit(self, x: Array) -> Array:
        f = self.format
        with np.errstate(over="ignore", under="ignore"):
            if -900 <= f.frac_bits <= 900:
                scaled = x * x.dtype.type(2.0**f.frac_bits)
            else:
                scaled = np.ldexp(x, f.frac_bits)
        if f.frac_bits < 0:
            # A subnormal result has lost bits; any tiny number of its sign rounds as it would have.
            tiny = (np.abs(scaled) < 2.0**-900) & (x != 0)
            scaled = np.where(tiny, np.copysign(2.0**-900, x), scaled)
        elif self.overflow is Overflow.WRAP:
            # More than a double holds: the number was a multiple of 2**900, and wraps to zero.
            scaled[np.isinf(scaled)] = 0
        rounded = round_floats(scaled, self.rounding, scaled)
        if f.magnitude <= FLOAT64_EXACT:
            return fit(rounded, f, self.overflow, rounded)
        return _fit_wide(rounded, f, self.overflow)


@dataclass(frozen=True, repr=False)
class ChannelQuantizer:
    """One quantizer per channel of the last axis: the same bits, the binary point moved by `shifts`.

    Channel j has `shifts[j]` more integer bits and as many fraction bits fewer than `quantizer`. The integers that
    come out all have one format, the smallest that holds every channel.
    """

    quantizer: Quantizer
    shifts: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shifts", tuple(int(shift) for shift in self.shifts))
        if not self.shifts:
            raise ValueError("a ChannelQuantizer has one shift for each channel, and there is none")
        object.__setattr__(self, "format", QFormat.for_any([q.format for q in self.channels]))

    format: QFormat = field(init=False, compare=False)

    def __repr__(self) -> str:
        return f"ChannelQuantizer({self.quantizer!r}, {self.shifts})"

    @property
    def name(self) -> str:
        return self.quantizer.name

    @property
    def overflow(self) -> Overflow:
        return self.quantizer.overflow

    @property
    def step(self) -> Array:
        """The distance between neighbouring values, for each channel."""
        return np.ldexp(self.quantizer.step, self.shifts)

    @property
    def channels(self) -> tuple[Quantizer, ...]:
        """Each channel's own quantizer."""
        q, f = self.quantizer, self.quantizer.format
        return tuple(
            Quantizer(QFormat(f.int_bits + s, f.frac_bits - s, f.signed), q.rounding, q.overflow, q.name)
            for s in self.shifts
        )

    def from_floats(self, x: ArrayLike) -> Ints:
        """The integers of these floats, each rounded by its channel's quantizer."""
        array = checked_array(x)
        return self._by_channel(array, [q.from_floats(array[..., j]) for j, q in self._pairs(array)])

    def from_ints(self, ints: ArrayLike, frac_bits: int) -> Ints:
        """The integers of the values `ints * 2**-frac_bits`, each rounded by its channel's quantizer."""
        array = _int64(np.asarray(ints))
        return self._by_channel(array, [q.from_ints(array[..., j], frac_bits) for j, q in self._pairs(array)])

    def round_floats(self, x: Array) -> Array:
        """Each float's nearest value, as the same kind of float; a power of two moves each channel and loses nothing."""
        self._pairs(x)
        scale = np.ldexp(x.dtype.type(1), self.shifts)
        nearest: Array = self.quantizer.round_floats(x / scale) * scale
        return nearest

    def _pairs(self, array: Array) -> list[tuple[int, Quantizer]]:
        if array.ndim == 0 or array.shape[-1] != len(self.shifts):
            raise ValueError(f"{len(self.shifts)} channel shifts do not fit an array of shape {array.shape}")
        return list(enumerate(self.channels))

    def _by_channel(self, array: Array, columns: Sequence[Ints]) -> Ints:
        shifts = [self.format.frac_bits - q.format.frac_bits for q in self.channels]
        return np.stack([column << shift for column, shift in zip(columns, shifts, strict=True)], axis=-1)


def convert(values: Array, shift: int, quantizer: Quantizer) -> Array:
    """Integers times 2**shift, rounded and fitted; values are int64 or Python's own."""
    f, overflow = quantizer.format, quantizer.overflow
    if shift <= 0:
        return fit(shift_right(values, -shift, quantizer.rounding), f, overflow)
    if overflow is Overflow.WRAP:
        return fit(values << shift if shift < 64 else np.zeros_like(values), f, overflow)
    # Shifting left could leave 64 bits, so compare before: n * 2**s <= hi exactly when n <= floor(hi / 2**s).
    lo, hi = limits(f, overflow)
    over, under = values > hi >> shift, values < -(-lo >> shift)
    shifted = np.where(over | under, 0, values) << min(shift, 63)
    if overflow is Overflow.ZERO:
        return shifted
    return np.where(over, hi, np.where(under, lo, shifted))


def checked_array(x: ArrayLike) -> Array:
    """float64, float32 or int64 numbers, at least one of them."""
    try:
        array = np.asarray(x)
    except ValueError:
        raise ValueError("the rows of a nested list differ in length; make them equally long") from None
    if array.size == 0:
        raise ValueError(f"an array of shape {array.shape} holds no values; give at least one")
    if array.dtype.kind in "iu":
        return _int64(array)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"numbers are float64, float32, float16 or integers, not {array.dtype}")
    return array


def _int64(array: Array) -> Ints:
    if array.dtype.kind not in "iu":
        raise TypeError(f"integers are expected, not {array.dtype}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{array.max()} does not fit into 64 bits with a sign")
    return array.astype(np.int64, copy=False)


def _finite(block: Array, whole: Array, start: int) -> Array:
    """The flat block, or an error that tells its first NaN or infinity and where that stands in the whole."""
    finite = np.isfinite(block)
    if finite.all():
        return block
    first = int(np.argmin(finite))
    place = tuple(int(i) for i in np.unravel_index(start + first, whole.shape))
    at = f" at index {place[0] if len(place) == 1 else place}" if place else ""
    raise ValueError(f"{float(block[first])} cannot be quantised{at}; replace NaN and infinities first")


def _fit_wide(values: Array, format: QFormat, overflow: Overflow) -> Array:
    """`fit` for float64 integers and a format whose limits a double does not hold; gives int64."""
    if overflow is Overflow.WRAP:
        return fit(np.fmod(values, 2.0**format.bits).astype(np.int64), format, overflow)
    # Every double below 2**63 is an int64; the others are outside of every format on the same side.
    edge = 2.0**62
    ints = np.where(np.abs(values) < 2 * edge, values, 0).astype(np.int64)
    lo, hi = limits(format, overflow)
    over, under = (values >= 2 * edge) | (ints > hi), (values < -2 * edge) | (ints < lo)
    under |= values == -2 * edge
    if overflow is Overflow.ZERO:
        return np.where(over | under, 0, ints)
    return np.where(over, hi, np.where(under, lo, ints))


def _mode(text: str, kind: type[Rounding] | type[Overflow], whole: str) -> str:
    name = text.strip().removeprefix("AP_")
    if name not in [mode.value for mode in kind]:
        known = ", ".join(f"AP_{mode.value}" for mode in kind)
        raise ValueError(f"{text.strip()!r} in {whole!r} is no {kind.__name__}; use one of {known}")
    return name
