# SPDX-License-Identifier: MIT
"""Copies of values that are walked through in any order: a run has two loops over pixels, the others are unrolled."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.builder import Assembly
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import Path
from fixedpoint_nn.hardware.compiler.kernel_selection import pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import View, dense_axes

LOOPS = 2  # over pixels
MOST_PIECES = 512  # copies of one value, each a run of its own


def walkable(assembly: Assembly, view: View, path: Path) -> View:
    """The value as it is, or a copy if one run cannot walk through its pixels."""
    many = view.window is None and len(pixel_atoms(view.axes[:-1])) > LOOPS
    return dense(assembly, view, path) if many else view


def dense(assembly: Assembly, view: View, path: Path) -> View:
    """A copy in rows, piece by piece."""
    atoms = pixel_atoms(view.axes[:-1])
    outer, inner = atoms[:-LOOPS], atoms[-LOOPS:]
    if not outer or view.window is not None:
        return assembly.copied(view, path)
    pieces = prod(atom.size for atom in outer)
    if pieces > MOST_PIECES:
        raise LoweringError(
            f"walks through a value of shape {view.shape} in another order in {pieces} pieces, and {MOST_PIECES} is "
            "the most; move fewer axes at once"
        )
    target, strides = assembly.target(view.shape)
    step = prod(atom.size for atom in inner) * target.stride
    for number, chosen in enumerate(np.ndindex(*(atom.size for atom in outer))):
        offset = view.offset + sum(i * atom.stride for i, atom in zip(chosen, outer, strict=True))
        piece = View(view.buffer, offset, ((), *((atom,) for atom in inner), view.axes[-1]), view.format)
        assembly.copied(piece, path, replace(target, offset=number * step))
    return View(target.buffer, 0, dense_axes(view.shape, strides), view.format)
