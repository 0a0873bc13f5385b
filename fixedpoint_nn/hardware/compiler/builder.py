# SPDX-License-Identifier: MIT
"""The engine's program under construction: items, buffers, constants, registers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression, Product, Scale, load
from fixedpoint_nn.hardware.compiler.ir import Item
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Path, Target
from fixedpoint_nn.hardware.compiler.kernel_selection import build
from fixedpoint_nn.hardware.compiler.operand_layout import Operands
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View, Window, dense_axes
from fixedpoint_nn.hardware.isa.config import LANES
from fixedpoint_nn.numbers.fixed.array import FixedArray

ALL_PADDING = Window(0, 0, 1, 1, 0, 0, lowest=False)


@dataclass
class Assembly:
    """Items in the order of execution; `emit` turns an expression into kernels."""

    lanes: int
    items: list[Item] = field(default_factory=list)
    buffers: list[Buffer] = field(default_factory=list)
    constants: dict[bytes, View] = field(default_factory=dict)
    layer: str = ""
    taken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.lanes not in LANES:
            raise LoweringError(
                f"The network does not fit any engine: lanes = {self.lanes!r} is no engine; "
                "use 1, 2, 4, 8, 16 or 32."
            )

    @contextmanager
    def block(self) -> Iterator[list[Item]]:
        """What is emitted inside goes to the list that this gives: the body of a loop."""
        outer, self.items = self.items, []
        try:
            yield self.items
        finally:
            self.items = outer

    # ---- memory --------------------------------------------------------------------------------------------

    def padded(self, words: int) -> int:
        return -(-words // self.lanes) * self.lanes

    def buffer(self, name: str, words: int, **options: object) -> Buffer:
        buffer = Buffer(name, self.padded(max(words, 1)), **options)  # type: ignore[arg-type]
        self.buffers.append(buffer)
        return buffer

    def target(self, shape: Sequence[int], padded: bool = True) -> tuple[Target, tuple[int, ...]]:
        """A new buffer for a value, and its strides: pixel after pixel, from row to row if `padded`."""
        channels = shape[-1]
        pixels = prod(shape[1:-1])
        stride = self.padded(channels) if padded and pixels > 1 else channels
        strides = [1]
        for size in reversed(shape[1:-1]):
            strides.insert(0, stride)
            stride *= size
        buffer = self.buffer(self.layer, stride)
        pixel = strides[-2] if len(strides) > 1 else channels
        return Target(buffer, 0, pixel), (0, *strides)

    def constant(self, value: FixedArray) -> View:
        """A constant in the activation memory, pixel after pixel."""
        channels = value.shape[-1] if value.ndim else 1
        stride = self.padded(channels) if value.size > channels else channels
        key = value.ints.tobytes() + repr((value.shape, value.format)).encode()
        if key not in self.constants:
            table = np.zeros((value.size // channels, stride), np.int64)
            table[:, :channels] = value.ints.reshape(-1, channels)
            buffer = self.buffer("constant", table.size, constants=table.reshape(-1).tolist(), keep=True)
            strides, walk = [1], stride
            for size in reversed(value.shape[:-1]):
                strides.insert(0, walk)
                walk *= size
            self.constants[key] = View(buffer, 0, dense_axes(value.shape or (1,), strides), value.format)
        return self.constants[key]

    def take_register(self, register: Register) -> None:
        """One of the engine's registers, until it is given back."""
        if register.number == 0:
            free = [number for number in range(1, 8) if number not in self.taken]
            if not free:
                raise LoweringError(
                    "needs more than the engine's seven registers; use fewer sequences in one loop"
                )
            register.number = free[0]
            self.taken.add(free[0])

    def give_register(self, register: Register) -> None:
        self.taken.discard(register.number)

    # ---- kernels -------------------------------------------------------------------------------------------

    def emit(self, expression: Expression, target: Target | None, path: Path, padded: bool = True) -> View:
        """Compute an expression into memory; the view of the result."""
        expression = Operands(self, path, target).arranged(expression)
        if target is None:
            target, strides = self.target(expression.shape, padded)
            axes = dense_axes(expression.shape, strides)
        else:
            walk, strides = target.stride, (1,)
            for size in reversed(expression.shape[1:-1]):
                strides = (walk, *strides)
                walk *= size
            axes = dense_axes(expression.shape, (0, *strides)[-len(expression.shape) :])
        width = expression.channels // len(expression.parts)
        for number, terms in enumerate(expression.parts):
            columns = slice(number * width, (number + 1) * width)
            place = replace(target, offset=target.offset + number * width)
            if len(terms) > 1 or isinstance(terms[0], Product):
                for term in terms:
                    term.view.buffer.distance_fixed = True
                    if isinstance(term, Product):
                        term.other.buffer.distance_fixed = True
            self.items.append(build(self.layer, path, expression, terms, columns, place, self.lanes))
        return View(target.buffer, target.offset, axes, expression.format)

    def search_in_last(self, write: bool) -> None:
        """The kernel that was emitted last also searches for its largest word; its words are written only if asked."""
        kernel = self.items.pop()
        assert isinstance(kernel, Kernel)
        self.items.append(replace(kernel, argmax=True, write=write))

    def fill(self, value: FixedArray, target: Target) -> None:
        """Constants into memory at run time: every tap is outside of the image, so the result is the bias."""
        size = value.size
        view = View(target.buffer, target.offset, dense_axes((1, size), (0, 0)), value.format, ALL_PADDING)
        term = Scale(view, np.zeros((1, size), np.int64), value.format.frac_bits)
        filled = Expression(
            (1, size), value.format, ((term,),), value.ints.reshape(-1), value.format.frac_bits
        )
        self.items.append(build(self.layer, (), filled, (term,), slice(None), target, self.lanes))

    def copied(self, view: View, path: Path, target: Target | None = None) -> View:
        """The same integers elsewhere, in rows."""
        return self.emit(load(view), target, path)
