# SPDX-License-Identifier: MIT
"""Data structures of whole networks in the compiled kernels (`fx_network` of network.h): tensors, steps, weights."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.native.library import Epilogue, Kernels, modes_of

ENTER_INTS, ENTER_STORED, ENTER_FLOATS, CONVOLVE, MAXIMUM, AVERAGE, ADD, TABLE, LEAVE = range(9)
BYTES, WORDS, WIDE = range(3)  # kinds of operands of a product; wide ones have sums of more than 32 bits
GROUP = {BYTES: 4, WORDS: 2, WIDE: 2}  # taps in four bytes
WIDE_VECTORS = 2  # at most, in a block of columns of wide sums
MOST_OF_SEGMENT = 65534  # limit of a segment's magnitudes: 65535 + 32768 * 65534 == 2**31 - 1
SHORT_SEGMENT = 32  # groups, of which most segments have fewer
LINE = 64  # bytes of a cache line
SLACK = 64  # bytes after the last tensor, for loads beyond the end


class TensorStruct(ctypes.Structure):
    """The structure `Tensor` of network.h."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("image_bytes", "first", "row")),
        *((name, ctypes.c_int32) for name in ("height", "width", "channels", "bytes", "zero", "padded")),
        ("arena", ctypes.c_int64),
        ("base", ctypes.c_void_p),
    ]


class _Finish(ctypes.Structure):
    """The structure `Finish` of network.h."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in ("relu", "shift", "rounding", "overflow", "low", "high", "word", "is_signed")
    ]


class QuickStruct(ctypes.Structure):
    """The structure `Quick` of network.h."""

    _fields_ = [(name, ctypes.c_int32) for name in ("is", "shift", "tie_bits", "low", "high", "start")]


class _Segment(ctypes.Structure):
    """The structure `Segment` of network.h."""

    _fields_ = [("offset", ctypes.c_int64), ("groups", ctypes.c_int32), ("join", ctypes.c_int32)]


class StepStruct(ctypes.Structure):
    """The structure `Step` of network.h."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in ("kind", "a", "b", "out")),
        ("finish", _Finish),
        ("quick", QuickStruct),
        ("outside", ctypes.c_void_p),
        ("scale", ctypes.c_float),
        *((name, ctypes.c_int32) for name in ("given_bytes", "given_signed")),
        *((name, ctypes.c_int32) for name in ("words", "columns", "positions", "in_int64", "kept")),
        *(
            (name, ctypes.c_void_p)
            for name in ("weights", "bias", "high_bias", "from", "to", "segments", "first_segment")
        ),
        *((name, ctypes.c_int32) for name in ("kernel_y", "kernel_x", "stride_y", "stride_x")),
        ("corner", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("factor", "a_shift", "b_shift")),
        ("table", ctypes.c_void_p),
        ("mask", ctypes.c_int32),
    ]


def finish_of(epilogue: Epilogue, shift: int | None = None) -> _Finish:
    """The `Finish` of an epilogue, with another shift if given."""
    rounding, overflow, low, high, word, signed = modes_of(epilogue)
    return _Finish(
        epilogue.relu, epilogue.shift if shift is None else shift, rounding, overflow, low, high, word, signed
    )


@dataclass(frozen=True)
class PackedWeights:
    """A matrix in the kernels' order: by block of columns, group of taps, column, tap."""

    weights: Array
    segments: ctypes.Array[_Segment]
    first_segment: Array  # of each block, and the end


def packed_weights(
    kernels: Kernels, matrix: Array, words: int, runs: Sequence[tuple[int, int]]
) -> PackedWeights | None:
    """Packed int64 weights (taps, columns), whose taps are in `runs` of (byte offset within a window, taps).

    None if the sum of two 16-bit by 16-bit products exceeds a segment's limit.
    """
    group, block, lanes = GROUP[words], block_columns(kernels, words), kernels.network_lanes
    columns, dtype = matrix.shape[1], np.dtype(np.int8 if words == BYTES else np.int16)
    by_run, taken, total = [], 0, 0
    for offset, taps in runs:
        groups = -(-taps // group)
        run = np.zeros((groups * group, -(-columns // lanes) * lanes), dtype)
        run[:taps, :columns] = matrix[taken : taken + taps]
        by_run.append((offset, run))
        taken, total = taken + taps, total + run.size
    weights = aligned_empty(total, dtype)
    segments, firsts, at = [], [0], 0
    for start in range(0, columns, block):
        for offset, run in by_run:
            part = run[:, start : start + block]
            packed = weights[at : at + part.size].reshape(-1, part.shape[1], group)
            for tap in range(
                group
            ):  # long rows, where one copy of all would be of `group` elements at a time
                packed[:, :, tap] = part[tap::group]
            at += part.size
            ends = _segment_ends(part, words)
            if ends is None:
                return None
            before = 0
            for end in ends:
                segments.append(_Segment(offset + 4 * before, end - before, 1))
                before = end
        firsts.append(len(segments))
    return PackedWeights(weights, (_Segment * len(segments))(*segments), np.array(firsts, np.int64))


def block_columns(kernels: Kernels, words: int) -> int:
    """The columns per block of a product."""
    most = kernels.network_columns
    return min(most, WIDE_VECTORS * kernels.network_lanes) if words == WIDE else most


def aligned_empty(size: int, dtype: Any) -> Array:
    """Memory for `size` elements that starts at a cache line, so that no vector load crosses one."""
    kind = np.dtype(dtype)
    space = np.empty(size * kind.itemsize + LINE, np.uint8)
    start = -int(space.__array_interface__["data"][0]) % LINE
    return space[start : start + size * kind.itemsize].view(kind)


def _segment_ends(columns: Array, words: int) -> list[int] | None:
    """The groups of taps after which wide sums are moved to int64, for one run; else only its end."""
    groups = len(columns) // GROUP[words]
    if words != WIDE:
        return [groups]
    magnitudes = np.abs(columns.astype(np.int32)).reshape(groups, GROUP[words], -1).sum(axis=1)
    if groups and magnitudes.max() > MOST_OF_SEGMENT:
        return None
    grown = magnitudes.cumsum(axis=0)
    ends: list[int] = []
    start, before = 0, np.zeros(columns.shape[1], np.int64)
    while start < groups:
        near = SHORT_SEGMENT
        while (taken := _reach(grown[start : start + near] - before)) == near:
            near *= 2
        start += taken
        ends.append(start)
        before = grown[start - 1]
    return ends


def _reach(grown: Array) -> int:
    """How many groups fit one segment; columns of cumulated magnitudes rise, so their maximum does, and is searched."""
    return int(np.searchsorted(grown.max(axis=1), MOST_OF_SEGMENT, side="right"))


def address(array: Array) -> int:
    """The address of a contiguous array."""
    return int(array.__array_interface__["data"][0])


address_of = ctypes.addressof


def biases(start: Array, words: int, columns: int) -> tuple[Array, Array]:
    """int64 start values per column as (lower, upper) int32 parts, padded to `columns`."""
    padded = np.pad(start, (0, columns - len(start)))
    if words == WIDE:
        return (padded & 65535).astype(np.int32), (padded >> 16).astype(np.int32)
    low = (padded & 0xFFFFFFFF).astype(np.uint32).view(np.int32)  # modulo 2**32, as the sums are
    return low, np.zeros_like(low)
