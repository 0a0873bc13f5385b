# SPDX-License-Identifier: MIT
"""`Tensor`: floats with automatic differentiation. Each operation has its gradient beside it.

A backward function receives the gradient of the result and adds to those of the operands (see tape.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numbers import image_windows, reused_memory, sliding_windows
from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numbers.image_windows import Geometry
from fixedpoint_nn.numbers.indices import add_at, checked_indices
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
from fixedpoint_nn.numbers.tensor import channels, convolution, matmul_gradient
from fixedpoint_nn.numbers.tensor.fused_scan import FusedScan
from fixedpoint_nn.numbers.tensor.recorded_step import NotFusable, record_step
from fixedpoint_nn.numbers.tensor.tape import Backward, is_fusing, is_recording, next_rank, walk_back
from fixedpoint_nn.numerics import matmul
from fixedpoint_nn.numerics.arrays import Array, refuse_masked
from fixedpoint_nn.numerics.native.elementwise import passed_where_positive
from fixedpoint_nn.numerics.quantizer import Overflow

if TYPE_CHECKING:
    from fixedpoint_nn.numerics.accumulator import Accumulator
    from fixedpoint_nn.numerics.quantizer import Quantizer
    from fixedpoint_nn.numerics.table import Table

Scalar = float | int


def _unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes along which its operand was broadcast."""
    if gradient.shape == shape:
        return gradient
    if shape == gradient.shape[-1:] != ():
        return channels.sums(gradient)
    extra = gradient.ndim - len(shape)
    if extra:
        gradient = gradient.sum(axis=tuple(range(extra)))
    repeated = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient


def _whole_numbers(values: Array) -> Array:
    """Integral floats as integers; any other value raises."""
    broken = values != np.rint(values)
    if broken.any() or not np.isfinite(values).all():
        wrong = values[broken | ~np.isfinite(values)]
        raise ValueError(f"indices are whole numbers, not {float(wrong[0])}; round them first")
    return values.astype(np.int64)


class Tensor:
    """An array of floats (float32 or float64) on a gradient tape: `data`, and after `backward` its gradient `grad`.

    >>> a = Tensor(3.0); b = a * a + 1; b.backward(); float(a.grad)
    6.0
    """

    __slots__ = ("_backward", "_own_grad", "_parents", "_rank", "data", "grad", "needs_gradient", "operation")
    __array_ufunc__ = None  # so that array + tensor calls Tensor.__radd__

    def __init__(self, data: ArrayLike, needs_gradient: bool = True) -> None:
        """A leaf; without `needs_gradient` (such as a network's input) a constant, as is every result of constants."""
        refuse_masked(data)
        array = np.asarray(data)
        if array.dtype.kind in "iub":
            array = array.astype(np.float64)
        if array.dtype.kind != "f":
            raise TypeError(f"a Tensor holds floats, not {array.dtype}; convert the data to numbers first")
        self.data: Array = array
        self.grad: Array | None = None
        self.operation = ""
        self._parents: tuple[Tensor, ...] = ()
        self._backward: Backward | None = None
        self.needs_gradient = needs_gradient
        self._rank = next_rank()
        self._own_grad = False

    @staticmethod
    def _result(data: Array, operation: str, parents: tuple[Tensor, ...], backward: Backward) -> Tensor:
        result = Tensor.__new__(Tensor)
        result.data = data
        result.grad = None
        result.operation = operation
        result._own_grad = False
        result._rank = next_rank()
        result._record(parents, backward)
        return result

    def _record(self, parents: tuple[Tensor, ...], backward: Backward) -> None:
        if is_recording() and any(parent.needs_gradient for parent in parents):
            self._parents, self._backward, self.needs_gradient = parents, backward, True
        else:
            self._parents, self._backward, self.needs_gradient = (), None, False

    # ---- what it is -----------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def parents(self) -> tuple[Tensor, ...]:
        """The operands of this result."""
        return self._parents

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Tensor({np.array2string(self.data, separator=', ', threshold=20)})"

    def __array__(self, *_: Any, **__: Any) -> Array:
        raise TypeError("a Tensor is not turned into an array silently; take its .data")

    def to_float(self) -> Array:
        """The array of floats."""
        return self.data

    # ---- the tape -------------------------------------------------------------------------

    def backward(self, gradient: ArrayLike | None = None, keep: bool = False) -> None:
        """Add d(self)/d(leaf) to every leaf's `grad`; with `keep`, intermediate results keep theirs, too.

        `gradient` is that of this tensor; it defaults to 1 for a scalar.
        """
        if gradient is None:
            if self.data.size != 1:
                raise ValueError(
                    f"backward() starts from one number, not from shape {self.shape}; "
                    "sum it first or pass the gradient"
                )
            gradient = np.ones_like(self.data)
        self.add_gradient(np.asarray(gradient, self.data.dtype))
        walk_back(self, keep)

    def add_gradient(self, gradient: Array) -> None:
        """Add to `grad`; the first array is stored without a copy, and copied before an addition in place."""
        if not self.needs_gradient:
            return
        if self.grad is None:
            self.grad, self._own_grad = gradient, False
        elif self._own_grad:
            self.grad += gradient
        else:
            self.grad, self._own_grad = reused_memory.computed(np.add, self.grad, gradient), True

    def _add_gradient_at(self, index: Any, gradient: Array) -> None:
        if not self.needs_gradient:
            return
        if self.grad is None:
            self.grad, self._own_grad = reused_memory.empty(self.shape, self.data.dtype), True
            self.grad.fill(0)
        elif not self._own_grad:
            self.grad, self._own_grad = self.grad.copy(), True
        add_at(self.grad, index, gradient)

    # ---- arithmetic -----------------------------------------------------------------------

    def __add__(self, other: Tensor | Scalar) -> Tensor:
        if not isinstance(other, Tensor):
            return self._result(self.data + other, "+", (self,), self.add_gradient)

        def backward(g: Array) -> None:
            self.add_gradient(_unbroadcast(g, self.shape))
            other.add_gradient(_unbroadcast(g, other.shape))

        if other.shape == self.shape[-1:] != ():
            data = channels.each(np.add, self.data, other.data)
        else:
            data = reused_memory.computed(np.add, self.data, other.data)
        return self._result(data, "+", (self, other), backward)

    def __sub__(self, other: Tensor | Scalar) -> Tensor:
        if not isinstance(other, Tensor):
            return self._result(self.data - other, "-", (self,), self.add_gradient)

        def backward(g: Array) -> None:
            self.add_gradient(_unbroadcast(g, self.shape))
            other.add_gradient(_unbroadcast(-g, other.shape))

        return self._result(self.data - other.data, "-", (self, other), backward)

    def __mul__(self, other: Tensor | Scalar) -> Tensor:
        if not isinstance(other, Tensor):
            return self._result(self.data * other, "*", (self,), lambda g: self.add_gradient(g * other))

        by_channel = other.shape == self.shape[-1:] != ()

        def backward(g: Array) -> None:
            if by_channel:
                self.add_gradient(channels.each(np.multiply, g, other.data))
                other.add_gradient(channels.dots(g, self.data))
                return
            self.add_gradient(_unbroadcast(g * other.data, self.shape))
            other.add_gradient(_unbroadcast(g * self.data, other.shape))

        if by_channel:
            data = channels.each(np.multiply, self.data, other.data)
        else:
            data = reused_memory.computed(np.multiply, self.data, other.data)
        return self._result(data, "*", (self, other), backward)

    def __pow__(self, power: Scalar) -> Tensor:
        def backward(g: Array) -> None:
            self.add_gradient(g * power * self.data ** (power - 1))

        return self._result(self.data**power, f"**{power}", (self,), backward)

    def __neg__(self) -> Tensor:
        return self._result(-self.data, "neg", (self,), lambda g: self.add_gradient(-g))

    def __truediv__(self, other: Tensor | Scalar) -> Tensor:
        return self * (other**-1.0 if isinstance(other, Tensor) else 1.0 / other)

    def __radd__(self, other: Scalar) -> Tensor:
        return self + other

    def __rmul__(self, other: Scalar) -> Tensor:
        return self * other

    def __rsub__(self, other: Scalar) -> Tensor:
        return -self + other

    def __rtruediv__(self, other: Scalar) -> Tensor:
        return self**-1.0 * other

    def scaled(self, power: int) -> Tensor:
        """x * 2**power."""
        return self * 2.0**power

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.dot(other)

    def dot(
        self, other: Tensor, accumulator: Accumulator | None = None, initial: Tensor | None = None
    ) -> Tensor:
        """`initial + self @ other`, as in `Number.dot`; the accumulator is ignored, only FixedArray models it."""

        def backward(g: Array) -> None:
            if initial is not None:
                initial.add_gradient(g)
            if other.needs_gradient:
                other.add_gradient(matmul_gradient.weight_gradient(self.data, other.data, g))
            if self.needs_gradient:
                self.add_gradient(matmul_gradient.row_gradient(self.data, other.data, g))

        if other.ndim == 2:
            shape, dtype = (*self.shape[:-1], other.shape[1]), np.result_type(self.data, other.data)
            product = np.matmul(self.data, other.data, out=reused_memory.empty(shape, dtype))
        else:
            product = matmul.grouped_matmul(self.data, other.data)
        if initial is None:
            return self._result(product, "@", (self, other), backward)
        product += initial.data
        return self._result(product, "@", (self, other, initial), backward)

    def matmul(self, other: Tensor) -> Tensor:
        """The product of two batches of matrices, (..., m, k) @ (..., k, n) -> (..., m, n)."""

        def backward(g: Array) -> None:
            self.add_gradient(_unbroadcast(g @ np.swapaxes(other.data, -1, -2), self.shape))
            other.add_gradient(_unbroadcast(np.swapaxes(self.data, -1, -2) @ g, other.shape))

        return self._result(np.matmul(self.data, other.data), "matmul", (self, other), backward)

    # ---- element by element ---------------------------------------------------------------

    def relu(self) -> Tensor:
        """max(x, 0); the gradient passes where x > 0."""
        zeros = np.zeros(self.shape[-1:], self.data.dtype)
        data = channels.each(np.maximum, self.data, zeros) if self.ndim else np.maximum(self.data, zeros)

        def backward(g: Array) -> None:
            passed = reused_memory.empty(data.shape, g.dtype)
            channels.in_one_pass((passed_where_positive, passed, g, data))
            self.add_gradient(passed)

        return self._result(data, "relu", (self,), backward)

    def _with(self, other: Tensor | Scalar) -> Tensor:
        """The operand as a tensor; a number has this one's type."""
        return other if isinstance(other, Tensor) else Tensor(np.asarray(other, self.data.dtype))

    def maximum(self, other: Tensor | Scalar) -> Tensor:
        """The element-wise maximum; for equal elements the gradient goes to this tensor."""
        other = self._with(other)
        first = self.data >= other.data

        def backward(g: Array) -> None:
            self.add_gradient(_unbroadcast(g * first, self.shape))
            other.add_gradient(_unbroadcast(g * ~first, other.shape))

        return self._result(np.maximum(self.data, other.data), "maximum", (self, other), backward)

    def minimum(self, other: Tensor | Scalar) -> Tensor:
        """The element-wise minimum; for equal elements the gradient goes to this tensor."""
        other = self._with(other)
        first = self.data <= other.data

        def backward(g: Array) -> None:
            self.add_gradient(_unbroadcast(g * first, self.shape))
            other.add_gradient(_unbroadcast(g * ~first, other.shape))

        return self._result(np.minimum(self.data, other.data), "minimum", (self, other), backward)

    def lookup(self, function: str, table: Table | None = None) -> Tensor:
        """A function of each element; with a table, the table's value with the function's gradient.

        The gradient of a table that no function made is the slope of its entries.
        """
        if table is not None and function not in FUNCTIONS:
            values, slopes = table.on_floats(self.data), table.slopes_on_floats(self.data)
            return self._result(
                values.astype(self.data.dtype),
                function,
                (self,),
                lambda g: self.add_gradient((g * slopes).astype(self.data.dtype)),
            )
        real = FUNCTIONS[function]
        exact = real.value(self.data)

        def backward(g: Array) -> None:
            self.add_gradient(g * real.gradient(self.data, exact))

        data = exact if table is None else table.on_floats(self.data).astype(self.data.dtype)
        return self._result(data, function, (self,), backward)

    def tanh(self) -> Tensor:
        """tanh(x)."""
        return self.lookup("tanh")

    def exp(self) -> Tensor:
        """exp(x)."""
        return self.lookup("exp")

    def log(self) -> Tensor:
        """log(x)."""
        return self._result(np.log(self.data), "log", (self,), lambda g: self.add_gradient(g / self.data))

    def cast(self, quantizer: Quantizer | None) -> Tensor:
        """Round to the quantizer's values; the gradient passes straight through where x was not clipped."""
        if quantizer is None:
            return self
        if hasattr(quantizer, "observe"):  # calibration observes, and does not round
            quantizer.observe(self.data)
            return self._result(self.data, quantizer.name, (self,), self.add_gradient)
        if hasattr(quantizer, "round_tensor"):  # a trained rounding
            rounded: Tensor = quantizer.round_tensor(self)
            return rounded
        data, name = quantizer.round_floats(self.data), quantizer.name or "cast"
        if not is_recording():
            return self._result(data, name, (self,), self.add_gradient)
        if quantizer.overflow is Overflow.WRAP:
            return self._result(data, name, (self,), self.add_gradient)
        inside = np.abs(data - self.data) <= quantizer.step
        return self._result(data, name, (self,), lambda g: self.add_gradient(g * inside))

    # ---- reductions -----------------------------------------------------------------------

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over the axes, or of all elements."""

        def backward(g: Array) -> None:
            if axis is not None and not keepdims:
                g = np.expand_dims(g, axis)
            self.add_gradient(np.broadcast_to(g, self.shape))

        return self._result(np.asarray(self.data.sum(axis, keepdims=keepdims)), "sum", (self,), backward)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The mean over the axes, or of all elements."""
        total = self.sum(axis, keepdims)
        return total * (total.data.size / self.data.size)

    def max(self, axis: int, keepdims: bool = False) -> Tensor:
        """The maximum along the axis; for equal elements the gradient goes to the first."""
        where = np.expand_dims(self.data.argmax(axis), axis)
        data = np.take_along_axis(self.data, where, axis)

        def backward(g: Array) -> None:
            whole = np.zeros_like(self.data)
            np.put_along_axis(whole, where, g if keepdims else np.expand_dims(g, axis), axis)
            self.add_gradient(whole)

        return self._result(data if keepdims else data.squeeze(axis), "max", (self,), backward)

    def argmax(self, axis: int = -1) -> Tensor:
        """The index of the largest element along the axis, of equal ones the first; it has no gradient."""
        return Tensor(self.data.argmax(axis).astype(self.data.dtype))

    def log_softmax(self) -> Tensor:
        """log(softmax) over the last axis, computed without overflow."""
        shifted = self.data - self.data.max(-1, keepdims=True)
        data = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

        def backward(g: Array) -> None:
            self.add_gradient(g - np.exp(data) * g.sum(-1, keepdims=True))

        return self._result(data, "log_softmax", (self,), backward)

    # ---- movement -------------------------------------------------------------------------

    def reshape(self, *shape: int) -> Tensor:
        """The elements in another shape; one length may be -1."""
        return self._result(
            self.data.reshape(shape), "reshape", (self,), lambda g: self.add_gradient(g.reshape(self.shape))
        )

    def transpose(self, *axes: int) -> Tensor:
        """The axes in another order."""
        back = tuple(np.argsort(axes))
        return self._result(
            self.data.transpose(axes), "transpose", (self,), lambda g: self.add_gradient(g.transpose(back))
        )

    @property
    def T(self) -> Tensor:
        """The tensor with its axes reversed."""
        return self.transpose(*range(self.ndim)[::-1])

    def __getitem__(self, index: Any) -> Tensor:
        if not isinstance(index, (int, slice)):
            refuse_masked(index)
        return self._result(self.data[index], "index", (self,), lambda g: self._add_gradient_at(index, g))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def take(self, indices: Tensor | ArrayLike, axis: int = 0) -> Tensor:
        """The rows at these indices (token ids), which are integers or a Tensor of integral values."""
        if isinstance(indices, Tensor):
            indices = _whole_numbers(indices.data)
        ids = checked_indices(indices, self.shape[axis])

        def backward(g: Array) -> None:
            whole = np.zeros_like(self.data)
            before = (slice(None),) * (axis % self.ndim)
            add_at(whole, (*before, ids), g)
            self.add_gradient(whole)

        return self._result(self.data.take(ids, axis), "take", (self,), backward)

    def concat(self, others: Sequence[Tensor], axis: int = -1) -> Tensor:
        """This tensor and the others, concatenated along the axis."""
        parts = (self, *others)
        ends = np.cumsum([part.shape[axis] for part in parts])[:-1]

        def backward(g: Array) -> None:
            for part, share in zip(parts, np.split(g, ends, axis), strict=True):
                part.add_gradient(share)

        return self._result(np.concatenate([part.data for part in parts], axis), "concat", parts, backward)

    def split(self, parts: int, axis: int = -1) -> tuple[Tensor, ...]:
        """`parts` equal parts along one axis."""
        size, rest = divmod(self.shape[axis], parts)
        if rest:
            raise ValueError(f"{self.shape[axis]} elements do not split into {parts} equal parts")
        before = (slice(None),) * (axis % self.ndim)
        places = [(*before, slice(i * size, (i + 1) * size)) for i in range(parts)]
        return tuple(self[place] for place in places)

    def windows(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
        lowest: bool = False,
        dilation: Pair = (1, 1),
    ) -> Tensor:
        """Every window of images (batch, height, width, channels), padded with 0 or, if `lowest`, with -inf.

        The result is (batch, rows, columns, taps, channels), with groups (batch, rows, columns, groups, taps, channels
        / groups).
        """
        if groups == 1 and dilation == (1, 1):
            return Windows(self, Geometry(kernel, stride, padding), lowest)
        fill = -np.inf if lowest else 0
        data = sliding_windows.windows(self.data, kernel, stride, padding, groups, fill, dilation)

        def backward(g: Array) -> None:
            added = sliding_windows.add_windows(g, self.shape, kernel, stride, padding, groups, dilation)
            self.add_gradient(added)

        return self._result(data, "windows", (self,), backward)

    def scan(
        self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None
    ) -> tuple[Any, ...]:
        """Iterate y_t, *states = step(each(x_t), *states) along axis 1; returns (all y stacked there, *final states).

        `each` does not depend on states, so it is applied to the whole sequence at once.
        """
        if is_recording() and is_fusing() and (fused := _fused_scan(self, step, states, each)) is not None:
            return fused
        prepared = self if each is None else each(self)
        outputs = []
        for t in range(self.shape[1]):
            now = tuple(p[:, t] for p in prepared) if isinstance(prepared, tuple) else prepared[:, t]
            output, *states = step(now, *states)
            outputs.append(output)
        return stack(outputs, axis=1), *states

    def zeros(self, *shape: int, like: Quantizer | None = None) -> Tensor:
        """Zeros (batch, *shape) of the same dtype: an initial state."""
        return Tensor(np.zeros((self.shape[0], *shape), self.data.dtype), needs_gradient=False)

    # ---- for training only ----------------------------------------------------------------

    def dropped(self, rate: float, rng: np.random.Generator | None) -> Tensor:
        """Dropout with probability `rate`; without a generator (inference) the tensor itself."""
        if rng is None or rate == 0:
            return self
        mask = ((rng.random(self.shape, np.float32) >= rate) / (1 - rate)).astype(self.data.dtype)
        return self._result(self.data * mask, "dropped", (self,), lambda g: self.add_gradient(g * mask))

    def move_towards(self, value: Array, share: float) -> None:
        """data += share * (value - data), in place and not recorded: a running average."""
        self.data += (share * (value - self.data)).astype(self.data.dtype)

    def standardized(self, eps: float) -> tuple[Tensor, Array, Array]:
        """((x - mean) / sqrt(variance + eps), mean, variance) over all axes but the last."""
        count = self.data.size // self.shape[-1]
        mean = channels.sums(self.data) / count
        normal = channels.each(np.subtract, self.data, mean)
        variance = channels.dots(normal, normal) / count
        inverse = 1 / np.sqrt(variance + self.data.dtype.type(eps))
        channels.each(np.multiply, normal, inverse, out=normal)

        def backward(g: Array) -> None:
            back = reused_memory.empty(g.shape, g.dtype)
            channels.in_one_pass(
                (np.multiply, back, normal, channels.dots(g, normal) / count),
                (np.subtract, back, g, back),
                (np.subtract, back, back, channels.sums(g) / count),
                (np.multiply, back, back, inverse),
            )
            self.add_gradient(back)

        result = self._result(normal, "standardized", (self,), backward)
        return result, mean, variance


class Windows(Tensor):
    """Lazy windows of images, copied only when `data` is read, which convolution and pooling avoid."""

    __slots__ = ("_copied", "flat", "geometry", "images", "lowest")

    def __init__(self, images: Tensor, geometry: Geometry, lowest: bool = False, flat: bool = False) -> None:
        self.images, self.geometry, self.lowest, self.flat = images, geometry, lowest, flat
        self.grad, self.operation, self._rank, self._own_grad = None, "windows", next_rank(), False
        self._copied: Array | None = None

        def backward(g: Array) -> None:  # it does not refer to `self`: the tape has no cycles
            taps = g.reshape(*g.shape[:3], geometry.taps, -1)
            added = sliding_windows.add_windows(
                taps, images.shape, geometry.kernel, geometry.stride, geometry.padding, 1
            )
            images.add_gradient(added)

        self._record((images,), backward)

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, rows, columns, taps, channels), or if flat (batch, rows, columns, taps * channels)."""
        batch, _, _, channels = self.images.shape
        taps = self.geometry.taps
        last = (taps * channels,) if self.flat else (taps, channels)
        return (batch, *self.geometry.positions(self.images.shape), *last)

    @property
    def ndim(self) -> int:
        """4 if flat, else 5."""
        return 4 if self.flat else 5

    @property
    def data(self) -> Array:  # type: ignore[override]
        """The windows, copied on first use."""
        if self._copied is None:
            at, fill = self.geometry, -np.inf if self.lowest else 0
            self._copied = sliding_windows.windows(
                self.images.data, at.kernel, at.stride, at.padding, 1, fill
            ).reshape(self.shape)
        return self._copied

    def reshape(self, *shape: int) -> Tensor:
        """The flat windows without a copy; any other shape copies them."""
        flat = (*self.shape[:3], self.geometry.taps * self.images.shape[-1])
        if shape in (flat, (-1, *flat[1:])):
            return Windows(self.images, self.geometry, self.lowest, True)
        return super().reshape(*shape)

    def dot(
        self, other: Tensor, accumulator: Accumulator | None = None, initial: Tensor | None = None
    ) -> Tensor:
        """A convolution, if flat and with a weight (taps * channels, outputs); else a product of copied windows."""
        images, geometry, weight = self.images, self.geometry, other.data
        if not self.flat or self.lowest or initial is not None or weight.ndim != 2:
            return super().dot(other, accumulator, initial)

        def backward(g: Array) -> None:
            if other.needs_gradient:
                other.add_gradient(convolution.weight_gradient(images.data, g, geometry))
            if images.needs_gradient:
                images.add_gradient(convolution.image_gradient(images.shape, weight, g, geometry))

        return self._result(
            convolution.convolve(images.data, weight, geometry), "@", (images, other), backward
        )

    def max(self, axis: int, keepdims: bool = False) -> Tensor:
        """Max pooling over the taps without copying the windows; other maxima copy them."""
        if axis != 3 or self.flat or keepdims:
            return super().max(axis, keepdims)
        images, geometry, fill = self.images, self.geometry, -np.inf if self.lowest else 0
        data = image_windows.pool(images.data, geometry, np.maximum, fill)

        def backward(g: Array) -> None:
            images.add_gradient(convolution.pool_max_gradient(images.data, data, g, geometry, fill))

        return self._result(data, "max", (images,), backward)

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """Sum pooling over the taps without copying the windows; other sums copy them."""
        if axis != 3 or self.flat or keepdims or self.lowest:
            return super().sum(axis, keepdims)
        images, geometry = self.images, self.geometry

        def backward(g: Array) -> None:
            images.add_gradient(convolution.pool_sum_gradient(images.shape, g, geometry))

        return self._result(image_windows.pool(images.data, geometry, np.add, 0), "sum", (images,), backward)


def _fused_scan(
    sequence: Tensor, step: Callable[..., Any], states: Sequence[Any], each: Callable[[Any], Any] | None
) -> tuple[Tensor, ...] | None:
    """The loop of `Tensor.scan` as one operation of the tape, or None if it must run on the tape.

    Only methods of layers are fused, because other functions may have side effects. Time is the first axis here, so
    that each step is contiguous.
    """
    if sequence.ndim != 3 or not isinstance(step, MethodType) or not is_dataclass(step.__self__):
        return None
    by_time = sequence.transpose(1, 0, 2)
    by_time.data = np.ascontiguousarray(by_time.data)
    prepared: Any = by_time if each is None else each(by_time)
    several = isinstance(prepared, tuple)
    xs: tuple[Tensor, ...] = prepared if several else (prepared,)
    dtype = xs[0].data.dtype
    same = all(isinstance(value, Tensor) and value.data.dtype == dtype for value in (*xs, *states))
    if not same or any(x.ndim != 3 for x in xs) or any(state.ndim != 2 for state in states):
        return None
    widths = [(x.shape[-1], x.needs_gradient) for x in xs]
    try:
        program = record_step(
            step,
            widths,
            [s.shape[1] for s in states],
            several,
            dtype,
            lambda value: isinstance(value, Tensor),
        )
    except NotFusable:
        return None
    run = FusedScan(program, [x.data for x in xs], [state.data for state in states])
    last_gradients: list[Array | None] = [None] * len(states)

    def backward(g: Array) -> None:
        first = run.backward(g, last_gradients)
        last_gradients[:] = [None] * len(states)
        for state, gradient in zip(states, first, strict=True):
            state.add_gradient(gradient)
        for number, place in enumerate(program.inputs):
            if place in program.wanted:
                xs[number].add_gradient(run.input_gradient(number))

    leaves = (op.leaf for op in program.operations if isinstance(op.leaf, Tensor))
    read = (x for x, place in zip(xs, program.inputs, strict=True) if place in program.wanted)
    ys = Tensor._result(run.y, "scan", (*read, *states, *leaves), backward)

    def last_state(number: int) -> Tensor:
        def backward_last(g: Array) -> None:
            before = last_gradients[number]
            last_gradients[number] = g if before is None else before + g
            if ys.grad is None:
                ys.grad = np.broadcast_to(np.zeros((), dtype), ys.shape)

        return Tensor._result(run.last(number), "scan", (ys,), backward_last)

    return ys, *(last_state(number) for number in range(len(states)))


def stack(parts: Sequence[Tensor], axis: int) -> Tensor:
    """Stack tensors of one shape along a new axis."""

    def backward(g: Array) -> None:
        for part, share in zip(parts, np.moveaxis(g, axis, 0), strict=True):
            part.add_gradient(share)

    return Tensor._result(np.stack([part.data for part in parts], axis), "stack", tuple(parts), backward)


def record(data: Array, operation: str, parents: tuple[Tensor, ...], backward: Backward) -> Tensor:
    """A result computed elsewhere, such as a loss; `backward` calls `add_gradient` of each parent."""
    return Tensor._result(data, operation, parents, backward)
