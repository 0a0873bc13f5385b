# SPDX-License-Identifier: MIT
"""Which form of a sum the compiled kernels are given: how wide its operands and sums are, and how it finishes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native import network as native
from fixedpoint_nn.numerics.native.library import SUM_LIMIT, Epilogue, Kernels, available
from fixedpoint_nn.numerics.native.network import LINE, StepStruct, aligned_empty, biases, packed_weights
from fixedpoint_nn.numerics.native.steps import (
    NotCompiled,
    bytes_for,
    fill_finish,
    fill_product,
    fill_sum,
    quickened,
    zero_of,
)
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.qformat import Q, QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

LEVELS = available()
pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")
QUICK = (Rounding.FLOOR, Rounding.HALF_UP, Rounding.HALF_DOWN, Rounding.HALF_EVEN)
CLIPPED = (Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC)


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param


@pytest.mark.parametrize(
    ("low", "high", "size"),
    [
        (-128, 127, 1), (0, 255, 1), (0, 0, 1), (-129, 127, 2), (-128, 128, 2), (-1, 128, 2), (0, 256, 2),
        (-32768, 32767, 2), (0, 65535, 2),
    ],
)  # fmt: skip
def test_integers_are_kept_in_one_byte_or_two(low: int, high: int, size: int) -> None:
    def of(level: int) -> Any:
        return SimpleNamespace(level=level)

    assert bytes_for(of(2), low, high, narrow=True) == size
    assert bytes_for(of(2), low, high, narrow=False) == 2
    assert bytes_for(of(1), low, high, narrow=True) == 2, "products of bytes need VNNI"


@pytest.mark.parametrize(("low", "high"), [(0, 65536), (-1, 32768), (-32769, 0)])
def test_integers_of_more_than_16_bits_are_not_compiled(low: int, high: int) -> None:
    with pytest.raises(NotCompiled, match=r"^integers of more than 16 bits$"):
        bytes_for(LEVELS[0], low, high, narrow=False)


def test_bytes_lose_their_sign_and_words_get_one() -> None:
    assert [zero_of(1, *ends) for ends in ((-1, 5), (0, 255), (-128, 127))] == [128, 0, 128]
    assert [zero_of(2, *ends) for ends in ((-5, 5), (0, 32767), (0, 32768), (0, 65535))] == [
        0,
        0,
        -32768,
        -32768,
    ]


def finished(bound: int, shift: int, format: QFormat | None) -> StepStruct:
    step = StepStruct()
    fill_finish(step, Epilogue(False, shift, None if format is None else Quantizer(format)), bound)
    return step


def test_sums_are_of_32_bits_as_long_as_they_fit() -> None:
    assert not finished(SUM_LIMIT, 30, Q(8, 0)).in_int64
    assert finished(SUM_LIMIT + 1, 30, Q(8, 0)).in_int64
    assert not finished(SUM_LIMIT, 0, None).in_int64
    assert finished(FLOAT64_EXACT, 62, Q(31, 0)).finish.shift == 62


@pytest.mark.parametrize(
    ("bound", "shift", "format", "reason"),
    [
        (SUM_LIMIT, 31, Q(8, 0), "a sum, or a shift, that is too wide"),
        (SUM_LIMIT + 1, 63, Q(8, 0), "a sum, or a shift, that is too wide"),
        (FLOAT64_EXACT + 1, 8, Q(8, 0), "a sum, or a shift, that is too wide"),
        (SUM_LIMIT + 1, 0, None, "results that 32 bits do not hold"),
        (SUM_LIMIT + 1, 0, Q(32, 0), "results that 32 bits do not hold"),
    ],
)
def test_what_is_too_wide_is_not_compiled(
    bound: int, shift: int, format: QFormat | None, reason: str
) -> None:
    with pytest.raises(NotCompiled) as caught:
        finished(bound, shift, format)
    assert str(caught.value) == reason


def quick(step: StepStruct, added: int, sums: np.ndarray) -> np.ndarray:
    """The quick end of sums, as `Quick` of network.h describes it."""
    sums = sums + added
    whole = sums >> step.quick.shift
    if step.quick.tie_bits:
        whole -= ((sums & step.quick.tie_bits) == 0) & (whole & 1 == 1)
    return np.clip(whole, step.quick.low, step.quick.high)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 2, 5])
@pytest.mark.parametrize("zero", [0, 128, -32768])
def test_a_quick_end_gives_what_relu_and_cast_give(
    rounding: Rounding, overflow: Overflow, relu: bool, shift: int, zero: int
) -> None:
    sums = np.arange(-400, 401)
    for format, fits in ((Q(4, 0), False), (QFormat(5, 0, False), False), (Q(12, 0), True)):
        step, epilogue = StepStruct(), Epilogue(relu, shift, Quantizer(format, rounding, overflow), fits)
        fill_finish(step, epilogue, 400)
        added = quickened(step, epilogue, 400, zero)
        is_quick = (rounding in QUICK or shift == 0) and (fits or overflow in CLIPPED)
        assert bool(step.quick.__getattribute__("is")) is is_quick
        if not is_quick:
            assert added == 0
            continue
        held = np.maximum(sums, 0) if relu else sums
        assert np.array_equal(
            quick(step, added, sums), convert(held, -shift, format, rounding, overflow) + zero
        )


def test_a_sum_without_a_cast_is_clipped_by_relu_alone() -> None:
    sums = np.arange(-9, 10)
    for relu in (False, True):
        step, epilogue = StepStruct(), Epilogue(relu)
        fill_finish(step, epilogue, 9)
        assert quickened(step, epilogue, 9, 5) == 5
        assert np.array_equal(quick(step, 5, sums), (np.maximum(sums, 0) if relu else sums) + 5)


@pytest.mark.parametrize("over", [False, True])
def test_a_quick_sum_has_room_for_what_is_added_to_it(over: bool) -> None:
    epilogue = Epilogue(False, 4, Quantizer(Q(8, 0), Rounding.HALF_UP, Overflow.SATURATE))
    for zero, added in ((0, 8), (128, 8 + (128 << 4)), (-32768, 8 - (32768 << 4))):
        step = StepStruct()
        bound = SUM_LIMIT - abs(added) - 1 + over
        fill_finish(step, epilogue, bound)
        assert quickened(step, epilogue, bound, zero) == (0 if over else added)


def test_sums_of_stored_values_take_their_zeros_back() -> None:
    epilogue = Epilogue(False, 2, Quantizer(Q(8, 0), Rounding.HALF_UP, Overflow.SATURATE))
    step = StepStruct()
    fill_sum(step, epilogue, 100, 256, 128)
    assert step.quick.start == 2 + (128 << 2) - 256
    for zeros in (256, -256):
        for bound, wide in ((SUM_LIMIT - 256, False), (SUM_LIMIT - 255, True), (SUM_LIMIT + 1, True)):
            step = StepStruct()
            fill_sum(step, epilogue, bound, zeros, 0)
            assert bool(step.in_int64) is wide
            assert step.quick.start == (0 if wide else -zeros)


def filled(kernels: Kernels, size: int, bound: int, shift: int, taps: int = 4, weight: int = 1) -> StepStruct:
    step, matrix = StepStruct(), np.full((taps, 3), weight)
    epilogue = Epilogue(False, shift, Quantizer(Q(8, 0), Rounding.FLOOR, Overflow.SATURATE))
    fill_product(step, kernels, matrix, size, [(0, taps)], np.zeros(3, np.int64), epilogue, bound)
    return step


def test_a_product_is_of_bytes_of_words_or_of_wide_sums(kernels: Kernels) -> None:
    assert filled(kernels, 1, SUM_LIMIT, 4).words == native.BYTES
    assert filled(kernels, 2, SUM_LIMIT, 4).words == native.WORDS
    wide = filled(kernels, 2, SUM_LIMIT + 1, 4)
    assert (wide.kind, wide.words, wide.columns) == (native.CONVOLVE, native.WIDE, 3)
    with pytest.raises(NotCompiled, match=r"^sums that 32 bits do not hold$"):
        filled(kernels, 1, SUM_LIMIT + 1, 4)
    for weight in (-32769, 32768):
        with pytest.raises(NotCompiled, match=r"^weights of more than 16 bits$"):
            filled(kernels, 2, 100, 4, weight=weight)
    assert filled(kernels, 2, 100, 4, weight=-32768).words == native.WORDS
    assert filled(kernels, 2, 100, 4, weight=32767).words == native.WORDS
    with pytest.raises(NotCompiled, match=r"^two weights that are too wide together$"):
        filled(kernels, 2, SUM_LIMIT + 1, 4, weight=-32768)


@pytest.mark.parametrize(
    ("shift", "bound", "kept", "narrow"),
    [
        (1, 1 << 31, 16, False), (2, 1 << 31, 15, False), (2, 1 << 30, 15, False), (4, 1 << 32, 13, True),
        (4, (1 << 33) - 1, 13, True), (4, 1 << 33, 13, False), (16, (1 << 45) - 1, 1, True), (16, 1 << 45, 1, False),
        (17, (1 << 46) - 1, 0, True), (17, 1 << 46, 0, False), (20, 1 << 40, 0, True),
    ],
)  # fmt: skip
def test_wide_sums_leave_out_the_lower_bits_that_nothing_asks_for(
    kernels: Kernels, shift: int, bound: int, kept: int, narrow: bool
) -> None:
    bound = max(bound, SUM_LIMIT + 1)
    step = filled(kernels, 2, bound, shift)
    assert (step.words, step.kept, bool(step.in_int64)) == (native.WIDE, kept, not narrow)
    assert step.finish.shift == (shift - 15 + kept if narrow else shift)


# ---- packed weights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [native.BYTES, native.WORDS, native.WIDE])
@pytest.mark.parametrize("columns", [1, 16, 17, 64, 65, 130])
@pytest.mark.parametrize("runs", [[(0, 9)], [(0, 4), (100, 4)], [(8, 3), (40, 6), (96, 1)]])
def test_packed_weights_stand_block_by_block_and_group_by_group(
    kernels: Kernels, words: int, columns: int, runs: list[tuple[int, int]]
) -> None:
    taps = sum(count for _, count in runs)
    matrix = np.random.default_rng(taps).integers(-99, 100, (taps, columns))
    packed = packed_weights(kernels, matrix, words, runs)
    assert packed is not None
    group, lanes, block = native.GROUP[words], kernels.network_lanes, kernels.network_columns
    if words == native.WIDE:
        block = 2 * lanes
    expected, segments = [], []
    for start in range(0, columns, block):
        part = matrix[:, start : start + block]
        width = -(-part.shape[1] // lanes) * lanes
        before = 0
        for offset, count in runs:
            groups = -(-count // group)
            run = np.zeros((groups * group, width), np.int64)
            run[:count, : part.shape[1]] = part[before : before + count]
            for first in range(0, len(run), group):
                expected += run[first : first + group].T.reshape(-1).tolist()
            segments.append((offset, groups, 1))
            before += count
    assert packed.weights.dtype == (np.int8 if words == native.BYTES else np.int16)
    assert packed.weights.tolist() == expected
    assert [(s.offset, s.groups, s.join) for s in packed.segments] == segments
    assert packed.first_segment.tolist() == [n * len(runs) for n in range(len(range(0, columns, block)) + 1)]


def test_segments_end_before_a_column_leaves_int32(kernels: Kernels) -> None:
    """Of pairs of taps, whose magnitudes add up to 65534 at most."""
    matrix = np.array([[30000, 1], [30000, 1], [3000, 1], [2534, 1], [1, 32767], [0, 32767], [5, 1]])
    packed = packed_weights(kernels, matrix[:, :1], native.WIDE, [(0, 7)])
    assert packed is not None
    assert [(s.offset, s.groups) for s in packed.segments] == [(0, 2), (8, 2)]
    both = packed_weights(kernels, matrix, native.WIDE, [(0, 7)])
    assert both is not None
    assert [(s.offset, s.groups) for s in both.segments] == [(0, 2), (8, 1), (12, 1)]
    assert packed_weights(kernels, np.array([[32767], [32767]]), native.WIDE, [(0, 2)]) is not None
    assert packed_weights(kernels, np.array([[32767], [-32768]]), native.WIDE, [(0, 2)]) is None


@pytest.mark.parametrize("pairs", [31, 32, 33, 63, 64, 65, 200])
def test_a_segment_may_be_longer_than_most(kernels: Kernels, pairs: int) -> None:
    """One segment of all pairs but the last, however many they are; and all of them, if they are light enough."""
    light = np.full((2 * pairs, 1), 65534 // (2 * pairs))
    whole = packed_weights(kernels, light, native.WIDE, [(0, 2 * pairs)])
    assert whole is not None
    assert [(s.offset, s.groups) for s in whole.segments] == [(0, pairs)]
    light[-1] = 65535 - int(light[:-1].sum())
    heavy = packed_weights(kernels, light, native.WIDE, [(0, 2 * pairs)])
    assert heavy is not None
    assert [(s.offset, s.groups) for s in heavy.segments] == [(0, pairs - 1), (4 * (pairs - 1), 1)]


def test_arrays_begin_with_a_line_of_the_cache() -> None:
    for size in (1, 63, 64, 65, 1000):
        for dtype in (np.uint8, np.int16):
            space = aligned_empty(size, dtype)
            assert native.address(space) % LINE == 0
            assert (space.shape, space.dtype) == ((size,), dtype)
            space[...] = 1  # all of it is there


def test_biases_are_halves_of_wide_sums_or_sums_modulo_32_bits() -> None:
    start = np.array([5, -1, (1 << 31) + 7, -(1 << 40) - 3])
    low, high = biases(start, native.WIDE, 6)
    assert (low.dtype, high.dtype) == (np.int32, np.int32)
    assert ((high.astype(np.int64) << 16) + low).tolist() == [*start.tolist(), 0, 0]
    assert low.min() >= 0 and low.max() < 1 << 16
    for words in (native.BYTES, native.WORDS):
        low, high = biases(start, words, 6)
        assert ((low.astype(np.int64) - [*start.tolist(), 0, 0]) % (1 << 32) == 0).all()
        assert low.dtype == np.int32 and not high.any()
