# SPDX-License-Identifier: MIT
"""Which words the steps of a run read, and when: the addresses, padding and cycles of loop_nest.v."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.timing import Issue
from fixedpoint_nn.numerics.arrays import Ints


def walked(run: Run, pixel: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Distances from the first activation address, (pixels, tiles, taps), and which are padding, (pixels, 1, taps).

    `pixel` holds numbers of pixels, row by row. If all tiles read the same words, there is one tile.
    """
    (channel, kx, ky, tiles, width, _), stride = run.counts, run.strides
    k = np.arange(channel * kx * ky)
    column, row = k // channel % kx, k // (channel * kx)
    x, y = pixel % width, pixel // width
    taps = k % channel * stride[0] + column * stride[1] + row * stride[2]
    moving = tiles if stride[3] or run.vector else 1  # tiles that read other words than the first one
    base = x * stride[4] + y * stride[5]
    walk = base[:, None, None] + (np.arange(moving) * stride[3])[:, None] + taps
    padded = np.zeros((len(pixel), 1, len(k)), bool)
    if run.bounded:
        at_x = (run.x_origin + x * run.x_step)[:, None] + column
        at_y = (run.y_origin + y * run.y_step)[:, None] + row
        inside = (at_x >= 0) & (at_x < run.x_limit) & (at_y >= 0) & (at_y < run.y_limit)
        padded = ~inside[:, None, :]
    return walk, padded


def first_steps(issue: Issue, pixel: Ints, tile: Ints) -> Ints:
    """The cycle of each tile's first step, (pixels, tiles): one clock after the last step of the tile before."""
    tiles = issue.run.counts[3]
    number = pixel[:, None] * tiles + tile
    before = np.maximum(number - 1, 0)
    return np.where(number == 0, issue.first_step, issue.tile(before // tiles, before % tiles) + 1)
