# SPDX-License-Identifier: MIT
"""Layers that only move elements: transposing, slicing, gathering, padding. Axis 0 is the batch and stays in place."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from fixedpoint_nn.layers.fields import cast_point, parameter
from fixedpoint_nn.numbers.number import Number
from fixedpoint_nn.numbers.sliding_windows import Pair
from fixedpoint_nn.numerics.quantizer import Quantizer


@dataclass(frozen=True)
class Transpose:
    """The axes in the order of `axes`, which lists all of them and begins with 0, the batch."""

    axes: tuple[int, ...]

    def __call__(self, x: Number) -> Any:
        return x.transpose(*self.axes)


@dataclass(frozen=True)
class Slice:
    """x[start:stop:step] along one axis; the step may be negative."""

    axis: int
    start: int | None = None
    stop: int | None = None
    step: int = 1

    def __call__(self, x: Number) -> Any:
        return along(x, self.axis, slice(self.start, self.stop, self.step))


@dataclass(frozen=True)
class Select:
    """The elements `indices` along one axis, in that order; an index may occur several times."""

    indices: tuple[int, ...]
    axis: int

    def __call__(self, x: Number) -> Any:
        first, repeats = _repeated(self.indices)
        axis = self.axis % x.ndim
        pieces = [along(x, axis, piece) for piece in progressions(first)]
        chosen = pieces[0].concat(pieces[1:], axis) if len(pieces) > 1 else pieces[0]
        if repeats == 1:
            return chosen
        shape = chosen.shape
        apart = chosen.reshape(*shape[: axis + 1], 1, *shape[axis + 1 :])
        several = apart.concat([apart] * (repeats - 1), axis + 1)
        return several.reshape(*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :])


@dataclass(frozen=True)
class Pad:
    """Padding of a sample: `widths` has (before, after) for each axis but the batch; a negative width crops.

    The padding is 0, or with `fill` other constants: `fill` has the shape of one padded sample, is added to it, and
    is 0 where the sample itself lies.
    """

    widths: tuple[Pair, ...]
    fill: Number | None = parameter(default=None)
    out: Quantizer | None = cast_point()

    def __call__(self, x: Number) -> Any:
        for axis, (before, after) in enumerate(self.widths, start=1):
            size = x.shape[axis]
            if min(before, after) < 0:
                x = along(x, axis, slice(max(-before, 0), size - max(-after, 0)))
        widths = [(max(before, 0), max(after, 0)) for before, after in self.widths]
        x = padded(x, widths)
        return (x if self.fill is None else x + self.fill).cast(self.out)


def along(x: Number, axis: int, part: slice) -> Any:
    """x sliced by `part` along one axis."""
    index = (*(slice(None),) * (axis % x.ndim), part)
    return x[index]


def padded(x: Number, widths: list[Pair]) -> Any:
    """x with zeros around each sample, `widths` per axis; expressed as `windows` of 1 x 1 with padding."""
    batch, *sizes = x.shape
    axis = 0
    while axis < len(sizes):
        if not any(widths[axis]):
            axis += 1
            continue
        together = 2 if axis + 1 < len(sizes) and any(widths[axis + 1]) else 1
        after = prod(sizes[axis + together :])
        image = (prod(sizes[:axis]), sizes[axis]) if together == 1 else (sizes[axis], sizes[axis + 1])
        if together == 2 and prod(sizes[:axis]) > 1:
            together, image, after = 1, (prod(sizes[:axis]), sizes[axis]), prod(sizes[axis + 1 :])
        edges = ((0, 0), widths[axis]) if together == 1 else (widths[axis], widths[axis + 1])
        x = x.reshape(batch, *image, after).windows((1, 1), (1, 1), edges)
        for number in range(axis, axis + together):
            sizes[number] += sum(widths[number])
        x = x.reshape(batch, *sizes)
        axis += together
    return x


def spread(x: Number, apart: Pair) -> Any:
    """(batch, height, width, channels) -> (batch, height * rows, width * columns, channels), `apart` = (rows, columns).

    Zeros follow each pixel, so that neighbouring pixels are `apart` from each other.
    """
    batch, height, width, channels = x.shape
    down, across = apart
    if across > 1:
        x = padded(x.reshape(batch, height * width, 1, channels), [(0, 0), (0, across - 1), (0, 0)])
        width *= across
        x = x.reshape(batch, height, width, channels)
    if down > 1:
        x = padded(x, [(0, 0), (0, (down - 1) * width), (0, 0)])  # rows of zeros after each row
        x = x.reshape(batch, height * down, width, channels)
    return x


def progressions(indices: tuple[int, ...]) -> list[slice]:
    """The indices as arithmetic progressions, each a slice and as long as possible."""
    found: list[slice] = []
    at = 0
    while at < len(indices):
        step = indices[at + 1] - indices[at] if at + 1 < len(indices) else 1
        end = at + 1
        while step and end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        step = step or 1
        stop = indices[end - 1] + (1 if step > 0 else -1)
        found.append(slice(indices[at], stop if stop >= 0 else None, step if end - at > 1 else 1))
        if end - at == 1:
            found[-1] = slice(indices[at], indices[at] + 1)
        at = end
    return found


def _repeated(indices: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The indices with runs of equal length removed, and the length of a run: (0, 0, 3, 3) is ((0, 3), 2)."""
    for repeats in range(len(indices), 1, -1):
        first = indices[::repeats]
        if len(indices) % repeats == 0 and all(
            index == first[at // repeats] for at, index in enumerate(indices)
        ):
            return first, repeats
    return indices, 1
