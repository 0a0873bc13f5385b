# SPDX-License-Identifier: MIT
"""The plan of a feed-forward network: operations on images (height, width, channels) of integers."""

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
    """A value in memory: integers from `low` to `high`; a feature vector is one pixel with many channels."""

    number: int
    height: int
    width: int
    channels: int
    low: int
    high: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels


@dataclass(frozen=True)
class Finish:
    """The end of a sum: ReLU, then rounding by `shift` bits and overflow handling, if there is a quantizer."""

    relu: bool = False
    shift: int = 0  # to the right
    quantizer: Quantizer | None = None
    fits: bool = True  # known not to overflow


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
class WindowAverage:
    """out = finish(factor * the sum of each window)."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    factor: int = 1
    finish: Finish = Finish()
    out: Image | None = None


@dataclass(frozen=True)
class WindowMaximum:
    """out = the maximum of each window; padding is never the maximum."""

    a: Image
    kernel: Pair
    stride: Pair
    padding: Padding
    out: Image | None = None


@dataclass(frozen=True)
class ImageSum:
    """out = finish(a * 2**a_shift + b * 2**b_shift); b is optional."""

    a: Image
    a_shift: int = 0
    b: Image | None = None
    b_shift: int = 0
    finish: Finish = Finish()
    out: Image | None = None


@dataclass(frozen=True)
class ImageLookup:
    """out = the table's entries at a."""

    a: Image
    table: Table
    out: Image | None = None


Operation = Convolve | WindowAverage | WindowMaximum | ImageSum | ImageLookup


@dataclass(frozen=True)
class NetworkPlan:
    """A whole network, from `input` to its result, that of the last operation or `result`."""

    input: Image
    operations: tuple[Operation, ...]
    result: Image | None
    shape: tuple[int, ...]  # of one sample's result
    format: QFormat
    low: int  # of the result
    high: int

    @property
    def images(self) -> int:
        """The number of images."""
        numbers = [self.input.number, *(o.out.number for o in self.operations if o.out is not None)]
        return max(numbers) + 1
