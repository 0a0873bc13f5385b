# SPDX-License-Identifier: MIT
"""The pass `stream`: runs with streamed weights, and splitting of runs that exceed the window.

A run that reads each row once (a dense layer) can be of any length: its rows are released progressively. One that reads
them repeatedly (a convolution for every pixel, a dense layer for every sample of a batch) holds all of them, so it is
split into runs of fewer tiles, of half of the window each if possible, while the other half is filled. A loop would
need its weights again in every iteration, so they stay resident.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.ir import Flat, JumpIfEqual, Label, Repeat
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.numerics.arrays import Ints


def stream_weights(items: Sequence[Flat], window: int) -> tuple[Flat, ...]:
    """The program with streamed weights for runs outside of loops, through a window of `window` rows."""
    if any(isinstance(item, JumpIfEqual) for item in items):
        raise LoweringError(
            "Which weights come next must not depend on data: a program with conditional jumps keeps all of its "
            "weights in the engine; leave the window out."
        )
    repeated = _repeated(items)
    streamed: list[Flat] = []
    for number, item in enumerate(items):
        if isinstance(item, Kernel) and _has_weights(item) and number not in repeated:
            streamed.extend(_parts(replace(item, streamed=True), window))
        else:
            streamed.append(item)
    return tuple(streamed)


def streamed_rows(kernels: Sequence[Kernel], lanes: int) -> Ints:
    """The rows of streamed weights in the order of use, (rows, lanes)."""
    blocks = [kernel.weights for kernel in kernels if kernel.streamed and kernel.weights is not None]
    return np.concatenate([np.zeros((0, lanes), np.int64), *blocks])


def _has_weights(kernel: Kernel) -> bool:
    return kernel.weights is not None and not kernel.paired


def _repeated(items: Sequence[Flat]) -> set[int]:
    """The indices of items in loops."""
    labels = {item: number for number, item in enumerate(items) if isinstance(item, Label)}
    found: set[int] = set()
    for number, item in enumerate(items):
        if isinstance(item, Repeat):
            found |= set(range(labels[item.begin], number))
    return found


def _parts(kernel: Kernel, window: int) -> Iterator[Kernel]:
    """The kernel, or several kernels for parts of its channels."""
    assert kernel.weights is not None
    rows, taps = len(kernel.weights), kernel.tile_steps
    pixels = prod(atom.size for atom in kernel.pixels)
    once = pixels * (kernel.tiles if kernel.per_tile else 1) == 1
    if once or rows <= window // 2:
        yield kernel
        return
    whole = kernel.argmax or kernel.noise or kernel.per_tile  # cannot be split
    needed = rows if whole else taps
    if needed > window:
        what = "" if whole else " of one tile of channels"
        raise LoweringError(
            f"Layer {kernel.name!r} does not fit the engine: it reads {needed} rows of weights{what} for every pixel "
            f"or sample again, and the window has {window}; a window of {needed} rows would fit."
        )
    if whole:
        yield kernel
        return
    most = max(1, window // 2 // taps)  # tiles per part
    count = -(-kernel.tiles // most)
    for part in range(count):
        yield _tiles(kernel, kernel.tiles * part // count, kernel.tiles * (part + 1) // count)


def _tiles(kernel: Kernel, begin: int, end: int) -> Kernel:
    """The kernel reduced to its tiles from `begin` to `end`."""
    assert kernel.weights is not None
    first, last = begin * kernel.tile_channels, min(end * kernel.tile_channels, kernel.channels)
    steps, moved = kernel.tile_steps, begin * kernel.tile_stride
    return replace(
        kernel,
        channels=last - first,
        weights=kernel.weights[begin * steps : end * steps],
        parameters=kernel.parameters[first:last],
        operands=[replace(view, offset=view.offset + moved) for view in kernel.operands],
        target=replace(kernel.target, offset=kernel.target.offset + first),
    )
