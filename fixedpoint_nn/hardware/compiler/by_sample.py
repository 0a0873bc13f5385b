# SPDX-License-Identifier: MIT
"""Computations of a batch that need a run for each sample.

A run has two loops over pixels. The samples of a dense layer are pixels of one run, so all of them use a row of weights
after it is read once. Windows already take both loops: each sample has a run of its own, with the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from operator import methodcaller

from fixedpoint_nn.hardware.compiler.dense_copy import LOOPS
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel_selection import pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import View


def by_sample(item: Compute) -> Iterator[Compute]:
    """The computation of all samples, or one for each of them."""
    samples, *rows, _ = item.expression.shape
    if samples == 1 or not any(map(_needs_more_loops, item.views())):
        yield item
        return
    target = item.target
    words = prod(rows) * target.stride if not target.row else prod(rows[:-1]) * target.row
    for sample in range(samples):
        one = methodcaller("sample", sample)
        parts = tuple(tuple(term.over_views(one) for term in part) for part in item.expression.parts)
        yield replace(
            item,
            expression=replace(item.expression, shape=(1, *item.expression.shape[1:]), parts=parts),
            target=replace(target, offset=target.offset + sample * words),
            declares=item.declares and sample == 0,
        )


def _needs_more_loops(view: View) -> bool:
    """Whether one run cannot walk through all samples of the view."""
    atoms = pixel_atoms(view.axes[:-1])
    return bool(view.axes[0]) and (len(atoms) > LOOPS or any(atom.label for atom in atoms))
