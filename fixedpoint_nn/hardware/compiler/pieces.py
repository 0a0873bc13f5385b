# SPDX-License-Identifier: MIT
"""Computations of more pixels than one run counts, as several of ranges of rows or columns.

A run has two loops over pixels, and its windows have positions of 13 bits. Results are written in order, so a piece is
a range of the outermost axis that has more than one pixel. A piece of an image with padding is an image of its own,
which begins at the first column that its windows read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import prod

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import place_pixels
from fixedpoint_nn.hardware.compiler.kernel_selection import pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, View

MOST = 4096  # pixels of a loop
# In an image: positions before it, of a window of at most 256, wrap to the others of 13 bits.
POSITIONS = 8192 - 256
MOST_PIECES = 512


def pieces(item: Compute) -> Iterator[Compute]:
    """The computation, or several for ranges of its pixels; raises if these are too many."""
    found = list(_pieces(item))
    if len(found) > MOST_PIECES:
        raise LoweringError(
            f"has rows of more than {MOST} pixels, which take {len(found)} runs, and {MOST_PIECES} is the most; "
            "split the image into narrower ones"
        )
    yield from found


def _pieces(item: Compute) -> Iterator[Compute]:
    views = list(item.views())
    if all(map(_fits, views)):
        yield item
        return
    shape = views[0].shape[:-1]
    axis = next(axis for axis, size in enumerate(shape) if size > 1)
    length = min((shape[axis] + 1) // 2, MOST)
    target, row = item.target, item.target.row if axis < len(shape) - 1 else 0
    words = prod(shape[axis + 1 : -1]) * row if row else prod(shape[axis + 1 :]) * target.stride
    for start in range(0, shape[axis], length):
        part = partial(_part, axis, start, start + length)
        yield from _pieces(
            replace(
                item,
                expression=item.expression.over_views(part),
                target=replace(target, offset=target.offset + start * words),
                declares=item.declares and start == 0,
            )
        )


def _fits(view: View) -> bool:
    """Whether one run counts all pixels and all positions of the view."""
    atoms = pixel_atoms(view.axes[:-1])
    window = view.window
    if len(atoms) > 2 or prod(atom.size for atom in atoms) == 1:
        return True
    x, y = place_pixels(atoms)
    if window is None or window is ALL_PADDING:
        return max(x.size, y.size) <= MOST
    last = max(window.x_origin + x.size * window.x_step, window.y_origin + y.size * window.y_step)
    return max(x.size, y.size) <= MOST and max(last, window.x_limit, window.y_limit) < POSITIONS


def _part(axis: int, start: int, stop: int, view: View) -> View:
    """The view of the pixels from `start` to `stop` of an axis."""
    part = view.index((*[slice(None)] * axis, slice(start, stop)))
    window, labels = view.window, {atom.label for atom in view.axes[axis]} - {""}
    if window is None or not labels:
        return part
    (label,) = labels
    origin, step, limit = (getattr(window, f"{label}_{field}") for field in ("origin", "step", "limit"))
    first = max(0, origin + start * step)
    last = origin + (min(stop, view.shape[axis]) - 1) * step - first + 256  # of the widest window
    moved = {f"{label}_origin": origin + start * step - first, f"{label}_limit": min(limit - first, last + 1)}
    return replace(part, window=replace(window, **moved))
