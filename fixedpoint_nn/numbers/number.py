# SPDX-License-Identifier: MIT
"""The verbs that every number answers: what a layer may ask of whatever flows through it."""

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
    """A batch of values; everything is exact but `cast`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis; the first one is the batch."""

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
        """`initial + self @ other`: (..., k) @ (k, n), or per group (..., groups, k) with (groups, k, n)."""

    def relu(self) -> Any:
        """max(x, 0)."""

    def scaled(self, power: int) -> Any:
        """Times 2**power, exactly."""

    def maximum(self, other: Any) -> Any:
        """The larger one, element by element."""

    def minimum(self, other: Any) -> Any:
        """The smaller one, element by element."""

    def max(self, axis: int, keepdims: bool = False) -> Any:
        """The largest element along the axis."""

    def sum(self, axis: int, keepdims: bool = False) -> Any:
        """The exact sum along the axis."""

    def argmax(self, axis: int = -1) -> Any:
        """The index of the largest element along the axis; the first one of equals."""

    def reshape(self, *shape: int) -> Any:
        """The same elements in another shape; one length may be -1."""

    def transpose(self, *axes: int) -> Any:
        """The axes in another order; the batch stays first."""

    def matmul(self, other: Any) -> Any:
        """The exact product of two batches of matrices, (..., m, k) @ (..., k, n); `dot` is for weights."""

    def take(self, indices: Any, axis: int = 0) -> Any:
        """The rows that the indices name, 0 to the number of rows - 1."""

    def concat(self, others: Sequence[Any], axis: int = -1) -> Any:
        """This one and the others, one after the other along the axis."""

    def split(self, parts: int, axis: int = -1) -> Any:
        """Equal parts, side by side along the axis."""

    def windows(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
        lowest: bool = False,
        dilation: Pair = (1, 1),
    ) -> Any:
        """Every window of (batch, height, width, channels): (batch, y, x, taps, channels), or by groups.

        With a dilation, neighbours in a window are so many rows and columns apart.
        """

    def lookup(self, function: str, table: Table | None = None) -> Any:
        """A function of each element (sigmoid, tanh, exp, reciprocal), by its table where there is one."""

    def scan(self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None) -> Any:
        """y, *states = step(each(x_t), *states) along axis 1; gives all y, stacked there, and the last states."""

    def cast(self, quantizer: Quantizer | None) -> Any:
        """Into the quantizer's format, the only operation that loses bits; None changes nothing."""

    def zeros(self, *shape: int, like: Quantizer | None = None) -> Any:
        """Zeros of shape (batch, *shape), in the format of `like`: a first state."""


class TrainingNumber(Number, Protocol):
    """What training adds; only `Tensor` answers it."""

    def __pow__(self, power: float) -> Any: ...
    def dropped(self, rate: float, rng: np.random.Generator | None) -> Any:
        """Dropout: a share `rate` of the elements is zero, the others are scaled up."""

    def standardized(self, eps: float) -> Any:
        """(x - mean) / sqrt(variance + eps) by channel, the mean and the variance."""

    def move_towards(self, value: Any, share: float) -> None:
        """x += share * (value - x), in place and off the tape."""
