# SPDX-License-Identifier: MIT
"""Buffers in the activation memory, and strided views of them.

A view has a tuple of atoms (size, stride) for every axis, so reshaping, slicing and the windows of a convolution move
no data; they only change strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair, output_size
from fixedpoint_nn.numerics.qformat import QFormat


@dataclass(frozen=True, eq=False)
class Register:
    """A register of the engine, which is added to addresses; a loop adds `stride` to it after every iteration."""

    stride: int = 0
    span: int = 0  # the total distance it moves


ZERO_REGISTER = Register()  # always 0


@dataclass(frozen=True, eq=False)
class Buffer:
    """A block of words, or a part of another buffer; compared by identity.

    `loop_register` is added to its addresses. `used` words are the rows of a loop; other words that move with them can
    follow. Constants are written before the program starts.
    """

    name: str
    words: int
    parent: Buffer | None = None
    offset: int = 0  # in the parent
    loop_register: Register | None = None
    constants: tuple[int, ...] | None = None
    keep: bool = False  # alive from the first item to the last
    used: int = 0

    @property
    def root(self) -> Buffer:
        """The outermost buffer that contains it."""
        return self if self.parent is None else self.parent.root

    @property
    def place(self) -> int:
        """The offset in the root buffer."""
        return self.offset + (0 if self.parent is None else self.parent.place)

    @property
    def register(self) -> Register | None:
        """The register that moves it, its own or its parent's."""
        if self.loop_register is not None or self.parent is None:
            return self.loop_register
        return self.parent.register


@dataclass(frozen=True)
class Atom:
    """A loop over `size` elements, `stride` words apart; `label` assigns it to a loop of a bounded window."""

    size: int
    stride: int
    label: str = ""


Axis = tuple[Atom, ...]


@dataclass(frozen=True)
class Window:
    """The bounds of windows with padding: positions outside 0..limit read padding."""

    x_origin: int
    y_origin: int
    x_step: int
    y_step: int
    x_limit: int
    y_limit: int
    lowest: bool


ALL_PADDING = Window(0, 0, 1, 1, 0, 0, lowest=False)  # every position is padding: all reads are 0


@dataclass(frozen=True)
class View:
    """A value in a buffer, with the atoms of each axis; the batch axis of a single sample has none."""

    buffer: Buffer
    offset: int
    axes: tuple[Axis, ...]
    format: QFormat
    window: Window | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(prod(atom.size for atom in axis) for axis in self.axes)

    @property
    def flat(self) -> View:
        """The view with the words of a sample on one axis."""
        return self.reshape((self.shape[0], prod(self.shape[1:])))

    @property
    def distance(self) -> int:
        """The words from a sample to the next one; of a single sample its size."""
        return self.axes[0][0].stride if self.axes[0] else prod(self.shape[1:])

    @property
    def place(self) -> tuple[Buffer, int]:
        """(root buffer, offset in it)."""
        return self.buffer.root, self.buffer.place + self.offset

    def sample(self, number: int) -> View:
        """The view of one sample; a view that has but one is that of all."""
        return self.index(slice(number, number + 1)) if self.axes[0] else self

    def reshape(self, shape: Sequence[int]) -> View:
        """The view with another shape; raises if that is impossible without a copy."""
        if prod(shape) != prod(self.shape):
            raise ValueError(f"{self.shape} and {tuple(shape)} do not have as many elements")
        atoms = merge([atom for axis in self.axes for atom in axis])
        axes: list[Axis] = []
        for size in reversed(shape):
            axis: list[Atom] = []
            missing = size
            while missing > 1:
                atom = atoms.pop()
                if atom.size <= missing and missing % atom.size == 0:
                    missing //= atom.size
                    axis.insert(0, atom)
                elif atom.size % missing == 0 and not atom.label:
                    axis.insert(0, Atom(missing, atom.stride))
                    atoms.append(Atom(atom.size // missing, atom.stride * missing))
                    missing = 1
                else:
                    raise LoweringError(
                        f"cuts through an axis by reshaping {self.shape} to {tuple(shape)}; keep its axes whole"
                    )
            axes.insert(0, tuple(axis))
        return replace(self, axes=tuple(axes))

    def index(self, index: Any) -> View:
        """The view indexed by integers and slices."""
        items = list(index) if isinstance(index, tuple) else [index]
        if Ellipsis in items:
            place = items.index(Ellipsis)
            items[place : place + 1] = [slice(None)] * (len(self.axes) - len(items) + 1)
        items += [slice(None)] * (len(self.axes) - len(items))
        offset = self.offset
        axes: list[Axis] = []
        for item, axis, size in zip(items, self.axes, self.shape, strict=True):
            if item == slice(None):
                axes.append(axis)
                continue
            merged = merge(axis)
            if len(merged) > 1:
                raise LoweringError(
                    f"takes [{item}] of a flattened axis, which is not lowered; index before the reshape"
                )
            atom = merged[0] if merged else Atom(1, 0)
            if isinstance(item, slice):
                start, stop, step = item.indices(size)
                count = len(range(start, stop, step))
                axes.append((Atom(count, atom.stride * step, atom.label),) if count > 1 else ())
            else:
                start = int(item) % size
            offset += start * atom.stride
        return replace(self, offset=offset, axes=tuple(axes))

    def windows(self, kernel: Pair, stride: Pair, padding: Padding, groups: int, lowest: bool) -> View:
        """The view of every window of an image, with the axes of `numbers.sliding_windows.windows`."""
        _, height, width, channels = self.shape
        rows = output_size(height, kernel[0], stride[0], padding[0])
        columns = output_size(width, kernel[1], stride[1], padding[1])
        (top, _), (left, _) = padding
        bounded = any(sum(pad) for pad in padding)
        y, x = (_only(merge(axis), "windows over") for axis in self.axes[1:3])
        label = (lambda name: name) if bounded else (lambda name: "")
        axes: list[Axis] = [
            self.axes[0],
            (Atom(rows, y.stride * stride[0], label("y")),),
            (Atom(columns, x.stride * stride[1], label("x")),),
            (Atom(kernel[0], y.stride, label("ky")), Atom(kernel[1], x.stride, label("kx"))),
        ]
        if groups == 1:
            axes.append(self.axes[3])
        else:
            channel, size = _only(merge(self.axes[3]), "groups of"), channels // groups
            axes.insert(3, (Atom(groups, channel.stride * size),))
            axes.append((Atom(size, channel.stride),))
        window = Window(-left, -top, stride[1], stride[0], width, height, lowest) if bounded else None
        offset = self.offset - top * y.stride - left * x.stride
        return replace(self, offset=offset, axes=tuple(axes), window=window)


def merge(atoms: Sequence[Atom]) -> list[Atom]:
    """The same loops in as few atoms as possible, outermost first."""
    merged: list[Atom] = []
    for atom in atoms:
        if atom.size == 1:
            continue
        last = merged[-1] if merged else None
        if last is not None and not last.label and not atom.label and last.stride == atom.size * atom.stride:
            merged[-1] = Atom(last.size * atom.size, atom.stride)
        else:
            merged.append(atom)
    return merged


def _only(atoms: list[Atom], what: str) -> Atom:
    if len(atoms) > 1:
        raise LoweringError(
            f"takes {what} a flattened axis, which is not lowered; keep the image's axes apart"
        )
    return atoms[0] if atoms else Atom(1, 0)


def dense_axes(shape: Sequence[int], strides: Sequence[int]) -> tuple[Axis, ...]:
    """Axes of one atom each."""
    return tuple(
        () if size == 1 else (Atom(size, stride),) for size, stride in zip(shape, strides, strict=True)
    )
