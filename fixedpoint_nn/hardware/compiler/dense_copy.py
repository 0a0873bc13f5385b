# SPDX-License-Identifier: MIT
"""Dense copies of views with any order of axes: a run has two loops over pixels, further ones are unrolled."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.computation import has_rows_first
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import Path
from fixedpoint_nn.hardware.compiler.kernel_selection import is_rows, pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import View, dense_axes, merge

LOOPS = 2  # over pixels
MOST_PIECES = 512  # runs per copy


def in_rows(view: View, lanes: int) -> bool:
    """Whether its channels are in rows for all lanes, wherever its buffer is placed."""
    return is_rows(view, (), lanes, view.place[1], view.buffer.register)


def is_flattened(view: View) -> bool:
    """Whether an axis has several strides, as of a flattened image."""
    return any(len(merge(axis)) > 1 for axis in view.axes[1:3])


def walkable(builder: Builder, view: View, path: Path) -> View:
    """The view, or a copy if one run cannot iterate over the pixels of a sample."""
    many = view.window is None and len(pixel_atoms(view.axes[1:-1])) > LOOPS
    return dense(builder, view, path) if many else view


def dense(builder: Builder, view: View, path: Path) -> View:
    """A copy in rows, sample by sample, in several runs if needed."""
    atoms = pixel_atoms(view.axes[:-1])
    outer, inner = atoms[:-LOOPS], atoms[-LOOPS:]
    if not outer or view.window is not None:
        target = builder.target(view.shape)[0] if has_rows_first(view.shape) else None
        return builder.copied(view, path, target)
    pieces = prod(atom.size for atom in outer)
    if pieces > MOST_PIECES:
        raise LoweringError(
            f"walks through a value of shape {view.shape} in another order in {pieces} pieces, and {MOST_PIECES} is "
            "the most; move fewer axes at once"
        )
    target, strides = builder.target(view.shape)
    step = prod(atom.size for atom in inner) * target.stride
    for number, chosen in enumerate(np.ndindex(*(atom.size for atom in outer))):
        offset = view.offset + sum(i * atom.stride for i, atom in zip(chosen, outer, strict=True))
        piece = View(view.buffer, offset, ((), *((atom,) for atom in inner), view.axes[-1]), view.format)
        builder.copied(piece, path, replace(target, offset=number * step))
    return View(target.buffer, 0, dense_axes(view.shape, strides), view.format)
