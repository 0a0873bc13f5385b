# SPDX-License-Identifier: MIT
"""`Quantized`: a network over integers, together with the quantizer of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.network.summary import table
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

ROWS = 512  # samples computed at a time, so that layers hand each other cached data


@dataclass(frozen=True)
class Quantized:
    """Takes floats, which `input` rounds, or integers that are in its format already; gives a FixedArray.

    `shape` is that of one sample, where it is known: it is all that a summary needs besides the network.
    """

    net: Callable[[Any], Any]
    input: Quantizer
    rows: int = field(default=ROWS, compare=False)
    shape: tuple[int, ...] | None = field(default=None, compare=False)

    def summary(self, shape: tuple[int, ...] | None = None) -> str:
        """A table of layers, formats, parameters and multiply-accumulates, these for one sample of `shape`."""
        return table(self.net, self.input.format, shape or self.shape)

    def __str__(self) -> str:
        return self.summary()

    def __call__(self, x: ArrayLike | FixedArray) -> FixedArray:
        samples = x if isinstance(x, FixedArray) else np.asarray(x)
        if len(samples.shape) == 0 or samples.shape[0] == 0:
            raise ValueError(f"the network takes a batch of samples, not an array of shape {samples.shape}")
        if isinstance(samples, FixedArray):
            self._check_format(samples)
        seeing = overflow_stats.active()
        parts, before = [], 0 if seeing is None else seeing.first_row
        for start in range(0, samples.shape[0], self.rows):
            if seeing is not None:
                seeing.first_row = before + start
            parts.append(self.net(self._taken(samples[start : start + self.rows])))
        result: FixedArray = parts[0] if len(parts) == 1 else parts[0].concat(parts[1:], axis=0)
        return result

    def _check_format(self, samples: FixedArray) -> None:
        if samples.format != self.input.format:
            raise ValueError(
                f"the network's input is {self.input.format}, and this is {samples.format}; "
                "cast it, or pass floats"
            )

    def _taken(self, samples: Any) -> FixedArray:
        """Floats are rounded; whole numbers for a format of whole numbers (token ids) must fit."""
        if isinstance(samples, FixedArray):
            return samples
        demand_scaled(samples, self.input.format)
        if samples.dtype.kind in "iu" and self.input.format.frac_bits == 0:
            format = self.input.format
            outside = samples[(samples < format.int_min) | (samples > format.int_max)]
            if outside.size:
                raise ValueError(
                    f"the input {outside[0]} is outside {format}, "
                    f"which holds {format.int_min}..{format.int_max}"
                )
            return FixedArray.from_ints(samples.astype(np.int64), format)
        return FixedArray.from_float(samples, self.input)


def demand_scaled(samples: Array, format: QFormat) -> None:
    """Raise a sentence for pixels that nobody has scaled: they would saturate, all of them."""
    if samples.dtype == np.uint8 and format.frac_bits > 0:
        raise ValueError(
            f"the network's input is {format}, and this is uint8 of shape {samples.shape}; scale it as the samples "
            "of the training were, x.astype(np.float32) / 255, or pass FixedArray.from_ints(x, format)"
        )


def demand_quantized(net: Any, use: str) -> None:
    """Raise a sentence unless the network is a quantised one; `use` is what wants it."""
    if not isinstance(net, Quantized):
        raise TypeError(
            f"{use} takes a quantised network, and this is a {type(net).__name__} over floats; quantise it first: "
            "quantize(net, calibrate(net, samples))"
        )


def taken(fixed: Quantized, x: ArrayLike | FixedArray) -> FixedArray:
    """A batch of samples as the network's input integers."""
    samples = x if isinstance(x, FixedArray) else np.asarray(x)
    if len(samples.shape) < 2 or samples.shape[0] == 0:
        raise ValueError(f"the network takes a batch of samples, not an array of shape {samples.shape}")
    if isinstance(samples, FixedArray):
        if samples.format != fixed.input.format:
            raise ValueError(
                f"the network's input is {fixed.input.format}, and this is {samples.format}; cast it first"
            )
        return samples
    demand_scaled(samples, fixed.input.format)
    if samples.dtype.kind in "iu" and fixed.input.format.frac_bits == 0:
        return FixedArray.from_ints(samples.astype(np.int64), fixed.input.format)
    return FixedArray.from_float(samples, fixed.input)
