# SPDX-License-Identifier: MIT
"""`Traced`: a number with only a shape, a format and a place in a `Program`.

Every verb appends one node. Shapes and formats are not computed here: each verb is also applied to a `FixedArray` of
zeros, so shapes, formats and errors are those of the bit-accurate model by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fixedpoint_nn.numbers.fixed.array import Axis, FixedArray
from fixedpoint_nn.numbers.places import here
from fixedpoint_nn.numbers.traced.program import VERBS, Program, TracedNode
from fixedpoint_nn.numerics.qformat import QFormat

if TYPE_CHECKING:
    from fixedpoint_nn.numbers.sliding_windows import Padding, Pair
    from fixedpoint_nn.numerics.accumulator import Accumulator
    from fixedpoint_nn.numerics.quantizer import Quantizer
    from fixedpoint_nn.numerics.table import Table


class Traced:
    """A value of the program that is being recorded, with the verbs of a number."""

    __slots__ = ("place", "program", "zeros_of")
    __array_ufunc__ = None

    def __init__(self, program: Program, place: int, zeros_of: FixedArray) -> None:
        self.program = program
        self.place = place
        self.zeros_of = zeros_of

    @classmethod
    def argument(cls, program: Program, shape: tuple[int, ...], format: QFormat) -> Traced:
        """A new input of the program."""
        argument = cls._append(program, "input", (), _zeros(shape, format))
        program.inputs.append(argument.place)
        return argument

    @classmethod
    def _append(
        cls,
        program: Program,
        op: str,
        inputs: tuple[int, ...],
        zeros: FixedArray,
        name: str = "",
        value: FixedArray | None = None,
        body: Program | None = None,
        **attributes: Any,
    ) -> Traced:
        about = MappingProxyType(attributes)
        program.nodes.append(
            TracedNode(op, inputs, about, zeros.shape, zeros.format, name, value, body, here())
        )
        return cls(program, len(program.nodes) - 1, zeros)

    def _operand(self, other: Any) -> Traced:
        """The operand as a value of this program; numbers and integers become constants."""
        if isinstance(other, Traced):
            if other.program is not self.program:
                raise ValueError(
                    "a value from outside of a loop (or of another program) cannot be used inside it; "
                    "pass it as a state of `scan`"
                )
            return other
        if isinstance(other, int) and not isinstance(other, bool):
            other = FixedArray.from_ints(np.asarray(other), QFormat.of_int(other))
        if not isinstance(other, FixedArray):
            raise TypeError(
                f"a traced network holds FixedArrays, not {type(other).__name__}; quantize it first"
            )
        for place, node in enumerate(self.program.nodes):
            if node.value is other:
                return Traced(self.program, place, other)
        return self._append(self.program, "constant", (), other, value=other)

    def _record(self, op: str, *operands: Any, name: str = "", **attributes: Any) -> Traced:
        traced = [self._operand(operand) for operand in operands]
        zeros = VERBS[op](*(operand.zeros_of for operand in traced), **attributes)
        places = tuple(operand.place for operand in traced)
        return self._append(self.program, op, places, _zeros(zeros.shape, zeros.format), name, **attributes)

    # ---- what it is ----------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, for a batch of one."""
        return self.zeros_of.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def format(self) -> QFormat:
        """The format of the value in the bit-accurate model."""
        return self.zeros_of.format

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Traced(%{self.place}, {self.shape}, {self.format})"

    # ---- arithmetic ----------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Traced:
        return self._record("add", self, other)

    def __radd__(self, other: Any) -> Traced:
        return self._record("add", other, self)

    def __sub__(self, other: Any) -> Traced:
        return self._record("sub", self, other)

    def __rsub__(self, other: Any) -> Traced:
        return self._record("sub", other, self)

    def __mul__(self, other: Any) -> Traced:
        return self._record("mul", self, other)

    def __rmul__(self, other: Any) -> Traced:
        return self._record("mul", other, self)

    def __neg__(self) -> Traced:
        return self._record("neg", self)

    def __matmul__(self, other: Any) -> Traced:
        return self.dot(other)

    def __rmatmul__(self, other: Any) -> Traced:
        return self._record("dot", other, self, accumulator=None)

    def dot(self, other: Any, accumulator: Accumulator | None = None, initial: Any = None) -> Traced:
        """Record the product, exact or through an accumulator that starts from `initial`."""
        operands = (self, other) if initial is None else (self, other, initial)
        return self._record("dot", *operands, accumulator=accumulator)

    def matmul(self, other: Any) -> Traced:
        """Record the product of two batches of matrices."""
        return self._record("matmul", self, other)

    def relu(self) -> Traced:
        """Record max(x, 0)."""
        return self._record("relu", self)

    def scaled(self, power: int) -> Traced:
        """Record a multiplication by 2**power."""
        return self._record("scaled", self, power=power)

    def maximum(self, other: Any) -> Traced:
        """Record the element-wise maximum."""
        return self._record("maximum", self, other)

    def minimum(self, other: Any) -> Traced:
        """Record the element-wise minimum."""
        return self._record("minimum", self, other)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Traced:
        """Record the maximum along an axis, several axes, or all."""
        return self._record("max", self, axis=axis, keepdims=keepdims)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Traced:
        """Record the exact sum along an axis, several axes, or all."""
        return self._record("sum", self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int = -1) -> Traced:
        """Record the index of the largest element along the axis."""
        return self._record("argmax", self, axis=axis)

    def lookup(self, function: str, table: Table | None = None) -> Traced:
        """Record a function by its table."""
        return self._record("lookup", self, function=function, table=table)

    def cast(self, quantizer: Quantizer | None) -> Traced:
        """Record a cast; None records nothing."""
        return (
            self
            if quantizer is None
            else self._record("cast", self, quantizer=quantizer, name=quantizer.name)
        )

    # ---- movement ------------------------------------------------------------------------------------------

    def reshape(self, *shape: int) -> Traced:
        """Record a reshape, for a batch of any size."""
        if shape[:1] == (1,) == self.shape[:1] and -1 not in shape:
            shape = (-1, *shape[1:])  # for batches of any size
        return self._record("reshape", self, shape=shape)

    def transpose(self, *axes: int) -> Traced:
        """Record a transposition."""
        if axes[:1] != (0,):
            raise ValueError(f"the axes {axes} move the batch; it stays first")
        return self._record("transpose", self, axes=axes)

    @property
    def T(self) -> Traced:
        """The axes reversed, which the compiler refuses, because the batch must stay first."""
        return self.transpose(*range(self.ndim)[::-1])

    def take(self, indices: Any, axis: int = 0) -> Traced:
        """Record a lookup of rows by index."""
        if not isinstance(indices, Traced | FixedArray):
            raise TypeError(
                f"rows are taken by a value of the network, not by a {type(indices).__name__} of indices; use slices"
            )
        return self._record("take", self, indices, axis=axis)

    def taken_from(self, rows: Any, axis: int = 0) -> Traced:
        """Record `rows.take(self)`: rows of a constant, indexed by this value."""
        return self._record("take", rows, self, axis=axis)

    def __getitem__(self, index: Any) -> Traced:
        return self._record("index", self, index=index)

    def concat(self, others: Sequence[Any], axis: int = -1) -> Traced:
        """Record the concatenation of this value and the others along the axis."""
        return self._record("concat", self, *others, axis=axis)

    def split(self, parts: int, axis: int = -1) -> tuple[Traced, ...]:
        """Record equal parts along the axis, each as an index operation."""
        zeros = self.zeros_of.split(parts, axis)
        size = zeros[0].shape[axis]
        before = (slice(None),) * (axis % self.ndim)
        chosen = [(*before, slice(i * size, (i + 1) * size)) for i in range(parts)]
        return tuple(self[index] for index in chosen)

    def windows(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
        groups: int = 1,
        lowest: bool = False,
        dilation: Pair = (1, 1),
    ) -> Traced:
        """Record every window of (batch, height, width, channels)."""
        about: dict[str, Any] = {
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "groups": groups,
            "lowest": lowest,
        }
        if dilation == (1, 1):
            return self._record("windows", self, **about)
        return self._record("dilated_windows", self, **about, dilation=dilation)

    def zeros(self, *shape: int, like: Quantizer | None = None) -> Traced:
        """Record zeros of shape (batch, *shape), in the format of `like`."""
        return self._record("zeros", self, shape=shape, like=like)

    def scan(
        self, step: Callable[..., Any], *states: Any, each: Callable[[Any], Any] | None = None
    ) -> tuple[Traced, ...]:
        """Record a scan, with one step as its own program, whose inputs are x at time t and the states."""
        body = Program()
        traced = [self._operand(state) for state in states]
        now = self.argument(body, (self.shape[0], *self.shape[2:]), self.format)
        inside = [self.argument(body, state.shape, state.format) for state in traced]
        y, *after = step(now if each is None else each(now), *inside)
        y, after = now._operand(y), [now._operand(state) for state in after]
        for number, (before, then) in enumerate(zip(traced, after, strict=True)):
            if (before.shape, before.format) != (then.shape, then.format):
                raise ValueError(
                    f"state {number} of the loop is {before.shape} {before.format} before a step and "
                    f"{then.shape} "
                    f"{then.format} after it; cast it to one format at the end of the step, and start "
                    f"from that"
                )
        body.outputs = [y.place, *(state.place for state in after)]
        ys = _zeros((y.shape[0], self.shape[1], *y.shape[1:]), y.format)
        places = (self.place, *(state.place for state in traced))
        scan = self._append(self.program, "scan", places, ys, body=body)
        results = [ys, *(state.zeros_of for state in after)]
        return tuple(
            self._append(self.program, "result", (scan.place,), zeros, index=index)
            for index, zeros in enumerate(results)
        )


def _zeros(shape: tuple[int, ...], format: QFormat) -> FixedArray:
    return FixedArray.from_ints(np.zeros(shape, np.int64), format)


def trace(net: Callable[..., Any], shape: tuple[int, ...], format: QFormat) -> Program:
    """The program of a quantised network, for samples of this shape (without the batch axis) and format."""
    program = Program()
    result = net(Traced.argument(program, (1, *shape), format))
    results = result if isinstance(result, tuple) else (result,)
    for one in results:
        if not isinstance(one, Traced):
            raise TypeError(f"a network that is traced returns one number, not {type(one).__name__}")
    program.outputs = [one.place for one in results]
    return program
