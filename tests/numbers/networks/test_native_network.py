# SPDX-License-Identifier: MIT
"""Which form of a network the compiled kernels are given: bytes, edges, tensors, steps and blocks."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Overflow, Q, Quantizer, Rounding, Table
from fixedpoint_nn.numbers.networks.native_network import (
    ARENA_BYTES,
    MOST_SAMPLES,
    NativeNetwork,
    native_network,
)
from fixedpoint_nn.numbers.networks.plan import (
    Convolve,
    Finish,
    Image,
    ImageLookup,
    ImageSum,
    NetworkPlan,
    Operation,
    WindowAverage,
    WindowMaximum,
)
from fixedpoint_nn.numerics.bounded_ints import BoundedInts
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import SUM_LIMIT, available
from fixedpoint_nn.numerics.native.steps import NotCompiled
from fixedpoint_nn.numerics.qformat import UQ

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
# Kernels with products of bytes that only pretend to run.
KERNELS: Any = SimpleNamespace(level=2, network_columns=64, network_lanes=16)
INPUT = Quantizer(Q(4, 4), Rounding.HALF_UP)
VALID = ((0, 0), (0, 0))
FITTED = Finish(False, 3, Quantizer(Q(8, 0), Rounding.HALF_UP), False)


def image(
    number: int, height: int = 5, width: int = 4, channels: int = 2, low: int = -128, high: int = 127
) -> Image:
    return Image(number, height, width, channels, low, high)


def plan_of(*operations: Operation, source: Image | None = None) -> NetworkPlan:
    last = operations[-1].out
    shape = (1, 1, 3) if last is None else last.shape
    return NetworkPlan(source or image(0), operations, last, shape, Q(8, 0), -128, 127)


def made(*operations: Operation, source: Image | None = None) -> NativeNetwork:
    return NativeNetwork(plan_of(*operations, source=source), KERNELS, INPUT)


def conv(
    source: Image,
    out: Image | None,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    padding: Any = VALID,
    weight: int = 1,
    bias: Any = None,
    columns: int = 3,
) -> Convolve:
    taps = kernel[0] * kernel[1] * source.channels
    weights = BoundedInts.of(np.full((taps, columns), weight))
    return Convolve(source, kernel, stride, padding, weights, bias, FITTED, out)


def read(place: int, kind: Any, count: int) -> list[int]:
    """Integers of C where they stand."""
    return list(ctypes.cast(place, ctypes.POINTER(kind))[:count])


# ---- bytes and edges -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "weight", "size"),
    [
        (-128, 127, 127, 1), (-128, 127, -128, 1), (-128, 127, 128, 2), (-128, 127, -129, 2), (0, 255, 1, 1),
        (0, 256, 1, 2), (-1, 128, 1, 2),
    ],
)  # fmt: skip
def test_an_image_is_of_bytes_where_it_and_all_weights_fit(
    low: int, high: int, weight: int, size: int
) -> None:
    source = image(0, low=low, high=high)
    network = made(conv(source, image(1, channels=3), weight=weight), source=source)
    assert network.bytes == {0: size, 1: 1}
    other = conv(source, image(2, channels=3), weight=300)
    assert made(conv(source, image(1, channels=3)), other, source=source).bytes[0] == 2, (
        "every product with it"
    )


def test_the_largest_is_found_among_words_of_one_size() -> None:
    """Back to what it is taken from, and on to what is taken from it."""
    wide = conv(image(2, 2, 2, 2), image(3, 2, 2, 3), weight=200)  # words for image 2
    pools = (
        WindowMaximum(image(0), (2, 2), (2, 2), VALID, image(1, 2, 2)),
        WindowMaximum(image(1, 2, 2), (1, 1), (1, 1), VALID, image(2, 2, 2)),
    )
    assert made(*pools, wide).bytes == {0: 2, 1: 2, 2: 2, 3: 1}
    assert made(*pools).bytes == {0: 1, 1: 1, 2: 1}
    assert made(conv(image(0), image(1, 5, 4, 2), weight=200, columns=2)).bytes == {0: 2, 1: 1}
    average = WindowAverage(image(1, 2, 2), (1, 1), (1, 1), VALID, 1, FITTED, image(2, 2, 2))
    assert made(pools[0], average, wide).bytes == {0: 1, 1: 1, 2: 2, 3: 1}


def test_edges_are_as_wide_as_any_reader_needs() -> None:
    one = conv(image(0), image(1, 5, 4, 3), (3, 3), padding=((2, 0), (1, 1)))
    two = WindowAverage(image(0), (2, 2), (1, 1), ((1, 1), (0, 2)), 1, FITTED, image(2, 6, 5))
    network = made(one, two, ImageSum(image(0), 0, image(0), 0, FITTED, image(3)))
    assert network.edges == {0: ((2, 1), (1, 2)), 1: VALID, 2: VALID, 3: VALID}
    with pytest.raises(NotCompiled, match=r"^negative padding$"):
        made(conv(image(0), image(1, 4, 4, 3), padding=((-1, 0), (0, 0))))
    assert (
        native_network(plan_of(conv(image(0), image(1), padding=((0, 0), (0, -1)))), KERNELS, INPUT) is None
    )


@pytest.mark.parametrize(
    ("padding", "row", "first", "count"),
    [
        (VALID, 8, 0, 40),
        (((1, 0), (0, 0)), 8, 8, 48),
        (((0, 1), (0, 0)), 8, 0, 48),
        (((0, 0), (1, 0)), 10, 2, 50),
        (((0, 0), (0, 1)), 10, 0, 50),
        (((2, 1), (1, 2)), 14, 30, 112),
    ],
)
@pytest.mark.parametrize(("weight", "size"), [(1, 1), (300, 2)])
def test_a_tensor_has_its_edges_around_it(
    padding: Any, row: int, first: int, count: int, weight: int, size: int
) -> None:
    source, end = image(0), image(2, 5, 4, 2, 0, 65535)
    (top, bottom), (left, right) = padding
    out = image(1, 5 + top + bottom, 4 + left + right, 3)
    network = made(
        conv(source, out, padding=padding, weight=weight), ImageSum(image(0), 0, None, 0, FITTED, end)
    )
    t, after, last = network.described
    assert (t.row, t.first, t.image_bytes) == (row, first * size, count * size)
    assert (t.height, t.width, t.channels, t.bytes) == (5, 4, 2, size)
    assert (t.zero, t.padded, t.arena) == (128 if size == 1 else 0, int(padding != VALID), 0)
    assert after.arena == count * size and last.arena == after.arena + after.image_bytes
    assert (last.bytes, last.zero, last.padded) == (2, -32768, 0)
    assert network.sample_bytes == last.arena + last.image_bytes
    assert network.block == min(MOST_SAMPLES, ARENA_BYTES // network.sample_bytes)


def test_blocks_are_of_one_sample_at_least() -> None:
    for side, block in ((2, MOST_SAMPLES), (60, ARENA_BYTES // (60 * 60 * 5)), (1000, 1)):
        source = image(0, side, side, 2)
        assert made(conv(source, image(1, side, side, 3)), source=source).block == block


# ---- steps -----------------------------------------------------------------------------------------------------------


def test_samples_enter_as_floats_as_integers_in_floats_or_in_words() -> None:
    network = made(conv(image(0), image(1, channels=3)))
    for kind, entry in (
        (None, (native.ENTER_FLOATS, 0, 0)),
        (np.dtype("f4"), (native.ENTER_INTS, 0, 0)),
        (np.dtype("i1"), (native.ENTER_STORED, 1, 1)),
        (np.dtype("u2"), (native.ENTER_STORED, 2, 0)),
    ):
        program = network._program(kind)
        step = program[0]
        assert (step.kind, step.given_bytes, step.given_signed) == entry
        assert (step.a, step.b, step.out) == (-1, -1, 0)
        assert network._program(kind) is program
        assert [one.kind for one in program] == [entry[0], native.CONVOLVE, native.LEAVE]
        if kind is None:
            f = step.finish
            assert step.scale == 16
            assert (f.relu, f.shift, f.rounding, f.overflow) == (0, 0, 2, 1)
            assert (f.low, f.high, f.word, f.is_signed) == (-128, 127, 8, 1)
    leaving = network.steps[-1]
    assert (leaving.a, leaving.b, leaving.out) == (1, -1, -1)
    ending = made(conv(image(0, 1, 1), None), source=image(0, 1, 1))
    assert [one.kind for one in ending.steps] == [native.CONVOLVE] and ending.steps[0].out == -1


def test_windows_of_the_largest_and_of_averages_begin_in_the_edges() -> None:
    padding = ((2, 1), (1, 2))
    pool = WindowMaximum(image(0), (3, 2), (2, 1), padding, image(1, 3, 6))
    average = WindowAverage(image(0), (2, 3), (1, 2), ((1, 0), (0, 1)), -5, FITTED, image(2, 5, 2))
    for place, (step, o) in enumerate(zip(made(pool, average).steps, (pool, average), strict=False)):
        assert step.kind == (native.MAXIMUM, native.AVERAGE)[place]
        assert (step.a, step.b, step.out) == (0, -1, place + 1)
        assert (step.kernel_y, step.kernel_x, step.stride_y, step.stride_x) == (*o.kernel, *o.stride)
        assert step.corner == -o.padding[0][0] * (4 + 1 + 2) * 2 - o.padding[1][0] * 2
    assert step.factor == -5
    half = 1 << 2  # of a step, which rounds half up, and the zeros of six bytes and of the result's
    assert step.quick.start == half + (128 << 3) + 5 * 128 * 6


@pytest.mark.parametrize(("low", "high"), [(-100, 3), (-3, 100)])
def test_sums_of_averages_and_of_values_go_to_64_bits_where_they_must(low: int, high: int) -> None:
    source = image(0, 5, 4, 2, low, high)
    zeros = 128  # of each byte

    def average(factor: int) -> Any:
        return made(
            WindowAverage(source, (2, 3), (1, 1), VALID, factor, FITTED, image(1, 4, 2)), source=source
        ).steps[0]

    most = SUM_LIMIT // (6 * (100 + zeros))
    assert [bool(average(sign * most).in_int64) for sign in (1, -1)] == [False, False]
    assert [bool(average(sign * (most + 1)).in_int64) for sign in (1, -1)] == [True, True]
    assert average(SUM_LIMIT // 600).factor == SUM_LIMIT // 600
    wide = WindowAverage(source, (2, 3), (1, 1), VALID, SUM_LIMIT + 1, FITTED, image(1, 4, 2))
    assert native_network(plan_of(wide, source=source), KERNELS, INPUT) is None
    assert native_network(plan_of(replace(wide, factor=SUM_LIMIT), source=source), KERNELS, INPUT) is not None
    assert (
        native_network(plan_of(replace(wide, factor=-SUM_LIMIT - 1), source=source), KERNELS, INPUT) is None
    )

    def added(a_shift: int, b: Image | None, b_shift: int) -> Any:
        sums = ImageSum(source, a_shift, b, b_shift, FITTED, image(1))
        return made(sums, source=source).steps[0]

    top = (SUM_LIMIT // 228).bit_length() - 1  # how far 100 and a zero of 128 go up
    for step, wide_one in (
        (added(top, None, 0), False),
        (added(top + 1, None, 0), True),
        (added(top - 1, source, top - 1), False),
        (added(top, source, top), True),
        (added(0, source, top), False),
        (added(0, source, top + 1), True),
    ):
        assert bool(step.in_int64) is wide_one
    step = added(3, source, 1)
    assert (step.kind, step.a, step.b, step.out) == (native.ADD, 0, 0, 1)
    assert (step.a_shift, step.b_shift) == (3, 1)
    assert step.quick.start == 4 + (128 << 3) - (128 << 3) - (128 << 1)
    alone = added(3, None, 0)
    assert (alone.b, alone.quick.start) == (-1, 4 + (128 << 3) - (128 << 3))


@pytest.mark.parametrize(("kernel", "taken"), [((256, 256), True), ((257, 256), False), ((256, 257), False)])
def test_the_sum_of_a_window_is_of_32_bits(kernel: tuple[int, int], taken: bool) -> None:
    source = image(0, 257, 257, 1, -32767, 5)
    average = WindowAverage(
        source, kernel, (1, 1), VALID, 1, FITTED, image(1, 258 - kernel[0], 258 - kernel[1], 1)
    )
    if taken:
        assert made(average, source=source).bytes[0] == 2
        return
    with pytest.raises(NotCompiled, match=r"^sums that 32 bits do not hold$"):
        made(average, source=source)


@pytest.mark.parametrize(("low", "high"), [(-300, 3), (-3, 300)])
def test_sums_of_words_are_bounded_by_their_larger_end(low: int, high: int) -> None:
    source = image(0, 5, 4, 2, low, high)
    top = (SUM_LIMIT // 300).bit_length() - 1  # how far 300 goes up
    for a_shift, b_shift, wide in (
        (top, None, False), (top + 1, None, True), (top - 1, top - 1, False), (top, top, True), (0, top, False),
        (0, top + 1, True),
    ):  # fmt: skip
        b = None if b_shift is None else source
        step = made(ImageSum(source, a_shift, b, b_shift or 0, FITTED, image(1)), source=source).steps[0]
        assert bool(step.in_int64) is wide


def test_a_product_has_a_run_for_each_row_of_its_windows_and_places_for_all() -> None:
    padding = ((1, 0), (2, 1))
    source, out = image(0), image(1, 2, 5, 3)
    after = WindowAverage(out, (1, 1), (1, 1), ((0, 0), (1, 0)), 1, FITTED, image(2, 2, 6, 3))
    bias = np.array([5, -6, 7])
    for weight, size in ((1, 1), (300, 2)):
        network = made(conv(source, out, (3, 2), (2, 1), padding, weight, bias, 3), after)
        step = network.steps[0]
        row = (4 + 2 + 1) * 2
        assert (step.kind, step.a, step.b, step.out, step.columns) == (native.CONVOLVE, 0, -1, 1, 3)
        segments = ctypes.cast(step.segments, ctypes.POINTER(native._Segment))
        assert [segments[y].offset for y in range(3)] == [y * row * size for y in range(3)]
        height, width = 2, 6
        assert step.positions == height * width
        starts = [((2 * y - 1) * row + (x - 2) * 2) * size for y in range(height) for x in range(width)]
        assert read(getattr(step, "from"), ctypes.c_int32, 12) == starts
        out_row = (5 + 1) * 3
        assert read(step.to, ctypes.c_int32, 12) == [
            y * out_row + x * 3 for y in range(height) for x in range(width)
        ]
        taken = 128 * weight * 12 if size == 1 else 0
        half = 4 + (128 << 3)  # of a step, and the result's zero
        assert read(step.bias, ctypes.c_int32, 3) == [n - taken + half for n in (5, -6, 7)]


@pytest.mark.parametrize(
    ("kernel", "padding", "one_run"),
    [
        ((5, 4), VALID, True),
        ((4, 4), VALID, False),
        ((5, 3), VALID, False),
        ((5, 4), ((0, 0), (0, 1)), False),
    ],
)
def test_a_window_of_the_whole_image_is_one_run(kernel: tuple[int, int], padding: Any, one_run: bool) -> None:
    out = image(1, 6 - kernel[0], 5 - kernel[1] + padding[1][1], 3)
    step = made(conv(image(0), out, kernel, padding=padding)).steps[0]
    first = read(step.first_segment, ctypes.c_int64, 2)
    assert first == [0, 1 if one_run else kernel[0]]


def test_a_product_without_memory_writes_row_after_row() -> None:
    step = made(conv(image(0), None, (2, 2))).steps[0]
    assert step.out == -1 and step.positions == 12
    assert read(step.to, ctypes.c_int32, 12) == [3 * n for n in range(12)]


@pytest.mark.parametrize(("low", "high"), [(-30000, 5), (-5, 30000)])
def test_the_bound_of_a_product_is_that_of_its_words_weights_and_bias(low: int, high: int) -> None:
    """Three words of 30000 times a weight, and a bias of either sign: 32 bits, or more."""
    source = image(0, 1, 1, 3, low, high)
    weight = SUM_LIMIT // 30000 // 3
    rest = SUM_LIMIT - 30000 * weight * 3
    assert weight < 1 << 15 and rest > 0
    for over, words in ((0, native.WORDS), (1, native.WIDE)):
        for sign in (1, -1):
            bias = np.array([sign * (rest + over)])
            heavy = conv(source, image(1, 1, 1, 1), weight=-sign * weight, bias=bias, columns=1)
            assert made(heavy, source=source).steps[0].words == words


@pytest.mark.parametrize(
    ("source", "out"),
    [
        (image(0), image(1)), (image(0, low=0, high=255), image(1)), (image(0, low=-9, high=300), image(1)),
        (image(0), image(1, low=0, high=255)), (image(0), image(1, low=-300, high=2)),
        (image(0, low=0, high=40000), image(1, low=0, high=50000)),
    ],
)  # fmt: skip
def test_a_table_holds_the_stored_result_of_every_stored_code(source: Image, out: Image) -> None:
    """By the lowest bits of the code; bytes have no sign, and words have one."""
    table = Table("tanh", Q(4, 2) if source.low < 0 else UQ(4, 2), Quantizer(Q(2, 6)))
    network = made(ImageLookup(source, table, out), source=source)
    step, entries = network.steps[0], np.asarray(table.ints)
    size, out_size = network.bytes[0], network.bytes[1]
    assert (step.kind, step.a, step.b, step.out, step.mask) == (native.TABLE, 0, -1, 1, (1 << 8 * size) - 1)
    zeros = [
        {1: 128 if i.low < 0 else 0, 2: -32768 if i.high >= 1 << 15 else 0}[n]
        for i, n in ((source, size), (out, out_size))
    ]
    codes = np.arange(1 << 8 * size) - zeros[0]
    stored = entries[codes & 63] + zeros[1]
    kind = ctypes.c_uint8 if out_size == 1 else ctypes.c_int16
    assert (
        read(step.table, kind, len(codes)) == stored.astype(np.uint8 if out_size == 1 else np.int16).tolist()
    )


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", LEVELS, ids=lambda kernels: kernels.name)
def test_samples_with_gaps_are_packed_first(kernels: Any) -> None:
    plan = plan_of(ImageSum(image(0), 0, None, 0, Finish(False, 0, Quantizer(Q(8, 0)), True), image(1)))
    network = NativeNetwork(plan, kernels, INPUT)
    x = np.random.default_rng(0).integers(-128, 128, (7, 5, 4, 2))
    gaps = np.zeros((7, 5, 4, 4), np.int8)
    gaps[..., ::2] = x
    for given in (
        x.astype(np.float32),
        x.astype(np.int8),
        gaps[..., ::2],
        np.asfortranarray(x.astype(np.float32)),
    ):
        for block in (1, 3, 99):
            network.block = block
            got = network.run(given, False)
            assert got is not None and np.array_equal(got, x)
    got = network.run((x / 16).astype(np.float32), True)
    assert got is not None and np.array_equal(got, x)
    bad = np.full((1, 5, 4, 2), np.inf, np.float32)
    assert network.run(bad, True) is None


@pytest.mark.parametrize("kernels", LEVELS, ids=lambda kernels: kernels.name)
@pytest.mark.parametrize("low", [0, -128, -1000, 1 << 15])
def test_samples_of_every_width_enter_whole(kernels: Any, low: int) -> None:
    """With edges around each row, and without, where an image is one long row; nothing is read beyond its end."""
    for width in (1, 7, 8, 15, 16, 17, 31, 33, 90, 256, 257, 300):
        for padding in (VALID, ((1, 0), (2, 1))):
            source = image(0, 3, width, 1, low, low + 127)
            pool = WindowMaximum(source, (1, 1), (1, 1), padding, image(1, 3, width, 1, low, low + 127))
            if padding != VALID:
                pool = replace(pool, out=image(1, 4, width + 3, 1, min(low, 0), low + 127))
            network = NativeNetwork(plan_of(pool, source=source), kernels, Quantizer(Q(17, 0)))
            x = np.random.default_rng(width).integers(low, low + 128, (3, 3, width, 1))
            assert pool.out is not None
            expected = np.zeros((3, *pool.out.shape), np.int64)
            expected[:, padding[0][0] :, padding[1][0] : padding[1][0] + width] = x
            for floats in (False, True):
                got = network.run(x.astype(np.float32), floats)
                assert got is not None and np.array_equal(got, expected)


def test_a_call_uses_the_memory_of_an_earlier_one_if_it_is_large_enough() -> None:
    network = made(conv(image(0), image(1, channels=3)))
    one, two = network._arena(1), network._arena(2)
    assert len(one) == network.sample_bytes + native.SLACK
    assert len(two) == 2 * network.sample_bytes + native.SLACK
    network._free.append(two)
    assert network._arena(1) is two
    assert len(network._arena(1)) == len(one)  # of a call at the same time
    network._free.append(one)
    assert len(network._arena(2)) == len(two)
    network._free.append(two)
    assert network._arena(2) is two


@pytest.mark.parametrize("kernels", LEVELS, ids=lambda kernels: kernels.name)
def test_a_run_leaves_its_memory_to_the_next(kernels: Any) -> None:
    plan = plan_of(ImageSum(image(0), 0, None, 0, Finish(False, 0, Quantizer(Q(8, 0)), True), image(1)))
    network = NativeNetwork(plan, kernels, INPUT)
    x = np.random.default_rng(0).integers(-128, 128, (7, 5, 4, 2)).astype(np.float32)
    for samples in (x, -x[:3].clip(-127), x):
        got = network.run(samples, False)
        assert got is not None and np.array_equal(got, samples)
        assert len(network._free) == 1


def test_casts_that_count_are_quick_or_fit() -> None:
    saturating = conv(image(0), image(1, channels=3))
    fitting = replace(saturating, finish=replace(FITTED, fits=True))
    zeroing = Finish(False, 3, Quantizer(Q(8, 0), Rounding.HALF_UP, Overflow.ZERO), False)
    bare = replace(saturating, finish=Finish(), out=image(1, channels=3, low=-2000, high=2000))
    for operation, casts in (
        (saturating, [(1, FITTED.quantizer, 60)]),
        (fitting, [(1, FITTED.quantizer, 60)]),
        (replace(saturating, finish=zeroing), None),
        (replace(saturating, finish=replace(zeroing, fits=True)), [(1, zeroing.quantizer, 60)]),
        (bare, []),
        (WindowMaximum(image(0), (2, 2), (2, 2), VALID, image(1, 2, 2)), []),
    ):
        assert made(operation).casts == casts
    ending = made(conv(image(0, 1, 1), None), source=image(0, 1, 1))
    assert ending.casts == [(1, FITTED.quantizer, 3)]
