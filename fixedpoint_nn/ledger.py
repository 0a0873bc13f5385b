# SPDX-License-Identifier: MIT
"""The overflow ledger: what every cast and accumulator lost, collected only while a ledger is open.

    with Ledger() as ledger:
        fixed(x)
    ledger["fc1.out"].saturated
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType


import numpy as np

from fixedpoint_nn.accumulate import Watch
from fixedpoint_nn.accumulator import Accumulator
from fixedpoint_nn.container import Array, Held
from fixedpoint_nn.overflow import Overflow, limits
from fixedpoint_nn.qformat import QFormat
from fixedpoint_nn.quantizer import Quantizer
from fixedpoint_nn.rounding import round_floats, shift_right


@dataclass(frozen=True)
class Entry:
    """What happened at one cast point or accumulator, over all calls."""

    values: int = 0                         # how many went through
    saturated: int = 0                      # were too large, and were saturated (or set to zero)
    wrapped: int = 0                        # were too large, and were wrapped
    rounded: int = 0                        # lost a fraction
    first: tuple[int, ...] | None = None    # the index of the first one that was too large
    headroom_bits: int = 63                 # leading bits that no value needed; negative: bits that were missing


class Ledger(Mapping[str, Entry]):
    """Collects an `Entry` for every named cast and accumulator that runs inside its `with` block.

    A cast without a name stands under its quantizer's text. `first_row` is added to the first index of what follows,
    for whoever cuts a batch into blocks.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.first_row = 0
        self._before: Ledger | None = None

    def __enter__(self) -> Ledger:
        global active
        self._before, active = active, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global active
        active = self._before

    def __getitem__(self, name: str) -> Entry:
        if name not in self.entries:
            known = ", ".join(self.entries) or "nothing"
            raise KeyError(f"nothing was cast at {name!r}; the ledger saw {known}")
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __str__(self) -> str:
        width = max([len(name) for name in self.entries], default=0)
        head = f"{'':{width}}  {'values':>10} {'saturated':>10} {'wrapped':>10} {'rounded':>10}  headroom  first"
        lines = [
            f"{name:{width}}  {e.values:>10} {e.saturated:>10} {e.wrapped:>10} {e.rounded:>10}"
            f"  {e.headroom_bits:>8}  {'-' if e.first is None else e.first}"
            for name, e in self.entries.items()
        ]
        return "\n".join([head, *lines])

    # ---- called by the numbers --------------------------------------------------------------------------------

    def see_cast(self, held: Held, shift: int, quantizer: Quantizer) -> None:
        """The integers times 2**shift are about to be rounded and fitted by the quantizer."""
        ints = held.kept(np.dtype(np.int64))
        rounded = int(np.count_nonzero(ints & ((1 << -shift) - 1))) if -63 <= shift < 0 else 0
        if shift < -63:
            rounded = int(np.count_nonzero(ints))
        values = shift_right(ints, max(-shift, 0), quantizer.rounding)
        left = max(shift, 0)
        lo, hi = limits(quantizer.format, quantizer.overflow)
        outside = (values > hi >> left) | (values < -(-lo >> left))
        extremes = (int(values.min()) << left, int(values.max()) << left) if values.size else (0, 0)
        self._add(quantizer, quantizer.format, quantizer.overflow, outside, rounded, extremes)

    def see_floats(self, x: Array, quantizer: Quantizer) -> None:
        """Finite floats are about to be rounded and fitted by the quantizer."""
        scaled = np.ldexp(x.astype(np.float64), quantizer.format.frac_bits)
        whole = round_floats(scaled, quantizer.rounding)
        lo, hi = limits(quantizer.format, quantizer.overflow)
        # One step outside is a power of two (or zero), which every float holds; the limit itself may not be.
        outside = (whole >= hi + 1) | (whole <= lo - 1)
        extremes = (int(whole.min()), int(whole.max())) if np.isfinite(whole).all() else (lo, 1 << 1024)
        rounded = int(np.count_nonzero(whole != scaled))
        self._add(quantizer, quantizer.format, quantizer.overflow, outside, rounded, extremes)

    def see_sums(self, watch: Watch, shape: tuple[int, ...], accumulator: Accumulator) -> None:
        """An accumulator has run; `shape` is the result's."""
        assert watch.outside is not None
        outside = watch.outside.reshape(shape)
        self._add(accumulator, accumulator.format, accumulator.overflow, outside, 0, (watch.lo, watch.hi))

    def _add(
        self,
        point: Quantizer | Accumulator,
        format: QFormat,
        overflow: Overflow,
        outside: Array,
        rounded: int,
        extremes: tuple[int, int],
    ) -> None:
        name = point.name or str(point)
        before = self.entries.get(name, Entry())
        count = int(np.count_nonzero(outside))
        first = before.first
        if first is None and count:
            first = tuple(int(i) for i in np.unravel_index(int(np.argmax(outside)), outside.shape))
            first = (first[0] + self.first_row, *first[1:]) if first else first
        wraps = overflow is Overflow.WRAP
        self.entries[name] = Entry(
            before.values + outside.size,
            before.saturated + (0 if wraps else count),
            before.wrapped + (count if wraps else 0),
            before.rounded + rounded,
            first,
            min(before.headroom_bits, format.bits - _bits(*extremes, format.signed)),
        )


def _bits(lo: int, hi: int, signed: bool) -> int:
    """Bits of the smallest format that holds lo..hi; an unsigned one needs a sign for what is below zero."""
    size = max((~lo).bit_length() if lo < 0 else 0, max(hi, 0).bit_length())
    return size + (signed or lo < 0)


active: Ledger | None = None
