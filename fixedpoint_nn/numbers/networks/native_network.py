# SPDX-License-Identifier: MIT
"""Execution of a plan by the compiled kernels: one call for the whole network."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.networks.plan import (
    Convolve,
    Finish,
    Image,
    ImageLookup,
    ImageSum,
    NetworkPlan,
    WindowAverage,
    WindowMaximum,
)
from fixedpoint_nn.numbers.sliding_windows import Padding, output_size
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, INT64
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import SUM_LIMIT, Epilogue, Kernels
from fixedpoint_nn.numerics.native.steps import INT8, NotCompiled, bytes_for, fill_product, fill_sum, zero_of
from fixedpoint_nn.numerics.overflow_stats import OverflowTotals
from fixedpoint_nn.numerics.quantizer import Quantizer

ARENA_BYTES = 3 << 18  # of a block of samples: less than half of a core's second-level cache
MOST_SAMPLES = 256  # in a block


class NativeNetwork:
    """The operations of a plan for network.h; every call has its own memory, for thread safety."""

    def __init__(self, plan: NetworkPlan, kernels: Kernels, input: Quantizer) -> None:
        self.plan, self.kernels = plan, kernels
        self._kept: list[Any] = []
        images = [plan.input, *(o.out for o in plan.operations if o.out is not None)]
        self.tensors = {image.number: image for image in images}
        self.bytes = {image.number: self._bytes_of(image) for image in images}
        self._same_words(plan)
        self.edges = {image.number: self._edges_of(image) for image in images}
        described, at = [], 0
        for number in range(plan.images):
            tensor = self._tensor(self.tensors[number], at)
            described.append(tensor)
            at += tensor.image_bytes
        self.sample_bytes = at
        self.described = (native.TensorStruct * len(described))(*described)
        steps = [step for operation in plan.operations for step in self._steps(operation)]
        if plan.result is not None:
            steps.append(native.StepStruct(native.LEAVE, plan.result.number, -1, -1))
        self.steps = steps
        self.block = max(1, min(MOST_SAMPLES, ARENA_BYTES // max(self.sample_bytes, 1)))
        self.programs: dict[Any, ctypes.Array[native.StepStruct]] = {}
        self.input = input
        self._free: list[Array] = []  # memory of earlier calls that no call uses now

    def _program(self, kind: Any) -> ctypes.Array[native.StepStruct]:
        """The steps for samples that are floats (`kind` None) or integers of dtype `kind`."""
        if kind not in self.programs:
            entering = native.StepStruct(native.ENTER_INTS, -1, -1, self.plan.input.number)
            if kind is None:
                entering.kind = native.ENTER_FLOATS
                entering.finish = native.finish_of(Epilogue(False, 0, self.input))
                entering.scale = 2.0**self.input.format.frac_bits
            elif kind != FLOAT32:
                entering.kind = native.ENTER_STORED
                entering.given_bytes, entering.given_signed = kind.itemsize, int(kind.kind == "i")
            self.programs[kind] = (native.StepStruct * (len(self.steps) + 1))(entering, *self.steps)
        return self.programs[kind]

    @cached_property
    def casts(self) -> list[tuple[int, Quantizer, int]] | None:
        """(step, quantizer, values per sample) of each cast; None if one cannot be counted."""
        found = []
        for place, (operation, step) in enumerate(zip(self.plan.operations, self.steps, strict=False), 1):
            finish = getattr(operation, "finish", None)
            if finish is None or finish.quantizer is None:
                continue
            if not (finish.fits or getattr(step.quick, "is")):
                return None
            values = prod(self.plan.shape if operation.out is None else operation.out.shape)
            found.append((place, finish.quantizer, values))
        return found

    def run(self, x: Array, floats: bool, totals: OverflowTotals | None = None) -> Array | None:
        """The results of samples: integers in float32 or words, or `floats` to be rounded.

        None if a float is not finite. `totals` count every cast.
        """
        batch = len(x)
        block = min(self.block, batch)
        arena = self._arena(block)
        out = np.empty((batch, *self.plan.shape), np.float32)
        steps = self._program(None if floats else x.dtype)
        outside = np.zeros(len(steps), np.int64)
        if totals is not None:
            steps = type(steps)(*steps)
            for place, step in enumerate(steps):
                step.outside = native.address(outside[place:])
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        done = self.kernels.network(steps, self.described, x, batch, block, arena, out)
        self._free.append(arena)
        if done and totals is not None:
            casts = [(0, self.input, prod(self.plan.input.shape))] if floats else []
            for place, quantizer, values in casts + (self.casts or []):
                totals.record_total(quantizer, batch * values, int(outside[place]))
        return out if done else None

    def _arena(self, samples: int) -> Array:
        """Memory for a block of samples: that of an earlier call, because the system clears new memory first."""
        size = self.sample_bytes * samples + native.SLACK
        try:
            free = self._free.pop()
        except IndexError:  # the first call, or one at the same time
            return np.empty(size, np.uint8)
        return free if len(free) >= size else np.empty(size, np.uint8)

    # ---- tensors -------------------------------------------------------------------------------------------

    def _consumers(self, image: Image) -> Iterator[Any]:
        return (o for o in self.plan.operations if image in (o.a, getattr(o, "b", None)))

    def _bytes_of(self, image: Image) -> int:
        """The bytes per element of an image: 1 if it fits and all products with it have byte weights, else 2."""
        products = (o for o in self._consumers(image) if isinstance(o, Convolve))
        narrow = all(o.weights.within(-INT8, INT8 - 1) for o in products)
        return bytes_for(self.kernels, image.low, image.high, narrow)

    def _same_words(self, plan: NetworkPlan) -> None:
        """Give source and result of each maximum the same storage, because it compares stored words."""
        pools = [
            (o.a.number, o.out.number) for o in plan.operations if isinstance(o, WindowMaximum) and o.out
        ]
        while any(self.bytes[a] != self.bytes[b] for a, b in pools):
            for a, b in pools:
                self.bytes[a] = self.bytes[b] = max(self.bytes[a], self.bytes[b])

    def _zero_of(self, image: Image | None) -> int:
        return 0 if image is None else zero_of(self.bytes[image.number], image.low, image.high)

    def _edges_of(self, image: Image) -> Padding:
        """The largest padding that any consumer needs, at least 0."""
        pads = [o.padding for o in self._consumers(image) if hasattr(o, "padding")]
        if any(side < 0 for pad in pads for pair in pad for side in pair):
            raise NotCompiled("negative padding")
        (top, bottom), (left, right) = (
            tuple(max((pad[axis][side] for pad in pads), default=0) for side in (0, 1)) for axis in (0, 1)
        )
        return (top, bottom), (left, right)

    def _tensor(self, image: Image, arena: int) -> native.TensorStruct:
        (top, bottom), (left, right) = self.edges[image.number]
        size = self.bytes[image.number]
        row = (image.width + left + right) * image.channels
        first = (top * row + left * image.channels) * size
        image_bytes = row * (image.height + top + bottom) * size
        return native.TensorStruct(
            image_bytes, first, row, image.height, image.width, image.channels, size,
            self._zero_of(image), int(top + bottom + left + right > 0), arena,
        )  # fmt: skip

    def _row(self, image: Image) -> int:
        return int(self.described[image.number].row)

    # ---- operations ----------------------------------------------------------------------------------------

    def _steps(self, operation: Any) -> Iterator[native.StepStruct]:
        out = -1 if operation.out is None else operation.out.number
        match operation:
            case Convolve():
                yield self._convolve(operation, out)
            case WindowMaximum():
                step = native.StepStruct(native.MAXIMUM, operation.a.number, -1, out)
                self._window(step, operation)
                yield step
            case WindowAverage(a, kernel, _, _, factor):
                step = native.StepStruct(native.AVERAGE, a.number, -1, out)
                self._window(step, operation)
                terms = max(-a.low, a.high) * kernel[0] * kernel[1]
                if terms > SUM_LIMIT or abs(factor) > SUM_LIMIT:
                    raise NotCompiled("sums that 32 bits do not hold")
                step.factor = factor
                zeros = factor * self._zero_of(a) * kernel[0] * kernel[1]
                self._summed(step, operation, terms * abs(factor), zeros)
                yield step
            case ImageSum(a, a_shift, b, b_shift):
                step = native.StepStruct(native.ADD, a.number, -1 if b is None else b.number, out)
                step.a_shift, step.b_shift = a_shift, b_shift
                bound = max(-a.low, a.high) << a_shift
                zeros = self._zero_of(a) << a_shift
                if b is not None:
                    bound += max(-b.low, b.high) << b_shift
                    zeros += self._zero_of(b) << b_shift
                self._summed(step, operation, bound, zeros)
                yield step
            case ImageLookup(a, table):
                step = native.StepStruct(native.TABLE, a.number, -1, out)
                step.mask = (1 << (8 * self.bytes[a.number])) - 1
                step.table = self._at(self._stored_table(operation, table.ints, table.input_format.bits))
                yield step

    def _stored_table(self, operation: ImageLookup, entries: Array, bits: int) -> Array:
        """The table from stored code to stored result."""
        assert operation.out is not None
        count = 1 << 8 * self.bytes[operation.a.number]
        codes = np.arange(count) - self._zero_of(operation.a)
        stored = entries[codes & ((1 << bits) - 1)] + self._zero_of(operation.out)
        return np.asarray(stored).astype(np.uint8 if self.bytes[operation.out.number] == 1 else np.int16)

    def _window(self, step: native.StepStruct, operation: Any) -> None:
        (top, _), (left, _) = operation.padding
        a = operation.a
        step.kernel_y, step.kernel_x = operation.kernel
        step.stride_y, step.stride_x = operation.stride
        step.corner = -top * self._row(a) - left * a.channels

    def _summed(self, step: native.StepStruct, o: WindowAverage | ImageSum, bound: int, zeros: int) -> None:
        fill_sum(step, _epilogue(o.finish), bound, zeros, self._zero_of(o.out))

    def _convolve(self, o: Convolve, out: int) -> native.StepStruct:
        a, columns = o.a, o.weights.columns
        step = native.StepStruct(native.CONVOLVE, a.number, -1, out)
        size = self.bytes[a.number]
        row = self._row(a)
        runs = [(y * row * size, o.kernel[1] * a.channels) for y in range(o.kernel[0])]
        if o.kernel == (a.height, a.width) and row == a.width * a.channels:
            runs = [(0, a.height * a.width * a.channels)]
        bias = np.zeros(o.weights.shape[1], np.int64) if o.bias is None else o.bias
        start = bias - self._zero_of(a) * columns.sums
        bound = max(-a.low, a.high) * columns.norm + int(np.abs(bias).max())
        self._kept += fill_product(
            step, self.kernels, o.weights.to(INT64), size, runs, start, _epilogue(o.finish), bound,
            self._zero_of(o.out),
        )  # fmt: skip
        self._positions(step, o, size)
        return step

    def _positions(self, step: native.StepStruct, o: Convolve, size: int) -> None:
        """Set the place of each window, in bytes, and of its result, in elements."""
        (top, bottom), (left, right) = o.padding
        a = o.a
        height = output_size(a.height, o.kernel[0], o.stride[0], (top, bottom))
        width = output_size(a.width, o.kernel[1], o.stride[1], (left, right))
        ys, xs = np.arange(height)[:, None], np.arange(width)
        rows = (ys * o.stride[0] - top) * self._row(a)
        starts = (rows + (xs * o.stride[1] - left) * a.channels) * size
        columns = o.weights.shape[1]
        out_row = width * columns if o.out is None else self._row(o.out)
        step.positions = height * width
        setattr(step, "from", self._at(starts.astype(np.int32)))
        step.to = self._at((ys * out_row + xs * columns).astype(np.int32))

    def _at(self, array: Array) -> int:
        kept = np.ascontiguousarray(array)
        self._kept.append(kept)
        return native.address(kept)


def _epilogue(finish: Finish) -> Epilogue:
    return Epilogue(finish.relu, finish.shift, finish.quantizer, finish.fits)


def native_network(plan: NetworkPlan, kernels: Kernels, input: Quantizer) -> NativeNetwork | None:
    """The plan for the compiled kernels, or None if they do not support it."""
    try:
        return NativeNetwork(plan, kernels, input)
    except NotCompiled:
        return None
