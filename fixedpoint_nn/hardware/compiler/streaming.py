# SPDX-License-Identifier: MIT
"""Which runs take their weights from outside, and how a run that is larger than the window is split.

A run that reads each row once (a dense layer) may be of any length: its rows are given back as it goes. One that reads
them again and again (a convolution, pixel by pixel) holds all of them, so it becomes several runs of fewer tiles of
output channels, of half of the window each where that is possible: the other half is filled meanwhile. A loop would
take its weights again in every round, so they stay resident.
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
    """The same program, whose runs outside of loops take their weights through a window of so many rows."""
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
    """The rows of weights from outside in the order of their use, (rows, lanes)."""
    blocks = [kernel.weights for kernel in kernels if kernel.streamed and kernel.weights is not None]
    return np.concatenate([np.zeros((0, lanes), np.int64), *blocks])


def _has_weights(kernel: Kernel) -> bool:
    return kernel.weights is not None and not kernel.paired


def _repeated(items: Sequence[Flat]) -> set[int]:
    """The places of items in loops."""
    labels = {item: number for number, item in enumerate(items) if isinstance(item, Label)}
    found: set[int] = set()
    for number, item in enumerate(items):
        if isinstance(item, Repeat):
            found |= set(range(labels[item.begin], number))
    return found


def _parts(kernel: Kernel, window: int) -> Iterator[Kernel]:
    """The kernel, or kernels for some of its channels each."""
    assert kernel.weights is not None
    rows, taps = len(kernel.weights), kernel.tile_steps
    pixels = prod(atom.size for atom in kernel.pixels)
    once = pixels * (kernel.tiles if kernel.per_tile else 1) == 1
    if once or rows <= window // 2:
        yield kernel
        return
    whole = kernel.argmax or kernel.noise or kernel.per_tile  # must stay one run
    needed = rows if whole else taps
    if needed > window:
        what = "" if whole else " of one tile of channels"
        raise LoweringError(
            f"Layer {kernel.name!r} does not fit the engine: it reads {needed} rows of weights{what} for every pixel "
            f"again, and the window has {window}; a window of {needed} rows would fit."
        )
    if whole:
        yield kernel
        return
    most = max(1, window // 2 // taps)  # tiles of a part
    count = -(-kernel.tiles // most)
    for part in range(count):
        yield _tiles(kernel, kernel.tiles * part // count, kernel.tiles * (part + 1) // count)


def _tiles(kernel: Kernel, begin: int, end: int) -> Kernel:
    """The kernel's tiles from `begin` to `end`."""
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
