# SPDX-License-Identifier: MIT
"""The compiled kernels of kernels.c, used if they exist and pass their self-test; NumPy is the fallback and the oracle.

They are built with the package if a C compiler is found. `FIXEDPOINT_NN_KERNELS=numpy` disables them, `=c` requires
them, and `chosen()` tells which kernels run and why.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from fixedpoint_nn.numerics.arrays import Array, Ints
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.mode_codes import OVERFLOWS, ROUNDINGS, code_of, overflow_of, rounding_of
from fixedpoint_nn.numerics.overflow import limits
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer

VARIABLE = "FIXEDPOINT_NN_KERNELS"
LEVELS = ("portable C", "AVX2", "AVX-512 VNNI")
FASTER_THAN_NUMPY = 1  # the lowest level chosen by default: plain C is slower than BLAS
MOST_SHIFT, MOST_WIDE_SHIFT = 30, 62
SUM_LIMIT = (1 << 31) - 1
_NO_OVERFLOW, _FULL_WORD = len(OVERFLOWS), 32


# Self-tests registered by other files; each returns what differs, empty if nothing.
MORE_TESTS: list[Callable[[Kernels], str]] = []


class KernelError(RuntimeError):
    """Raised if the compiled kernels are required but not available."""


class _Product(ctypes.Structure):
    """The structure `Product` of kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "taps", "columns", "row_stride")),
        *((name, ctypes.c_int32) for name in ("bits", "offset", "relu", "shift", "rounding", "overflow")),
        *((name, ctypes.c_int32) for name in ("low", "high", "word", "is_signed", "raw", "runs")),
        *((name, ctypes.c_int64) for name in ("run_stride", "out_columns", "out_rows")),
        *((name, ctypes.c_int64) for name in ("column_step", "row_step", "image_stride", "wide")),
    ]


class _Requantize(ctypes.Structure):
    """The structure `Requantize` of kernels.c."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("rows", "columns", "row_stride")),
        ("rounding", ctypes.c_int32),
        *((name, ctypes.c_float) for name in ("scale", "low", "high")),
    ]


@dataclass(frozen=True)
class Source:
    """The left operand of a product: rows of a matrix, or with `positions` windows of padded images (n, h, w, c)."""

    array: Array  # float32, its last axis contiguous
    rows: int
    taps: int
    kernel_rows: int = 1
    stride: tuple[int, int] = (1, 1)
    positions: tuple[int, int] | None = None

    def fields(self) -> tuple[int, ...]:
        """The fields runs, run_stride, out_columns, out_rows, column_step, row_step, image_stride of kernels.c."""
        if self.positions is None:
            return 1, 0, 0, 0, 0, 0, 0
        by_image, by_row, by_column, _ = (step // 4 for step in self.array.strides)
        rows, columns = self.positions
        return (
            self.kernel_rows, by_row, columns, rows,
            by_column * self.stride[1], by_row * self.stride[0], by_image,
        )  # fmt: skip


@dataclass(frozen=True)
class Epilogue:
    """The operations on a sum: ReLU, then rounding by `shift` bits and overflow handling, if there is a quantizer."""

    relu: bool = False
    shift: int = 0
    quantizer: Quantizer | None = None
    fits: bool = False  # known not to overflow


class Kernels:
    """The loaded library at one instruction set level."""

    def __init__(self, library: ctypes.CDLL, level: int) -> None:
        self._library, self.level = library, level
        for name in ("fx_padded_taps", "fx_packed_bytes", "fx_scratch_bytes"):
            getattr(library, name).restype = ctypes.c_int64

    @property
    def name(self) -> str:
        """The name of the instruction set."""
        return LEVELS[self.level]

    def pack(self, weights: Array, bits: int) -> Array:
        """A float32 matrix (taps, columns) packed in the kernel's order."""
        matrix = np.ascontiguousarray(weights, np.float32)
        taps, columns = map(ctypes.c_int64, matrix.shape)
        packed = np.empty(self._library.fx_packed_bytes(taps, columns, bits), np.int8)
        self._library.fx_pack(_at(matrix), taps, columns, bits, _at(packed))
        return packed

    def product(
        self,
        source: Source,
        packed: Array,
        columns: int,
        bits: int,
        offset: int,
        bias: Array | None,
        addend: Array | None,
        epilogue: Epilogue,
        out: Array,
        wide: int = 0,
    ) -> None:
        """out = epilogue(rows @ weights + bias + addend); addend and out are contiguous float32, bias is int32.

        `offset` is added to every element of the rows, so that it fits `bits` bits; the bias must compensate for it.
        With `wide`, weights are packed as low and high words, whose sums move to int64 after that many taps, and bias
        is int64.
        """
        scratch = self.scratch(source.taps, bits)
        described = described_product(source, columns, bits, offset, epilogue, wide)
        self._library.fx_product(
            self.level, ctypes.byref(described), *map(_at, (source.array, packed, bias, addend, scratch, out))
        )

    def scratch(self, taps: int, bits: int) -> Array:
        """Scratch memory for the packed rows of one block."""
        return np.empty(self._library.fx_scratch_bytes(ctypes.c_int64(taps), bits), np.int8)

    def requantize(self, x: Array, shift: int, quantizer: Quantizer, out: Array) -> None:
        """out = x * 2**shift, rounded and saturated.

        x is a float32 matrix of integers up to 2**24 with contiguous rows, out is contiguous.
        """
        described = described_requantize(x.shape, x.strides[0] // 4, shift, quantizer)
        self._library.fx_requantize(self.level, ctypes.byref(described), _at(x), _at(out))

    def scan(
        self,
        doubles: bool,
        operations: Any,
        count: int,
        slots: Any,
        batch: int,
        block: int,
        steps: int,
        scratch: Array,
    ) -> None:
        """Run a loop over time; native/scan.py makes the operations and slots."""
        sizes = map(ctypes.c_int64, (batch, block, steps))
        self._library.fx_scan(
            self.level, int(doubles), operations, ctypes.c_int64(count), slots, *sizes, _at(scratch)
        )

    @property
    def network_lanes(self) -> int:
        """The columns per vector in a network's products."""
        return int(self._library.fx_network_lanes(self.level))

    @property
    def network_columns(self) -> int:
        """The columns per block in a network's products."""
        return self.network_lanes * int(self._library.fx_network_vectors(self.level))

    def network(
        self, steps: Any, tensors: Any, x: Array, batch: int, block: int, arena: Array, out: Array
    ) -> bool:
        """Run a whole network (see native/network.py); returns False if a float of x is not finite."""
        sizes = ctypes.c_int64(batch), ctypes.c_int64(block)
        counts = ctypes.c_int64(len(steps)), ctypes.c_int64(len(tensors))
        failed = self._library.fx_network(
            self.level, steps, counts[0], tensors, counts[1], _at(x), *sizes, _at(arena), _at(out)
        )
        return not failed

    def elementwise(self, operations: Any, rows: int, step: int) -> None:
        """Run float operations on the rows at one time step; native/elementwise.py makes them."""
        counts = map(ctypes.c_int64, (len(operations), rows, step))
        self._library.fx_elementwise(self.level, operations, *counts)

    def quantize(self, described: ctypes.Structure, x: Array, out: Array) -> None:
        """Convert floats to integers; native/quantize.py describes how."""
        self._library.fx_quantize(self.level, ctypes.byref(described), _at(x), _at(out))

    def windows(self, name: str, described: ctypes.Structure, *arrays: Array) -> None:
        """Call the function `name` of image_windows.h; native/image_windows.py describes the windows."""
        getattr(self._library, f"fx_{name}")(self.level, ctypes.byref(described), *map(_at, arrays))

    def lookup(self, codes: Array, table: Array, bits: int, out: Array) -> None:
        """out = table[low bits of each code]; codes, table and out are contiguous float32."""
        mask = (1 << bits) - 1
        self._library.fx_lookup(
            self.level, _at(codes), ctypes.c_int64(codes.size), _at(table), mask, _at(out)
        )


def described_product(
    source: Source, columns: int, bits: int, offset: int, epilogue: Epilogue, wide: int = 0
) -> ctypes.Structure:
    """`Product` of kernels.c."""
    return _Product(
        source.rows, source.taps, columns, source.array.strides[0] // 4, bits, offset,
        epilogue.relu, epilogue.shift, *modes_of(epilogue), epilogue.quantizer is None, *source.fields(), wide,
    )  # fmt: skip


def described_requantize(
    shape: tuple[int, ...], row_stride: int, shift: int, quantizer: Quantizer
) -> ctypes.Structure:
    """`Requantize` of kernels.c."""
    low, high = limits(quantizer.format, quantizer.overflow)
    return _Requantize(*shape, row_stride, code_of(quantizer.rounding), 2.0**shift, low, high)


def _at(array: Array | None) -> ctypes.c_void_p | None:
    return None if array is None else ctypes.c_void_p(array.__array_interface__["data"][0])


def modes_of(epilogue: Epilogue) -> tuple[int, int, int, int, int, int]:
    """(rounding, overflow, lowest integer, highest integer, word, sign) as codes of kernels.c."""
    q = epilogue.quantizer
    if q is None:
        return 0, _NO_OVERFLOW, 0, 0, _FULL_WORD, 1
    overflow = _NO_OVERFLOW if epilogue.fits else code_of(q.overflow)
    return (code_of(q.rounding), overflow, *limits(q.format, q.overflow), q.format.bits, q.format.signed)


# ---- which kernels run -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The kernels in use (None: NumPy), and the reason as text."""

    kernels: Kernels | None
    reason: str


def chosen() -> Choice:
    """The kernels to use, by the environment variable, the build and the processor; cached."""
    return _chosen(os.environ.get(VARIABLE, ""))


@cache
def _chosen(wanted: str) -> Choice:
    if wanted not in ("", "numpy", "c"):
        raise KernelError(f"{VARIABLE}={wanted!r} names no kernels; use numpy or c, or leave it out")
    if wanted == "numpy":
        return Choice(None, f"{VARIABLE}=numpy")
    found = available()
    if not found:
        reason = "no compiled kernels: the package was built without a C compiler"
    else:
        best = found[-1]
        failure = self_test(best) or next(filter(None, (test(best) for test in MORE_TESTS)), "")
        if failure:
            reason = f"the {best.name} kernels fail their own test: {failure}"
        elif best.level < FASTER_THAN_NUMPY and wanted != "c":
            reason = f"this processor has none of {', '.join(LEVELS[1:])}, and plain C is slower than NumPy"
        else:
            return Choice(best, f"{best.name}, tested")
    if wanted == "c":
        raise KernelError(
            f"{VARIABLE}=c demands the compiled kernels, and there is a reason against: {reason}"
        )
    return Choice(None, reason)


@cache
def available() -> tuple[Kernels, ...]:
    """The compiled kernels at every level of this processor, best last; empty if they were not built."""
    spec = find_spec("fixedpoint_nn.numerics.native._kernels")
    if spec is None or spec.origin is None:
        return ()
    try:
        library = ctypes.CDLL(spec.origin)
    except OSError:
        return ()
    return tuple(Kernels(library, level) for level in range(library.fx_best_level() + 1))


def self_test(kernels: Kernels) -> str:
    """Compare products over full ranges and all modes with NumPy's int64; returns what differs, empty if nothing."""
    rng = np.random.default_rng(0)
    for bits, low, high, offset in ((8, 0, 255, 0), (8, -128, 127, 128), (16, -32768, 32767, 0)):
        weight_high = 127 if bits == 8 else 255
        for taps, columns in ((1, 1), (67, 37), (130, 129)):
            x, w = (
                rng.integers(low, high + 1, (50, taps)),
                rng.integers(-weight_high - 1, weight_high + 1, (taps, columns)),
            )
            x[0], w[:, 0] = (high, -weight_high - 1) if taps > 1 else (low, weight_high)
            b = rng.integers(-(1 << 20), 1 << 20, columns)
            sums = x @ w + b
            for number in range(len(ROUNDINGS)):
                rounding, overflow = rounding_of(number), overflow_of(number % len(OVERFLOWS))
                q = Quantizer(QFormat(9, 0, number % 2 == 0), rounding, overflow)
                got = _by(kernels, x, w, b, bits, offset, Epilogue(number == 3, 7, q))
                expected = convert(
                    np.maximum(sums, 0) if number == 3 else sums, -7, q.format, rounding, overflow
                )
                if not np.array_equal(got, expected):
                    return f"a product of {bits} bits, {taps} x {columns}, {rounding.name}, {overflow.name}"
    return _wide_self_test(kernels, rng)


def _wide_self_test(kernels: Kernels, rng: np.random.Generator) -> str:
    """The self-test of 16-bit words times 16-bit weights."""
    for taps, columns, chunk in ((1, 1, 2), (67, 37, 68), (130, 129, 64)):
        x = rng.integers(0, 1 << 16, (50, taps))
        w = rng.integers(-(1 << 15), 1 << 15, (taps, columns))
        x[0], x[-1], w[:, 0] = (1 << 16) - 1, 0, -(1 << 15)
        sums = x @ w
        low, high = split_weights(w)
        packed = np.concatenate([kernels.pack(part, 16) for part in (low, high)])
        for number in range(len(ROUNDINGS)):
            rounding, overflow = rounding_of(number), overflow_of(number % len(OVERFLOWS))
            q, shift = Quantizer(QFormat(12, 0, number % 2 == 0), rounding, overflow), 26
            out, offset = np.empty((50, columns), np.float32), -(1 << 15)
            source = Source(x.astype(np.float32), *x.shape)
            bias = -offset * w.sum(axis=0)
            kernels.product(
                source, packed, columns, 16, offset, bias, None, Epilogue(number == 3, shift, q), out, chunk
            )
            expected = np.maximum(sums, 0) if number == 3 else sums
            if not np.array_equal(out, convert(expected, -shift, q.format, rounding, overflow)):
                return f"a wide product, {taps} x {columns}, {rounding.name}, {overflow.name}"
    return ""


def split_weights(weights: Array) -> tuple[Array, Array]:
    """(low, high) with weights = low + 256 * high, where low is a signed byte."""
    ints = weights.astype(np.int64)
    low = ((ints + 128) & 255) - 128
    return low, (ints - low) >> 8


def _by(kernels: Kernels, x: Ints, w: Ints, b: Ints, bits: int, offset: int, epilogue: Epilogue) -> Array:
    out = np.empty((len(x), w.shape[1]), np.float32)
    bias = (b - offset * w.sum(axis=0)).astype(np.int32)
    rows: Any = x.astype(np.float32)
    kernels.product(
        Source(rows, *x.shape), kernels.pack(w, bits), w.shape[1], bits, offset, bias, None, epilogue, out
    )
    return out
