# SPDX-License-Identifier: MIT
"""One step of a recurrent loop, written down once: the operations that `fused_scan` repeats for every step in time.

A step is called with `RecordedRows` in the place of tensors. Whatever these cannot do raises `NotFusable`, and
the loop runs on the tape, operation by operation.
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
    """The step does something that cannot be repeated without the tape."""


class Leaf(Protocol):
    """A value from outside of the step, such as a weight: the same at every step."""

    data: Array
    needs_gradient: bool

    def add_gradient(self, gradient: Array) -> None:
        """Add to its gradient."""


@dataclass(frozen=True)
class Operation:
    """`out` = verb(inputs, leaf); places number the values of a step in the order in which they were made."""

    verb: str
    out: int
    inputs: tuple[int, ...]
    leaf: Leaf | None = None
    setting: Any = None


class RecordedStep:
    """The values of a step (rows of a batch, so many columns each) and the operations between them."""

    def __init__(self, dtype: np.dtype[Any], is_leaf: Callable[[object], bool]) -> None:
        self.dtype = dtype
        self.is_leaf = is_leaf
        self.widths: list[int] = []
        self.operations: list[Operation] = []

    def new(self, width: int) -> RecordedRows:
        """A value that no operation makes: an input of the step."""
        self.widths.append(width)
        return RecordedRows(self, len(self.widths) - 1)

    def add(
        self, verb: str, width: int, inputs: tuple[int, ...], leaf: Leaf | None = None, setting: Any = None
    ) -> RecordedRows:
        """The result of an operation."""
        if leaf is not None and leaf.data.dtype != self.dtype:
            raise NotFusable(f"{leaf.data.dtype} and {self.dtype}")
        result = self.new(width)
        self.operations.append(Operation(verb, result.place, inputs, leaf, setting))
        return result


class RecordedRows:
    """A value of the step: its verbs write down what they would do."""

    __slots__ = ("place", "step")
    __array_ufunc__ = None

    def __init__(self, step: RecordedStep, place: int) -> None:
        self.step, self.place = step, place

    @property
    def width(self) -> int:
        """Columns."""
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
        """Times 2**power."""
        return self.__mul__(2.0**power)

    def __matmul__(self, other: Any) -> RecordedRows:
        return self.dot(other)

    def dot(self, other: Any, accumulator: Any = None, initial: Any = None) -> RecordedRows:
        """`initial + self @ other` with a matrix from outside of the step."""
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
        """max(x, 0)."""
        return self._changed("relu", None)

    def lookup(self, function: str, table: Table | None = None) -> RecordedRows:
        """The real function, or its table."""
        if FUNCTIONS[function].slope is None:
            raise NotFusable(f"the gradient of {function}, which needs what it was given")
        return self._changed("lookup", (FUNCTIONS[function], table))

    def tanh(self) -> RecordedRows:
        """The hyperbolic tangent."""
        return self.lookup("tanh")

    def exp(self) -> RecordedRows:
        """e**x."""
        return self.lookup("exp")

    def cast(self, quantizer: Quantizer | None) -> RecordedRows:
        """Rounded to the quantizer's values."""
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
        """Equal parts of the columns."""
        size, rest = divmod(self.width, parts)
        if rest or axis not in (-1, 1):
            raise NotFusable("unequal parts, or parts of the batch")
        return tuple(self[..., i * size : (i + 1) * size] for i in range(parts))


def _is_scalar(value: object) -> bool:
    return isinstance(value, (int, float))


@dataclass(frozen=True)
class StepProgram:
    """A whole step: places of what it reads and of what it gives."""

    dtype: np.dtype[Any]
    widths: tuple[int, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]  # parts of x
    wanted: frozenset[int]  # those that are read, and whose gradient is wanted
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
    """Call the step once with recorded rows of these widths.

    `inputs` gives the width of each part of its x, and whether its gradient is wanted; `several`: x is a tuple.
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
    """Those on which the outputs depend."""
    needed = []
    for operation in reversed(operations):
        if operation.out in outputs:
            outputs.update(operation.inputs)
            needed.append(operation)
    return tuple(reversed(needed))
