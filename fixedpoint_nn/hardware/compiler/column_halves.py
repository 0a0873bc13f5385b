# SPDX-License-Identifier: MIT
"""Storing even and odd columns of an image separately, so that all lanes compute maxima of pairs of columns.

Max pooling of 2 x 2 pixels with few channels would use only as many lanes as there are channels. If the pixels of an
image are computed side by side (grouping.py), each row can be written as two halves:

    row y:  [ pixels 0, 2, 4 ... | pixels 1, 3, 5 ... ]        each half from the start of a row of the memory on

Then a window is four words of the same lane, and all pixels of a row are computed at once.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.builder import Builder
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Scale
from fixedpoint_nn.hardware.compiler.grouping import pixels_side_by_side
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.strided_view import Atom, View, dense_axes, merge
from fixedpoint_nn.hardware.compiler.uses import Consumers


def halves(
    builder: Builder, consumers: Consumers, place: int, path: Path, expression: Expression
) -> View | None:
    """The value in halves, if it is read so and can be computed so; else None."""
    users = consumers.users[place]
    if builder.words == 1 or len(users) != 1 or not _pooled(consumers, users[0]):
        return None
    if len(expression.parts) != 1 or len(expression.terms) != 1 or len(expression.shape) != 4:
        return None
    (dot,) = expression.terms
    samples, height, width, channels = expression.shape
    if not isinstance(dot, Dot) or expression.accumulator is not None or width % 2:
        return None
    columns = [_every_second(dot.view, first) for first in (0, 1)]
    if not all(
        pixels_side_by_side(
            builder.lanes, builder.words, channels, merge(view.axes[2]), dot.view.axes[3], view.window
        )
        for view in columns
    ):
        return None
    size = width // 2 * channels
    half = builder.padded(size)
    image = 2 * half * height
    buffer = builder.buffer(builder.layer, image * samples)
    shape = (samples, height, width // 2, channels)
    for first, view in enumerate(columns):
        part = replace(expression, shape=shape, parts=((replace(dot, view=view),),))
        builder.compute(part, Target(buffer, first * half, channels, row=2 * half), path)
    (batch,) = dense_axes((samples,), (image,))
    axes = (
        batch,
        (Atom(height, 2 * half),),
        (Atom(width // 2, channels), Atom(2, half)),
        (Atom(channels, 1),),
    )
    return View(buffer, 0, axes, expression.format)


def _pooled(consumers: Consumers, user: int) -> bool:
    """Whether the value is read only by max pooling over windows of two columns."""
    program = consumers.program
    node = program.nodes[user]
    about = node.attributes
    if node.op != "windows" or about["kernel"] != (2, 2) or about["stride"] != (2, 2) or about["groups"] != 1:
        return False
    if any(sum(pad) for pad in about["padding"]) or user in program.outputs:
        return False
    readers = [program.nodes[reader] for reader in consumers.users[user]]
    return [(reader.op, reader.attributes) for reader in readers] == [("max", {"axis": 3, "keepdims": False})]


def _every_second(view: View, first: int) -> View:
    """The pixels of every second column."""
    chosen = view.index((slice(None), slice(None), slice(first, None, 2)))
    window = view.window
    if window is not None:
        origin = window.x_origin + first * window.x_step
        window = replace(window, x_origin=origin, x_step=2 * window.x_step)
    return replace(chosen, window=window)


def windows_of_halves(view: View) -> View:
    """Windows of 2 x 2 pixels of an image in halves, in the axes of `View.windows`."""
    batch, (row,), (pixels, pair), channels = view.axes
    rows = (Atom(row.size // 2, 2 * row.stride),)
    return replace(view, axes=(batch, rows, (pixels,), (Atom(2, row.stride), pair), channels))


def maximum_of_halves(builder: Builder, view: View, path: Path) -> View:
    """Append max pooling of an image in halves; returns the view of the result."""
    batch, rows, (pixels,), over, (channels,) = view.axes
    samples, height = (prod(atom.size for atom in axis) for axis in (batch, rows))
    size = pixels.size * channels.size
    row = replace(view, axes=(batch, rows, (Atom(size, 1),)))
    taps = prod(atom.size for atom in over)
    scale = Scale(row, np.ones((taps, size), np.int64), view.format.frac_bits, over, maximum=True)
    target = Target(builder.buffer(builder.layer, samples * height * size), 0, size)
    found = builder.compute(Expression((samples, height, size), view.format, ((scale,),)), target, path)
    shape = (samples, height, pixels.size, channels.size)
    return replace(found, axes=dense_axes(shape, (height * size, size, channels.size, 1)))
