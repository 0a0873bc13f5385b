# SPDX-License-Identifier: MIT
"""The verbs: the operations of every number, with which layers are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
    from fixedpoint_nn.numerics.accumulator import Accumulator
    from fixedpoint_nn.numerics.quantizer import Quantizer
    from fixedpoint_nn.numerics.table import Table


class Number(Protocol):
    """A batch of values; axis 0 is the batch. Every operation is exact except `cast`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; the first is the batch."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    def __add__(self, other: Any) -> Any: ...
    def __sub__(self, other: Any) -> Any: ...
    def __rsub__(self, other: int) -> Any: ...
    def __mul__(self, other: Any) -> Any: ...
    def __neg__(self) -> Any: ...
    def __matmul__(self, other: Any) -> Any: ...
    def __getitem__(self, index: Any) -> Any: ...
    def dot(self, other: Any, accumulator: Accumulator | None = None, initial: Any = None) -> Any:
        """`initial + self @ other`: (..., k) @ (k, n), or per group (..., groups, k) @ (groups, k, n)."""

    def relu(self) -> Any:
        """max(x, 0)."""

    def scaled(self, power: int) -> Any:
        """x * 2**power, exactly."""

    def maximum(self, other: Any) -> Any:
        """The element-wise maximum."""

    def minimum(self, other: Any) -> Any:
        """The element-wise minimum."""

    def max(self, axis: int, keepdims: bool = False) -> Any:
        """The maximum along the axis."""

    def sum(self, axis: int, keepdims: bool = False) -> Any:
        """The exact sum along the axis."""

    def argmax(self, axis: int = -1) -> Any:
        """The index of the largest element along the axis; of equal ones, the first."""

    def reshape(self, *shape: int) -> Any:
        """The elements in another shape; one length may be -1."""

    def transpose(self, *axes: int) -> Any:
        """The axes in another order; the batch stays first."""

    def matmul(self, other: Any) -> Any:
        """The exact product of two batches of matrices, (..., m, k) @ (..., k, n); `dot` is for weights."""

    def take(self, indices: Any, axis: int = 0) -> Any:
        """The rows at these indices, each from 0 to the number of rows - 1."""

    def concat(self, others: Sequence[Any], axis: int = -1) -> Any:
        """This number and the others, concatenated along the axis."""

    def split(self, parts: int, axis: int = -1) -> Any:
        """`parts` equal parts along the axis."""

    def windows(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
        lowest: bool = False,
        dilation: Pair = (1, 1),
    ) -> Any:
        """Every window of images (batch, height, width, channels): (batch, rows, columns, taps, channels).

        With groups the result is (batch, rows, columns, groups, taps, channels / groups). Padding is 0, or with
        `lowest` never a maximum. `dilation` is the distance of neighbouring taps, (rows, columns).
        """

    def lookup(self, function: str, table: Table | None = None) -> Any:
        """A function of each element, such as "sigmoid" or "tanh", by its table if given."""

    def scan(self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None) -> Any:
        """Iterate y, *states = step(each(x_t), *states) along axis 1; returns (all y stacked there, *final states)."""

    def cast(self, quantizer: Quantizer | None) -> Any:
        """Convert to the quantizer's format, the only operation that loses bits; None changes nothing."""

    def zeros(self, *shape: int, like: Quantizer | None = None) -> Any:
        """Zeros of shape (batch, *shape), in the format of `like`: an initial state."""


class TrainingNumber(Number, Protocol):
    """The additional operations for training, which only `Tensor` has."""

    def __pow__(self, power: float) -> Any: ...
    def dropped(self, rate: float, rng: np.random.Generator | None) -> Any:
        """Dropout: each element is 0 with probability `rate`, the others are scaled by 1 / (1 - rate)."""

    def standardized(self, eps: float) -> Any:
        """((x - mean) / sqrt(variance + eps), mean, variance), per channel (last axis)."""

    def move_towards(self, value: Any, share: float) -> None:
        """x += share * (value - x), in place and not recorded on the tape."""
