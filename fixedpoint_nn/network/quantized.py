# SPDX-License-Identifier: MIT
"""`Quantized`: a network over integers, with the quantizer of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.network.summary import table
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.networks.dispatch import planned_result
from fixedpoint_nn.numbers.threads import by_threads, rows_of_part, threads
from fixedpoint_nn.numerics import overflow_stats
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

ROWS = 512  # samples computed at a time, so that intermediate values stay in the cache
FEWEST_ROWS = 256  # at a time in a thread: with fewer, the calls of Python take too large a part


@dataclass(frozen=True)
class Quantized:
    """A fixed-point network, called with a batch of floats, which `input` rounds, or with a FixedArray.

    The result is a FixedArray. A graph of several inputs takes one array for each, rounded by `input` and `further`;
    one of several outputs returns a tuple. `rows` samples are computed at a time. `shape`, if known, is that of one
    sample; the summary needs it.
    """

    net: Callable[..., Any]
    input: Quantizer
    rows: int = field(default=ROWS, compare=False)
    further: tuple[Quantizer, ...] = ()
    shape: tuple[int, ...] | None = field(default=None, compare=False)

    def summary(self, shape: tuple[int, ...] | None = None) -> str:
        """A table of layers, formats, parameters, and multiply-accumulates for one sample of `shape`."""
        return table(self.net, self.input.format, shape or self.shape)

    def __str__(self) -> str:
        return self.summary()

    @property
    def inputs(self) -> tuple[Quantizer, ...]:
        """The quantizers of all inputs."""
        return (self.input, *self.further)

    def __call__(self, *xs: ArrayLike | FixedArray) -> Any:
        if len(xs) != len(self.inputs):
            raise TypeError(f"the network takes {len(self.inputs)} inputs, and was given {len(xs)}")
        given = [x if isinstance(x, FixedArray) else np.asarray(x) for x in xs]
        for samples, quantizer in zip(given, self.inputs, strict=True):
            if len(samples.shape) == 0 or samples.shape[0] == 0:
                raise ValueError(
                    f"the network takes a batch of samples, not an array of shape {samples.shape}"
                )
            if isinstance(samples, FixedArray):
                _check_format(samples, quantizer)
        count = {samples.shape[0] for samples in given}
        if len(count) > 1:
            raise ValueError(f"the inputs have different numbers of samples: {sorted(count)}")
        if len(given) == 1 and given[0].shape[0] > 0:
            whole = planned_result(self.net, self.input, given[0], lambda x: _fixed_input(x, self.input))
            if whole is not None:
                return whole
        parts = self._parts(given)
        if len(parts) == 1:
            return parts[0]
        if isinstance(parts[0], tuple):
            return tuple(first.concat(others, axis=0) for first, *others in zip(*parts, strict=True))
        return parts[0].concat(parts[1:], axis=0)

    def _parts(self, given: Sequence[Any]) -> list[Any]:
        """The results of a few rows at a time, verb by verb; shared among threads unless something is counted."""
        batch, seeing, count = given[0].shape[0], overflow_stats.active(), threads()

        def part(rows: slice) -> Any:
            return self.net(*(_fixed_input(x[rows], q) for x, q in zip(given, self.inputs, strict=True)))

        if seeing is None and count > 1:
            size = min(self.rows, rows_of_part(batch, count, FEWEST_ROWS))
            return by_threads(count, part, _slices(batch, size))
        results, before = [], 0 if seeing is None else seeing.first_row
        for rows in _slices(batch, self.rows):
            if seeing is not None:
                seeing.first_row = before + rows.start
            results.append(part(rows))
        return results


def _slices(batch: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, batch, size)]


def _check_format(samples: FixedArray, quantizer: Quantizer) -> None:
    if samples.format != quantizer.format:
        raise ValueError(
            f"the network's input is {quantizer.format}, and this is {samples.format}; cast it, or pass floats"
        )


def _fixed_input(samples: Any, quantizer: Quantizer) -> FixedArray:
    """Samples as a FixedArray: floats are rounded by the quantizer; token ids must fit its integer format."""
    if isinstance(samples, FixedArray):
        return samples
    demand_scaled(samples, quantizer.format)
    if samples.dtype.kind in "iu" and quantizer.format.frac_bits == 0:
        format = quantizer.format
        outside = samples[(samples < format.int_min) | (samples > format.int_max)]
        if outside.size:
            raise ValueError(
                f"the input {outside[0]} is outside {format}, which holds {format.int_min}..{format.int_max}"
            )
        return FixedArray.from_ints(samples.astype(np.int64), format)
    return FixedArray.from_float(samples, quantizer)


def demand_scaled(samples: Array, format: QFormat) -> None:
    """Raise for pixels from 0 to 255 that were not scaled: all of them would saturate."""
    if samples.dtype == np.uint8 and format.frac_bits > 0:
        raise ValueError(
            f"the network's input is {format}, and this is uint8 of shape {samples.shape}; scale it as the samples "
            "of the training were, x.astype(np.float32) / 255, or pass FixedArray.from_ints(x, format)"
        )


def demand_quantized(net: Any, use: str) -> None:
    """Raise TypeError unless the network is quantised; `use` names the operation in the message."""
    if not isinstance(net, Quantized):
        raise TypeError(
            f"{use} takes a quantised network, and this is a {type(net).__name__} over floats; quantise it first: "
            "quantize(net, calibrate(net, samples))"
        )


def fixed_samples_of(quantizer: Quantizer, x: ArrayLike | FixedArray) -> FixedArray:
    """A batch of samples as a FixedArray in the format of an input."""
    samples = x if isinstance(x, FixedArray) else np.asarray(x)
    if len(samples.shape) < 2 or samples.shape[0] == 0:
        raise ValueError(f"the network takes a batch of samples, not an array of shape {samples.shape}")
    if isinstance(samples, FixedArray):
        if samples.format != quantizer.format:
            raise ValueError(
                f"the network's input is {quantizer.format}, and this is {samples.format}; cast it first"
            )
        return samples
    demand_scaled(samples, quantizer.format)
    if samples.dtype.kind in "iu" and quantizer.format.frac_bits == 0:
        return FixedArray.from_ints(samples.astype(np.int64), quantizer.format)
    return FixedArray.from_float(samples, quantizer)


def fixed_samples(fixed: Quantized, x: ArrayLike | FixedArray) -> FixedArray:
    """A batch of samples as a FixedArray in the format of the network's only input."""
    if fixed.further:
        raise ValueError(
            f"the network takes {len(fixed.inputs)} inputs; give a tuple of as many arrays of samples"
        )
    return fixed_samples_of(fixed.input, x)
