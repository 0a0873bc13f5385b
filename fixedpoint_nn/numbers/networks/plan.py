# SPDX-License-Identifier: MIT
"""A plan of a feed-forward network: operations on images (height, width, channels) of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


@dataclass(frozen=True)
class Image:
    """A value in memory: integers from `low` to `high`; a row of features is one pixel with many channels."""

    number: int
    height: int
    width: int
    channels: int
    low: int
    high: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class Finish:
    """What happens to a sum: ReLU, then rounded by 2**shift and fitted; without a quantizer it stays as it is."""

    relu: bool = False
    shift: int = 0  # to the right
    quantizer: Quantizer | None = None
    fits: bool = True  # nothing overflows, as is known beforehand


@dataclass(frozen=True)
class Convolve:
    """out = finish(windows of a @ weights + bias); a dense layer's window is the whole image."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    weights: BoundedInts  # (taps * channels, columns)
    bias: Array | None = None  # int64, one for each column
    finish: Finish = Finish()
    out: Image | None = None  # None: the network's result


@dataclass(frozen=True)
class Average:
    """out = finish(factor * the sum of each window)."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    factor: int = 1
    finish: Finish = Finish()
    out: Image | None = None


@dataclass(frozen=True)
class Maximum:
    """out = the largest element of each window; the edges are never larger."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    out: Image | None = None


@dataclass(frozen=True)
class Add:
    """out = finish(a * 2**a_shift + b * 2**b_shift), or of a alone."""

    a: Image
    a_shift: int = 0
    b: Image | None = None
    b_shift: int = 0
    finish: Finish = Finish()
    out: Image | None = None


@dataclass(frozen=True)
class Lookup:
    """out = the table's entries for a."""

    a: Image
    table: Table
    out: Image | None = None


Operation = Convolve | Average | Maximum | Add | Lookup


@dataclass(frozen=True)
class Plan:
    """The whole network, from `input` to the result: the last operation's, or `result` in memory."""

    input: Image
    operations: tuple[Operation, ...]
    result: Image | None
    shape: tuple[int, ...]  # of one sample's result
    format: QFormat
    low: int  # of the result
    high: int

    @property
    def images(self) -> int:
        """How many there are."""
        numbers = [self.input.number, *(o.out.number for o in self.operations if o.out is not None)]
        return max(numbers) + 1
