# SPDX-License-Identifier: MIT
"""Computations of a batch that need several runs.

A run has two loops over pixels. The samples of a dense layer are pixels of one run, so all of them use a row of weights
after it is read once. Images already take both loops. Then each sample has a run of its own, or, where images have
fewer rows than there are samples, each row has one for all samples: a loop over samples takes the place of the loop
over rows, in which the window stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod

from fixedpoint_nn.hardware.compiler.dense_copy import LOOPS
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel_selection import pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, View


def by_sample(item: Compute) -> Iterator[Compute]:
    """The computation of all samples, or one for each of them, or one for each row of all images."""
    if item.target.rows_first and any(item.expression.parts):
        turned = replace(item, expression=item.expression.over_views(_rows_before_samples))
        for row in _one_by_one(turned, _row_of_all):
            yield from _one_by_one(row, _sample)
    else:
        yield from _one_by_one(item, _sample)


def _one_by_one(item: Compute, part: Callable[[int, View], View]) -> Iterator[Compute]:
    """The computation, or one for each index of the first axis if a run has too few loops for all of them."""
    views = list(item.views())
    if not any(map(_needs_more_loops, views)):
        yield item
        return
    target, (count, *pixels, _) = item.target, views[0].shape
    words = pixels[0] * target.row if target.row else prod(pixels) * target.stride
    for number in range(count):
        yield replace(
            item,
            expression=item.expression.over_views(partial(part, number)),
            target=replace(target, offset=target.offset + number * words),
            declares=item.declares and number == 0,
        )


def _needs_more_loops(view: View) -> bool:
    """Whether one run cannot walk through all samples of the view."""
    atoms = pixel_atoms(view.axes[:-1])
    moves = view.window not in (None, ALL_PADDING)
    return len(atoms) > LOOPS or (moves and any(not atom.label for atom in atoms))


def _sample(number: int, view: View) -> View:
    return view.sample(number)


def _rows_before_samples(view: View) -> View:
    batch, rows, *others = view.axes
    return replace(view, axes=(rows, batch, *others))


def _row_of_all(number: int, view: View) -> View:
    """A row of all images, without its axis; with padding, the loop over samples is that over rows."""
    row, window = view.sample(number), view.window
    _, batch, *others = row.axes
    if window is None:
        return replace(row, axes=(batch, *others))
    samples = tuple(replace(atom, label="y") for atom in batch)
    window = replace(window, y_origin=window.y_origin + number * window.y_step, y_step=0)
    return replace(row, axes=(samples, *others), window=window)
