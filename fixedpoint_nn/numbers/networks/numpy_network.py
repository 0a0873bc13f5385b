# SPDX-License-Identifier: MIT
"""Execution of a plan by NumPy: padded float32 buffers that stay in the cache, and a few calls per operation.

It supports plans whose sums fit float32. A cast's power of two is multiplied into weights and biases beforehand.
Max pooling comes before rounding: rounding is monotonic, so the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from fixedpoint_nn.numbers.image_windows import FEW_CHANNELS
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
from fixedpoint_nn.numbers.sliding_windows import Padding, Pair, output_size
from fixedpoint_nn.numerics.arrays import Array, clip
from fixedpoint_nn.numerics.bounded_ints import FLOAT32, FLOAT32_EXACT
from fixedpoint_nn.numerics.overflow import Overflow, fit, limits
from fixedpoint_nn.numerics.rounding import Rounding, round_floats

BLOCK_BYTES = 7 << 18  # of the largest operand of a product: most of a second-level cache of 2 MB
MOST_SAMPLES = 512
_SCALES = 60  # powers of two by which floats are scaled: well within their exponents
_CLIPS = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)
_Call = Callable[[], Any]
_Prepared = tuple[Array, list[_Call], Array]  # input buffer, calls, result buffer


class NotInFloat32(Exception):
    """Raised if a sum of the plan exceeds float32's 24 bits, or a power of two is too large."""


@dataclass(frozen=True)
class _Buffer:
    """A padded image for each sample of a block, with the padding that its consumers need."""

    inside: Array  # (samples, height, width, channels)
    padded: Array
    edges: Padding

    def windows(self, o: Convolve, size: Pair, space: Array) -> tuple[Array, Array, Array]:
        """(view of all windows, buffer in `space` for them, that buffer as a matrix of rows).

        For few channels taps come first, because a row of pixels is longer than a row of taps.
        """
        (top, _), (left, _) = self.edges
        (down, across), (ky, kx) = o.stride, o.kernel
        from_here = self.padded[:, top - o.padding[0][0] :, left - o.padding[1][0] :]
        by_image, by_row, by_column, by_channel = self.padded.strides
        count, channels = len(self.padded), self.padded.shape[3]
        shape: tuple[int, ...] = (count, *size, ky, kx * channels)
        strides: tuple[int, ...] = (by_image, by_row * down, by_column * across, by_row, by_channel)
        if channels <= FEW_CHANNELS:
            shape = (ky, kx, channels, count, *size)
            strides = (by_row, by_column, by_channel, by_image, by_row * down, by_column * across)
        buffer, taps = _shaped(space, shape), ky * kx * channels
        rows = buffer.reshape(taps, -1).T if channels <= FEW_CHANNELS else buffer.reshape(-1, taps)
        return as_strided(from_here, shape, strides, writeable=False), buffer, rows


class NumpyNetwork:
    """The operations of a plan, with float32 weights.

    Buffers are kept between calls, because new memory is slower than the computation in it; a call that finds them in
    use by another thread allocates new ones.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        self.plan = plan
        self.weights: dict[int, tuple[Array, Array | None]] = {}
        self.pools = _pools_after(plan)
        self._free: dict[int, _Prepared] = {}  # by the samples of a block
        largest = max(prod(image.shape) for image in _images(plan))
        for place, o in enumerate(plan.operations):
            _demand_float32(o)
            if isinstance(o, Convolve):
                factor = np.float64(2.0**-o.finish.shift)
                bias = None if o.bias is None else (o.bias * factor).astype(FLOAT32)
                weights = o.weights.converted(FLOAT32)
                weights *= np.float32(factor)
                self.weights[place] = weights, bias
                height, width = _size_of(o)
                largest = max(largest, height * width * max(o.weights.shape))
        self.largest = largest
        self.block = max(1, min(MOST_SAMPLES, BLOCK_BYTES // (4 * largest)))

    def run(self, x: Array) -> Array:
        """The results, in float32, of samples, integers of any dtype."""
        batch = len(x)
        out = np.empty((batch, *self.plan.shape), FLOAT32)
        parts = -(-batch // self.block)
        block = -(-batch // parts)  # equal parts, except for the last
        used: dict[int, _Prepared] = {}
        for start in range(0, batch, block):
            rows = slice(start, start + block)
            samples = x[rows]
            count = len(samples)
            if count not in used:
                free, self._free = self._free, {}  # so that no other thread uses them
                used[count] = free[count] if count in free else self._prepared(count)
            first, calls, result = used[count]
            np.copyto(first, samples.reshape(first.shape), casting="unsafe")
            for call in calls:
                call()
            np.copyto(out[rows], result.reshape(count, *self.plan.shape))
        self._free = used
        return out

    def _prepared(self, count: int) -> _Prepared:
        """(input buffer, calls, result buffer) for blocks of `count` samples."""
        buffers = {image.number: self._buffer(image, count) for image in _images(self.plan)}
        calls: list[_Call] = []
        # All operations share the same scratch memory, which stays in the cache.
        windows, sums, pools = (np.empty(count * self.largest, FLOAT32) for _ in range(3))
        result = buffers[self.plan.result.number].inside if self.plan.result is not None else None
        for place, o in enumerate(self.plan.operations):
            if place in self.pools.values():
                continue
            target = buffers[o.out.number].inside if o.out is not None else None
            match o:
                case Convolve():
                    pooled = self.pools.get(place)
                    pool = None if pooled is None else self.plan.operations[pooled]
                    if pool is not None and pool.out is not None:
                        target = buffers[pool.out.number].inside
                    if target is None:
                        target = result = np.empty((count, *_size_of(o), o.weights.shape[1]), FLOAT32)
                    calls += self._convolve(
                        o, place, pool, buffers[o.a.number], target, (windows, sums, pools)
                    )
                case WindowMaximum() | WindowAverage():
                    assert target is not None
                    calls += _over_windows(o, buffers[o.a.number], target, sums)
                case ImageSum(a, a_shift, b, b_shift, finish):
                    assert target is not None
                    other = None if b is None else buffers[b.number].inside
                    calls += _add(buffers[a.number].inside, a_shift, other, b_shift, finish, target, sums)
                case ImageLookup(a, table):
                    assert target is not None
                    calls.append(_looked_up(buffers[a.number].inside, table, target))
        assert result is not None
        return buffers[self.plan.input.number].inside, calls, result

    def _buffer(self, image: Image, count: int) -> _Buffer:
        pads = [o.padding for o in self.plan.operations if o.a == image and hasattr(o, "padding")]
        (top, bottom), (left, right) = (
            tuple(max((pad[axis][side] for pad in pads), default=0) for side in (0, 1)) for axis in (0, 1)
        )
        shape = (count, image.height + top + bottom, image.width + left + right, image.channels)
        padded = np.zeros(shape, FLOAT32)
        inside = padded[:, top : top + image.height, left : left + image.width]
        return _Buffer(inside, padded, ((top, bottom), (left, right)))

    def _convolve(
        self,
        o: Convolve,
        place: int,
        pool: Any,
        source: _Buffer,
        target: Array,
        spaces: tuple[Array, Array, Array],
    ) -> Iterator[_Call]:
        weights, bias = self.weights[place]
        count, size = len(source.padded), _size_of(o)
        taps, columns = weights.shape
        dense = o.kernel == (o.a.height, o.a.width)
        pointwise = o.kernel == o.stride == (1, 1)
        if (dense or pointwise) and source.inside.flags.c_contiguous and not np.any(o.padding):
            rows = source.inside.reshape(-1, taps)
        else:
            windows, buffer, rows = source.windows(o, size, spaces[0])
            yield partial(np.copyto, buffer, windows)
        flat = target.flags.c_contiguous and pool is None
        sums = target.reshape(-1, columns) if flat else _shaped(spaces[1], (len(rows), columns))
        yield partial(np.matmul, rows, weights, out=sums)
        z = sums
        if pool is not None:
            images = sums.reshape(count, *size, columns)
            smaller = _shaped(spaces[2], (count, *_size_of(pool), columns))
            yield from _largest(images, pool, smaller)
            z = smaller.reshape(-1, columns)
        # A short row of biases is repeated, so that one addition sees long rows.
        wide = z if bias is None else z.reshape(count, -1)
        if bias is not None:
            row = np.tile(bias, wide.shape[1] // columns)
            yield partial(np.add, wide, row, out=wide)
        if flat:
            yield from _finish(o.finish, wide, wide)
        else:
            yield from _finish(o.finish, z.reshape(target.shape), target)


def _images(plan: NetworkPlan) -> list[Image]:
    return [plan.input, *(o.out for o in plan.operations if o.out is not None)]


def _shaped(space: Array, shape: tuple[int, ...]) -> Array:
    """The first elements of a flat buffer, in this shape."""
    return space[: prod(shape)].reshape(shape)


def _size_of(o: Any) -> Pair:
    """(rows, columns) of the windows."""
    height = output_size(o.a.height, o.kernel[0], o.stride[0], o.padding[0])
    return height, output_size(o.a.width, o.kernel[1], o.stride[1], o.padding[1])


def _demand_float32(o: Any) -> None:
    """Raise NotInFloat32 unless float32 holds all results of the operation."""
    finish = getattr(o, "finish", Finish())
    match o:
        case Convolve():
            columns = o.weights.columns
            bound = o.a.high * columns.one_sided if o.a.low >= 0 else max(-o.a.low, o.a.high) * columns.norm
            bound += 0 if o.bias is None else int(np.abs(o.bias).max())
        case WindowAverage():
            bound = max(-o.a.low, o.a.high) * o.kernel[0] * o.kernel[1] * abs(o.factor)
        case ImageSum(a, a_shift, b, b_shift):
            bound = max(-a.low, a.high) << a_shift
            bound += max(-b.low, b.high) << b_shift if b is not None else 0
        case _:
            bound = 0
    if bound > FLOAT32_EXACT or finish.shift > _SCALES:
        raise NotInFloat32
    if any(side < 0 for pair in getattr(o, "padding", ()) for side in pair):
        raise NotInFloat32


def _pools_after(plan: NetworkPlan) -> dict[int, int]:
    """The indices of convolutions that are only max-pooled -> those of the poolings."""
    found = {}
    for place, o in enumerate(plan.operations):
        if not isinstance(o, Convolve) or o.out is None:
            continue
        takers = [n for n, p in enumerate(plan.operations) if o.out in (p.a, getattr(p, "b", None))]
        q = o.finish.quantizer
        rises = q is None or o.finish.fits or q.overflow in _CLIPS
        pool = plan.operations[takers[0]] if len(takers) == 1 else None
        if rises and isinstance(pool, WindowMaximum) and pool.out and not any(map(any, pool.padding)):
            found[place] = takers[0]
    return found


def _taps(images: Array, o: Any) -> Iterator[Array]:
    """For each tap, a view of that tap of every window of padded images."""
    height, width = _size_of(o)
    (down, across), (rows, columns) = o.stride, o.kernel
    for y in range(rows):
        for x in range(columns):
            yield images[:, y : y + down * height : down, x : x + across * width : across]


def _largest(images: Array, o: Any, out: Array) -> Iterator[_Call]:
    return _combined(np.maximum, list(_taps(images, o)), out)


def _combined(combine: np.ufunc, taps: list[Array], out: Array) -> Iterator[_Call]:
    if len(taps) == 1:
        yield partial(np.copyto, out, taps[0])
        return
    yield partial(combine, taps[0], taps[1], out=out)
    for tap in taps[2:]:
        yield partial(combine, out, tap, out=out)


def _over_windows(
    o: WindowMaximum | WindowAverage, source: _Buffer, target: Array, space: Array
) -> Iterator[_Call]:
    (top, _), (left, _) = source.edges
    images = source.padded[:, top - o.padding[0][0] :, left - o.padding[1][0] :]
    if isinstance(o, WindowMaximum):
        yield from _largest(images, o, target)
        return
    if o.kernel == (o.a.height, o.a.width) and not any(map(any, o.padding)):
        sums = _shaped(space, (len(images), 1, 1, o.a.channels))
        yield partial(np.sum, source.inside, axis=(1, 2), keepdims=True, out=sums)
    else:
        sums = _shaped(space, target.shape)
        yield from _combined(np.add, list(_taps(images, o)), sums)
    yield partial(np.multiply, sums, _scalar(o.factor * 2.0**-o.finish.shift), out=sums)
    yield from _finish(o.finish, sums, target)


def _add(
    a: Array, a_shift: int, b: Array | None, b_shift: int, finish: Finish, target: Array, space: Array
) -> Iterator[_Call]:
    """The calls of an addition, with the operands' and the rounding's powers of two combined."""
    first, second = (2.0 ** (shift - finish.shift) for shift in (a_shift, b_shift))
    sums = _shaped(space, target.shape)
    if b is None:
        yield partial(np.multiply, a, _scalar(first), out=sums)
    else:
        if first == second:
            yield partial(np.add, a, b, out=sums)
        else:
            yield partial(np.multiply, b, _scalar(second / first), out=sums)
            yield partial(np.add, sums, a, out=sums)
        if first != 1:
            yield partial(np.multiply, sums, _scalar(first), out=sums)
    yield from _finish(finish, sums, target)


def _finish(finish: Finish, z: Array, out: Array) -> Iterator[_Call]:
    """The calls for ReLU, rounding and overflow of scaled sums into `out`.

    Every rounding is monotonic and leaves 0 as it is, so ReLU can follow it, or be part of the clip.
    """
    q = finish.quantizer
    clips = q is not None and not finish.fits and q.overflow in _CLIPS
    last = z if clips or finish.relu or not finish.fits else out  # where the rounding's results go
    if finish.relu and not finish.fits and not clips:
        yield partial(np.maximum, z, _scalar(0), out=z)
    if q is not None and finish.shift > 0:
        half_even = q.rounding is Rounding.HALF_EVEN
        yield partial(np.rint, z, out=last) if half_even else partial(round_floats, z, q.rounding, last)
        z = last
    if clips:
        assert q is not None
        low, high = limits(q.format, q.overflow)
        yield partial(clip, z, _scalar(max(low, 0) if finish.relu else low), _scalar(high), out=out)
        return
    if q is not None and not finish.fits:
        yield lambda: np.copyto(out, fit(z, q.format, q.overflow, z))
    elif finish.relu:
        yield partial(np.maximum, z, _scalar(0), out=out)
    elif z is not out:
        yield partial(np.copyto, out, z)


def _scalar(value: float) -> Array:
    """A float32 without axes, which a call of NumPy does not have to convert."""
    return np.array(value, FLOAT32)


def _looked_up(codes: Array, table: Any, out: Array) -> _Call:
    entries = table.entries.to(FLOAT32)
    mask = (1 << table.input_format.bits) - 1
    return lambda: np.copyto(out, entries.take(codes.astype(np.int32) & mask))


def numpy_network(plan: NetworkPlan) -> NumpyNetwork | None:
    """NumPy's executor, or None if float32 does not hold the plan's sums."""
    try:
        return NumpyNetwork(plan)
    except NotInFloat32:
        return None
