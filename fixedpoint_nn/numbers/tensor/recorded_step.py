# SPDX-License-Identifier: MIT
"""Recording of one step of a recurrent loop: the operations that `fused_scan` repeats for every time step.

The step is called with `RecordedRows` instead of tensors. An unsupported operation raises `NotFusable`, and the loop
runs on the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fixedpoint_nn.numbers.functions import FUNCTIONS
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.table import Table


class NotFusable(Exception):
    """Raised for a step with an operation that cannot be fused."""


class Leaf(Protocol):
    """A value from outside the step, such as a weight, that is the same at every time step."""

    data: Array
    needs_gradient: bool

    def add_gradient(self, gradient: Array) -> None:
        """Add to its gradient."""


@dataclass(frozen=True)
class Operation:
    """`out` = verb(inputs, leaf); values of a step are numbered ("places") in the order of creation."""

    verb: str
    out: int
    inputs: tuple[int, ...]
    leaf: Leaf | None = None
    setting: Any = None


class RecordedStep:
    """The values of a step, (rows of the batch, width) each, and its operations."""

    def __init__(self, dtype: np.dtype[Any], is_leaf: Callable[[object], bool]) -> None:
        self.dtype = dtype
        self.is_leaf = is_leaf
        self.widths: list[int] = []
        self.operations: list[Operation] = []

    def new(self, width: int) -> RecordedRows:
        """A new input of the step, with `width` columns."""
        self.widths.append(width)
        return RecordedRows(self, len(self.widths) - 1)

    def add(
        self, verb: str, width: int, inputs: tuple[int, ...], leaf: Leaf | None = None, setting: Any = None
    ) -> RecordedRows:
        """Record an operation; returns its result."""
        if leaf is not None and leaf.data.dtype != self.dtype:
            raise NotFusable(f"{leaf.data.dtype} and {self.dtype}")
        result = self.new(width)
        self.operations.append(Operation(verb, result.place, inputs, leaf, setting))
        return result


class RecordedRows:
    """A value of the step, whose verbs record operations."""

    __slots__ = ("place", "step")
    __array_ufunc__ = None

    def __init__(self, step: RecordedStep, place: int) -> None:
        self.step, self.place = step, place

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.step.widths[self.place]

    def __getattr__(self, name: str) -> Any:
        raise NotFusable(name)

    # ---- with another value ----------------------------------------------------------------

    def _with(self, verb: str, other: Any) -> RecordedRows:
        if isinstance(other, RecordedRows):
            if other.step is not self.step or other.width != self.width:
                raise NotFusable("values of two shapes, or of two loops")
            return self.step.add(verb, self.width, (self.place, other.place))
        if self.step.is_leaf(other) and other.data.shape == (self.width,):
            return self.step.add(f"{verb}_leaf", self.width, (self.place,), other)
        raise NotFusable(f"{verb} of {type(other).__name__}")

    def __add__(self, other: Any) -> RecordedRows:
        return self._changed("shift", other) if _is_scalar(other) else self._with("add", other)

    def __radd__(self, other: Any) -> RecordedRows:
        return self.__add__(other)

    def __sub__(self, other: Any) -> RecordedRows:
        return self._changed("shift", -other) if _is_scalar(other) else self._with("sub", other)

    def __rsub__(self, other: Any) -> RecordedRows:
        return self.__neg__().__add__(other)

    def __mul__(self, other: Any) -> RecordedRows:
        return self._changed("scale", other) if _is_scalar(other) else self._with("mul", other)

    def __rmul__(self, other: Any) -> RecordedRows:
        return self.__mul__(other)

    def __neg__(self) -> RecordedRows:
        return self._changed("scale", -1.0)

    def scaled(self, power: int) -> RecordedRows:
        """Record x * 2**power."""
        return self.__mul__(2.0**power)

    def __matmul__(self, other: Any) -> RecordedRows:
        return self.dot(other)

    def dot(self, other: Any, accumulator: Any = None, initial: Any = None) -> RecordedRows:
        """Record `initial + self @ other` with a matrix from outside the step."""
        if not self.step.is_leaf(other) or other.data.ndim != 2:
            raise NotFusable("a product with something else than a matrix")
        width = other.data.shape[1]
        if initial is None:
            return self.step.add("dot", width, (self.place,), other)
        if not isinstance(initial, RecordedRows) or initial.step is not self.step or initial.width != width:
            raise NotFusable("a product that starts from something else than rows")
        return self.step.add("dot", width, (self.place, initial.place), other)

    # ---- element by element ----------------------------------------------------------------

    def _changed(self, verb: str, setting: Any) -> RecordedRows:
        return self.step.add(verb, self.width, (self.place,), None, setting)

    def relu(self) -> RecordedRows:
        """Record max(x, 0)."""
        return self._changed("relu", None)

    def lookup(self, function: str, table: Table | None = None) -> RecordedRows:
        """Record a function, or its table."""
        if table is not None and function not in FUNCTIONS:
            raise NotFusable(f"the gradient of the table {function}")
        if FUNCTIONS[function].slope is None:
            raise NotFusable(f"the gradient of {function}, which needs what it was given")
        return self._changed("lookup", (FUNCTIONS[function], table))

    def tanh(self) -> RecordedRows:
        """Record tanh(x)."""
        return self.lookup("tanh")

    def exp(self) -> RecordedRows:
        """Record exp(x)."""
        return self.lookup("exp")

    def cast(self, quantizer: Quantizer | None) -> RecordedRows:
        """Record a rounding to the quantizer's values."""
        if quantizer is None:
            return self
        if hasattr(quantizer, "observe") or hasattr(quantizer, "round_tensor"):
            raise NotFusable(
                "an observer looks at every step, a rounding that is trained has a gradient of its own"
            )
        return self._changed("cast", quantizer)

    # ---- movement --------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> RecordedRows:
        if isinstance(index, tuple) and len(index) == 2 and index[0] in (Ellipsis, slice(None)):
            columns = index[1]
            if isinstance(columns, slice) and columns.step in (None, 1):
                start, stop, _ = columns.indices(self.width)
                if stop > start:
                    return self.step.add("view", stop - start, (self.place,), None, start)
        raise NotFusable(f"index {index}")

    def split(self, parts: int, axis: int = -1) -> tuple[RecordedRows, ...]:
        """Record equal parts of the columns."""
        size, rest = divmod(self.width, parts)
        if rest or axis not in (-1, 1):
            raise NotFusable("unequal parts, or parts of the batch")
        return tuple(self[..., i * size : (i + 1) * size] for i in range(parts))


def _is_scalar(value: object) -> bool:
    return isinstance(value, (int, float))


@dataclass(frozen=True)
class StepProgram:
    """A recorded step: its operations, and the places of inputs, states and outputs."""

    dtype: np.dtype[Any]
    widths: tuple[int, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]  # parts of x
    wanted: frozenset[int]  # those that are read and need a gradient
    states: tuple[int, ...]
    y: int
    after: tuple[int, ...]  # the next states


def record_step(
    step: Callable[..., Any],
    inputs: Sequence[tuple[int, bool]],
    states: Sequence[int],
    several: bool,
    dtype: np.dtype[Any],
    is_leaf: Callable[[object], bool],
) -> StepProgram:
    """Record a step by calling it once; raises NotFusable.

    `inputs` has (width, whether its gradient is wanted) for each part of x, which is a tuple if `several`.
    """
    recorded = RecordedStep(dtype, is_leaf)
    xs = tuple(recorded.new(width) for width, _ in inputs)
    before = tuple(recorded.new(width) for width in states)
    y, *after = step(xs if several else xs[0], *before)
    made = {operation.out for operation in recorded.operations}
    if len(after) != len(states) or not all(
        isinstance(result, RecordedRows) and result.place in made for result in (y, *after)
    ):
        raise NotFusable("an output that no operation makes")
    if [result.width for result in after] != list(states):
        raise NotFusable("states that change their shape")
    operations = _needed(recorded.operations, {y.place, *(result.place for result in after)})
    read = {place for operation in operations for place in operation.inputs}
    return StepProgram(
        dtype,
        tuple(recorded.widths),
        operations,
        tuple(x.place for x in xs),
        frozenset(x.place for x, (_, wanted) in zip(xs, inputs, strict=True) if wanted and x.place in read),
        tuple(state.place for state in before),
        y.place,
        tuple(result.place for result in after),
    )


def _needed(operations: Sequence[Operation], outputs: set[int]) -> tuple[Operation, ...]:
    """The operations on which the outputs depend."""
    needed = []
    for operation in reversed(operations):
        if operation.out in outputs:
            outputs.update(operation.inputs)
            needed.append(operation)
    return tuple(reversed(needed))
