# SPDX-License-Identifier: MIT
"""Constants in the activation memory, without duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fixedpoint_nn.hardware.compiler.computation import padded
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View, dense_axes
from fixedpoint_nn.numbers.fixed.array import FixedArray


def row_bits(width: int) -> int:
    """The exponent of the smallest power of two of at least `width` words."""
    return (width - 1).bit_length()


class Constants:
    """The constants of one program; those that are `there` already come first."""

    def __init__(self, lanes: int, there: Sequence[Buffer] = ()) -> None:
        self.lanes = lanes
        self.buffers = list(there)
        self._known = {(buffer.name, buffer.constants): buffer for buffer in there}

    def pixels(self, value: FixedArray) -> View:
        """The view of a constant, pixel by pixel, each from the start of a row."""
        channels = value.shape[-1] if value.ndim else 1
        stride = padded(channels, self.lanes) if value.size > channels else channels
        words = np.zeros((value.size // channels, stride), np.int64)
        words[:, :channels] = value.ints.reshape(-1, channels)
        strides, walk = [1], stride
        for size in reversed(value.shape[:-1]):
            strides.insert(0, walk)
            walk *= size
        buffer = self._buffer("constant", tuple(words.reshape(-1).tolist()))
        return View(buffer, 0, dense_axes(value.shape or (1,), strides), value.format)

    def columns(self, matrix: FixedArray) -> Buffer:
        """The buffer of a matrix in column order, so that a row's index is its offset, without a multiplication."""
        return self._buffer("table", tuple(matrix.ints.T.reshape(-1).tolist()))

    def rows(self, matrix: FixedArray) -> Buffer:
        """The buffer of a matrix in row order, rows a power of two words apart."""
        words = np.zeros((len(matrix.ints), 1 << row_bits(matrix.shape[1])), np.int64)
        words[:, : matrix.shape[1]] = matrix.ints
        return self._buffer("table", tuple(words.reshape(-1).tolist()))

    def _buffer(self, name: str, words: tuple[int, ...]) -> Buffer:
        key = name, words
        if key not in self._known:
            size = padded(max(len(words), 1), self.lanes)
            self._known[key] = Buffer(name, size, constants=words, keep=True)
            self.buffers.append(self._known[key])
        return self._known[key]
