# SPDX-License-Identifier: MIT
"""Lanes in groups, where a kernel has fewer channels than there are lanes.

A group of lanes reads a word of its own. Groups are *joined* if they add up parts of the same sums, whose taps stand
side by side: n words of one tap after the other become ceil(n / groups) steps. Or they compute the same channels of
neighbouring *pixels*, which then leave as the channels of one wide pixel, with the same weights in every group.
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

WORTH_TRYING = 64  # clocks that a run may take longer if others wait less for it
MOST_COLUMNS = 255  # from tile to tile, in a run's description


def rows(weights: Ints, lanes: int) -> Ints:
    """(taps, channels) as rows of `lanes` in the order of the engine's steps: tile by tile, tap by tap."""
    taps, channels = weights.shape
    tiles = -(-channels // lanes)
    padded = np.zeros((taps, tiles * lanes), np.int64)
    padded[:, :channels] = weights
    return np.ascontiguousarray(padded.reshape(taps, tiles, lanes).transpose(1, 0, 2).reshape(-1, lanes))


def with_ways(kernel: Kernel, weights: Ints, words: int, drain: int) -> Kernel:
    """The kernel, and the same one with its lanes in groups of which each reads one of at most `words` words.

    `weights` are (taps, channels), with one channel for all if it has `per_tile`.
    """
    if words == 1 or kernel.vector or kernel.maximum:
        return kernel
    ways = (kernel, *_joined(kernel, words), *_pixels(kernel, words))
    if kernel.target.row:  # which only pixels side by side can write
        ways = tuple(_pixels(kernel, words))
    least = min(clocks(way, drain) for way in ways)
    return replace(
        kernel,
        ways=tuple(way for way in ways if clocks(way, drain) <= least + WORTH_TRYING),
        taps_by_channels=weights,
    )


def clocks(kernel: Kernel, drain: int) -> int:
    """From a run's first step to its last one, if nothing keeps it waiting but its own drain."""
    steps, last = kernel.tile_steps, kernel.channels - (kernel.tiles - 1) * kernel.tile_channels
    whole = max(steps, drain_clocks(kernel.tile_channels, drain))
    pixels = prod(atom.size for atom in kernel.pixels)
    return pixels * ((kernel.tiles - 1) * whole + max(steps, drain_clocks(last, drain)))


def _joined(kernel: Kernel, words: int) -> Iterator[Kernel]:
    """Groups for neighbouring taps."""
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
    """Groups for the pixels of a row, which are one word or two apart and have as many channels as a group lanes."""
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
    """Can groups of lanes compute the pixels of a row, which is the last loop over pixels?

    They are one word or two apart, and have as many channels as a group has lanes. Where windows hang over the edge,
    each word is a column.
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
    """One of the ways with its weights as its groups read them."""
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
    # Tile by tile and tap by tap; of each tile, `size` taps stand side by side.
    return replace(kernel, weights=np.ascontiguousarray(stacked.reshape(-1, kernel.lanes)))
