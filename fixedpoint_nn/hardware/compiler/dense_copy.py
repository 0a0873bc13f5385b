# SPDX-License-Identifier: MIT
"""Dense copies of views with any order of axes: a run has two loops over pixels, further ones are unrolled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Protocol

import numpy as np

from fixedpoint_nn.hardware.compiler.computation import has_rows_first
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Expression
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.kernel_selection import is_rows, pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import View, dense_axes, merge

LOOPS = 2  # over pixels
MOST_PIECES = 512  # runs per copy


class Copier(Protocol):
    """What copies take: the program under construction."""

    def target(self, shape: Sequence[int], in_rows: bool = True) -> tuple[Target, tuple[int, ...]]:
        """(new buffer for a value, its strides)."""

    def copied(self, view: View, path: Path, target: Target | None = None, **options: Any) -> View:
        """Append a copy of a view; returns the view of the copy."""


def in_rows(view: View, lanes: int) -> bool:
    """Whether its channels are in rows for all lanes, wherever its buffer is placed."""
    return is_rows(view, (), lanes, view.place[1], view.buffer.register)


def is_flattened(view: View) -> bool:
    """Whether an axis has several strides, as of a flattened image."""
    return any(len(merge(axis)) > 1 for axis in view.axes[1:3])


def walkable(builder: Copier, view: View, path: Path) -> View:
    """The view, or a copy if one run cannot iterate over the pixels of a sample."""
    return dense(builder, view, path) if has_more_loops(view) else view


def has_more_loops(view: View) -> bool:
    """Whether one run cannot iterate over the pixels of a sample."""
    return view.window is None and len(pixel_atoms(view.axes[1:-1])) > LOOPS


def all_walkable(builder: Copier, expression: Expression, path: Path) -> Expression:
    """The expression over walkable views; one that sums along an axis of its view keeps its views."""
    terms = expression.terms
    if any(getattr(term, "over", ()) for term in terms) or not any(
        has_more_loops(view) for term in terms for view in term.views()
    ):
        return expression
    return expression.over_views(lambda view: walkable(builder, view, path))


def dense(builder: Copier, view: View, path: Path) -> View:
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
