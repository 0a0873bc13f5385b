# SPDX-License-Identifier: MIT
"""Grouping of lanes, for kernels with fewer channels than lanes.

Each group of lanes reads its own word. Groups are *joined* if they compute partial sums over adjacent taps: n taps take
ceil(n / groups) steps. Or they compute the same channels of neighbouring *pixels*, which are written as the channels of
one wide pixel, with the same weights in every group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Window
from fixedpoint_nn.hardware.isa.timing import drain_clocks
from fixedpoint_nn.numerics.arrays import Ints

WORTH_TRYING = 64  # clocks by which an alternative may be slower, if other runs wait less for it
MOST_COLUMNS = 255  # from tile to tile, the limit of the instruction's field


def rows(weights: Ints, lanes: int) -> Ints:
    """Weights (taps, channels) as rows of `lanes`, in the order of the engine's steps: tile by tile, tap by tap."""
    taps, channels = weights.shape
    tiles = -(-channels // lanes)
    padded = np.zeros((taps, tiles * lanes), np.int64)
    padded[:, :channels] = weights
    return np.ascontiguousarray(padded.reshape(taps, tiles, lanes).transpose(1, 0, 2).reshape(-1, lanes))


def with_ways(kernel: Kernel, weights: Ints, words: int, drain: int) -> Kernel:
    """The kernel with its alternatives: lanes in groups, each reading one of at most `words` words.

    `weights` are (taps, channels), or (taps, 1) for all channels with `per_tile`.
    """
    if words == 1 or kernel.vector or kernel.maximum:
        return kernel
    ways = (kernel, *_joined(kernel, words), *_pixels(kernel, words))
    if kernel.target.row:  # which only groups for pixels can write
        ways = tuple(_pixels(kernel, words))
    least = min(clocks(way, drain) for way in ways)
    return replace(
        kernel,
        ways=tuple(way for way in ways if clocks(way, drain) <= least + WORTH_TRYING),
        taps_by_channels=weights,
    )


def clocks(kernel: Kernel, drain: int) -> int:
    """The clocks from a run's first to its last step, if it waits only for its own drain."""
    steps, last = kernel.tile_steps, kernel.channels - (kernel.tiles - 1) * kernel.tile_channels
    whole = max(steps, drain_clocks(kernel.tile_channels, drain))
    pixels = prod(atom.size for atom in kernel.pixels)
    return pixels * ((kernel.tiles - 1) * whole + max(steps, drain_clocks(last, drain)))


def _joined(kernel: Kernel, words: int) -> Iterator[Kernel]:
    """The alternatives with groups for neighbouring taps."""
    if not kernel.taps or kernel.accumulator is not None:
        return
    *outer, inner = kernel.taps
    if inner.stride != 1 or inner.label or inner.size == 1:
        return
    for groups in range(1, words.bit_length()):
        size = 1 << groups
        steps = -(-inner.size // size)
        way = replace(
            kernel,
            groups=groups,
            joined=True,
            unused=steps * size - inner.size,
            taps=[*outer, Atom(steps, size)],
        )
        yield way
        if steps == 1:
            return


def _pixels(kernel: Kernel, words: int) -> Iterator[Kernel]:
    """The alternatives with a group per pixel of a row, one or two words apart, and a number of channels each."""
    channels, window = kernel.channels, kernel.window
    if kernel.target.stride != channels or not pixels_side_by_side(
        kernel.lanes, words, channels, kernel.pixels, kernel.taps, window
    ):
        return
    *outer, row = kernel.pixels
    size = kernel.lanes // channels
    skip = row.stride == 2
    if window is not None:
        window = replace(window, x_step=row.stride * size)
    yield replace(
        kernel,
        groups=size.bit_length() - 1,
        skip=skip,
        pixels=outer,
        channels=row.size * channels,
        tile_stride=row.stride * size,
        target=replace(kernel.target, stride=kernel.target.row or row.size * channels, row=0),
        window=window,
        spread=window is not None,
        per_tile=True,
        parameters=np.tile(
            np.broadcast_to(kernel.parameters, (channels, kernel.parameters.shape[1])),
            (min(size, row.size), 1),
        ),
    )


def pixels_side_by_side(
    lanes: int, words: int, channels: int, pixels: Sequence[Atom], taps: Sequence[Atom], window: Window | None
) -> bool:
    """Whether groups of lanes can compute the pixels of a row, the innermost loop over pixels.

    Pixels must be one or two words apart, and have as many channels as a group has lanes. For windows with padding,
    each word must be a column.
    """
    if not pixels or lanes % channels or lanes == channels:
        return False
    row, size = pixels[-1], lanes // channels
    if row.stride not in (1, 2) or size * row.stride > words:
        return False
    beside = all(atom.stride == 1 for atom in taps if atom.label == "kx")
    columns = row.label == "x" and window is not None and window.x_step == row.stride
    return window is None or (columns and beside and row.stride * size <= MOST_COLUMNS)


def with_weights(kernel: Kernel, weights: Ints) -> Kernel:
    """An alternative with its weights in the order in which its groups read them."""
    if not kernel.groups:
        return kernel
    size = 1 << kernel.groups
    if not kernel.joined:
        channels = kernel.lanes // size
        spread = np.broadcast_to(weights, (len(weights), channels))
        return replace(kernel, weights=np.tile(spread, (1, size)))
    channels = min(kernel.tile_channels, kernel.channels) if kernel.per_tile else kernel.channels
    weights = np.broadcast_to(weights, (len(weights), channels))
    steps = kernel.taps[-1].size
    inner = steps * size - kernel.unused
    taps = np.zeros((len(weights) // inner, steps * size, channels), np.int64)
    taps[:, :inner] = weights.reshape(-1, inner, channels)
    stacked = rows(taps.reshape(-1, channels), kernel.tile_channels)
    # Tile by tile and tap by tap; `size` adjacent taps of each tile are side by side.
    return replace(kernel, weights=np.ascontiguousarray(stacked.reshape(-1, kernel.lanes)))
