# SPDX-License-Identifier: MIT
"""The addresses and padding of a run's loop nest: the twin of loop_nest.v."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.arrays import Ints


def walked(run: Run, pixel: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """(address offsets from the run's activation address, padding flags), both (pixels, tiles, taps, words).

    `pixel` holds pixel numbers in row-major order. `words` is one per group of lanes. An axis along which all entries
    are equal has length 1.
    """
    (channel, kx, ky, tiles, width, _), stride = run.counts, run.strides
    k = np.arange(channel * kx * ky)
    column, row = k // channel % kx, k // (channel * kx)
    word = np.arange(1 << run.groups) << run.skip
    x, y = pixel % width, pixel // width
    taps = k % channel * stride[0] + column * stride[1] + row * stride[2]
    moving = tiles if stride[3] or run.vector or run.spread else 1  # tiles that read different words
    tile = np.arange(moving)
    base = x * stride[4] + y * stride[5]
    walk = (base[:, None, None] + (tile * stride[3])[:, None] + taps)[..., None] + word
    padded = np.zeros((1, 1, len(k), 1), bool)
    if run.unused:
        padded = ((k % channel == channel - 1)[:, None] & (word >= len(word) - run.unused))[None, None]
    if run.bounded:
        if run.spread:
            first = run.x_origin + tile * run.x_step
            at_x = ((first[:, None] + column)[..., None] + word)[None]
        else:
            at_x = ((run.x_origin + x * run.x_step)[:, None] + column)[:, None, :, None]
        at_y = ((run.y_origin + y * run.y_step)[:, None] + row)[:, None, :, None]
        inside = (at_x >= 0) & (at_x < run.x_limit) & (at_y >= 0) & (at_y < run.y_limit)
        padded = padded | ~inside
    return walk, padded
