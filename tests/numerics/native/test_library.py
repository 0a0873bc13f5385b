# SPDX-License-Identifier: MIT
"""Every compiled kernel, at every level of instructions that this machine has, equals int64 arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray, Overflow, Q, QFormat, Quantizer, Rounding
from fixedpoint_nn.numerics.bounded_ints import FLOAT64_EXACT, BoundedInts
from fixedpoint_nn.numerics.conversion import convert
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.native import operands as operands_module
from fixedpoint_nn.numerics.native.library import (
    SUM_LIMIT,
    VARIABLE,
    Epilogue,
    KernelError,
    Kernels,
    Source,
    available,
    chosen,
    self_test,
    split_weights,
)
from fixedpoint_nn.numerics.native.operands import _wide as wide_operands

LEVELS = available()
MODES = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]

pytestmark = pytest.mark.skipif(not LEVELS, reason="the package was built without a C compiler")


@pytest.fixture(params=LEVELS, ids=lambda kernels: kernels.name)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    return request.param


def product(kernels, x, w, bits, offset=0, bias=None, addend=None, epilogue=None) -> np.ndarray:
    out = np.full((len(x), w.shape[1]), np.nan, np.float32)
    total = (0 if bias is None else bias) - offset * w.sum(axis=0)
    rows = np.ascontiguousarray(x, np.float32)
    added = None if addend is None else np.ascontiguousarray(addend, np.float32)
    kernels.product(
        Source(rows, *rows.shape), kernels.pack(w.astype(np.float32), bits), w.shape[1], bits, offset,
        np.broadcast_to(total, w.shape[1]).astype(np.int32), added, epilogue or Epilogue(), out,
    )  # fmt: skip
    return out


def test_the_kernels_pass_their_own_test(kernels: Kernels) -> None:
    assert self_test(kernels) == ""


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 100])
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 33, 48, 49, 64, 65, 130])
def test_products_of_every_shape_are_exact(kernels: Kernels, taps: int, columns: int) -> None:
    rng = np.random.default_rng(taps * 1000 + columns)
    for rows in (1, 5, 6, 7, 47, 48, 49, 100):
        w = rng.integers(-128, 128, (taps, columns))
        x = rng.integers(0, 256, (rows, taps))
        assert np.array_equal(product(kernels, x, w, 8), x @ w)
        assert np.array_equal(product(kernels, x - 128, w, 8, offset=128), (x - 128) @ w)
        assert np.array_equal(product(kernels, x - 128, w, 16), (x - 128) @ w)


@pytest.mark.parametrize(
    ("bits", "low", "high", "offset"),
    [(8, 0, 255, 0), (8, -128, 127, 128), (16, -(1 << 15), (1 << 15) - 1, 0)],
)
def test_the_corners_of_the_operands_are_exact(
    kernels: Kernels, bits: int, low: int, high: int, offset: int
) -> None:
    weight_low, weight_high = (-128, 127) if bits == 8 else (-(1 << 15), (1 << 15) - 1)
    taps = 67 if bits == 8 else 1  # more would leave int32
    x = np.array([[low] * taps, [high] * taps])
    w = np.stack(
        [np.full(taps, weight_low), np.full(taps, weight_high), np.resize([weight_low, weight_high], taps)], 1
    )
    assert np.abs(x @ w).max() <= SUM_LIMIT
    q = Quantizer(QFormat(24, 0), Rounding.FLOOR, Overflow.WRAP)
    shift = 12 if bits == 16 else 3
    got = product(kernels, x, w, bits, offset, epilogue=Epilogue(shift=shift, quantizer=q))
    assert np.array_equal(got, convert(x @ w, -shift, q.format, q.rounding, q.overflow))


def test_sums_at_the_ends_of_int32_are_rounded_right(kernels: Kernels) -> None:
    x, w = np.ones((1, 1), np.int64), np.zeros((1, 4), np.int64)
    bias = np.array([SUM_LIMIT, -SUM_LIMIT, SUM_LIMIT - 1, -SUM_LIMIT - 1])
    for rounding in Rounding:
        for shift in (8, 20, 30):
            q = Quantizer(QFormat(25, 0), rounding, Overflow.SATURATE)
            got = product(kernels, x, w, 16, bias=bias, epilogue=Epilogue(shift=shift, quantizer=q))
            assert np.array_equal(got[0], convert(bias, -shift, q.format, rounding, q.overflow))


@pytest.mark.parametrize(("rounding", "overflow"), MODES, ids=lambda mode: mode.name)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.integers(0, 30),
    word=st.integers(1, 24),
    signed=st.booleans(),
    relu=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_every_epilogue_is_exact(rounding, overflow, seed, shift, word, signed, relu) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-128, 128, (9, 21)), rng.integers(-128, 128, (21, 19))
    bias, addend = rng.integers(-(1 << 29), 1 << 29, 19), rng.integers(-(1 << 23), 1 << 23, (9, 19))
    # Near ties, where roundings differ.
    addend[::2] = (addend[::2] >> min(shift, 20)) << min(shift, 20)
    q = Quantizer(QFormat(word, 0, signed), rounding, overflow)
    sums = x @ w + bias + addend
    expected = convert(np.maximum(sums, 0) if relu else sums, -shift, q.format, rounding, overflow)
    for kernels in LEVELS:
        for bits, offset in ((8, 128), (16, 0)):
            got = product(kernels, x, w, bits, offset, bias, addend, Epilogue(relu, shift, q))
            assert np.array_equal(got, expected), kernels.name


@pytest.mark.parametrize("rounding", Rounding)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_requantizing_float32_integers_is_exact(rounding, data) -> None:
    shift, word = data.draw(st.integers(1, 26)), data.draw(st.integers(1, 16))
    q = Quantizer(
        QFormat(word, 0, data.draw(st.booleans())),
        rounding,
        data.draw(st.sampled_from([Overflow.SATURATE, Overflow.SATURATE_SYMMETRIC])),
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    ints = rng.integers(-(1 << 24), (1 << 24) + 1, (7, 40))
    ints[:3] = (ints[:3] >> shift - 1) << shift - 1  # ties and whole numbers
    ints[3, :4] = 1 << 24, -(1 << 24), 0, -1
    for kernels in LEVELS:
        out = np.empty((7, 33), np.float32)
        kernels.requantize(ints.astype(np.float32)[:, :33], -shift, q, out)
        assert np.array_equal(out, convert(ints[:, :33], -shift, q.format, q.rounding, q.overflow)), (
            kernels.name
        )


def test_a_lookup_takes_the_lowest_bits(kernels: Kernels) -> None:
    table = np.arange(256, dtype=np.float32) ** 2
    codes = np.arange(-300, 300, dtype=np.float32)
    out = np.empty_like(codes)
    kernels.lookup(codes, table, 8, out)
    assert np.array_equal(out, table[codes.astype(np.int64) & 255])


def test_a_kernel_that_is_wrong_is_found_out(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Kernels.product

    def off_by_one(self: Kernels, *arguments: object) -> None:
        right(self, *arguments)
        arguments[-1][-1, -1] += 1

    monkeypatch.setattr(Kernels, "product", off_by_one)
    assert self_test(kernels) == "a product of 8 bits, 1 x 1, FLOOR, WRAP"


def test_a_wrong_kernel_is_not_chosen_and_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "self_test", lambda kernels: "a product of 8 bits")
    library._chosen.cache_clear()
    try:
        monkeypatch.delenv(VARIABLE, raising=False)
        assert chosen().kernels is None
        assert chosen().reason == f"the {LEVELS[-1].name} kernels fail their own test: a product of 8 bits"
        monkeypatch.setenv(VARIABLE, "c")
        with pytest.raises(KernelError) as caught:
            chosen()
        assert str(caught.value) == (
            f"FIXEDPOINT_NN_KERNELS=c demands the compiled kernels, and there is a reason against: "
            f"the {LEVELS[-1].name} kernels fail their own test: a product of 8 bits"
        )
    finally:
        library._chosen.cache_clear()


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "numpy")
    assert (chosen().kernels, chosen().reason) == (None, "FIXEDPOINT_NN_KERNELS=numpy")
    monkeypatch.setenv(VARIABLE, "fortran")
    with pytest.raises(KernelError) as caught:
        chosen()
    assert str(caught.value) == (
        "FIXEDPOINT_NN_KERNELS='fortran' names no kernels; use numpy or c, or leave it out"
    )


# ---- words of 16 bits times weights of 16 bits -----------------------------------------------------------------------


def wide(kernels, x, w, q, shift, bias=None, addend=None, relu=False, most=1 << 20) -> np.ndarray:
    """The product by the way that `operands` chooses, at this level of instructions; `most` bounds x."""
    a = BoundedInts(x.astype(np.float32), most, bool((x < 0).any()))
    found = wide_operands(
        kernels, a, BoundedInts.of(w), int(np.abs(x).max()) * int(np.abs(w).sum(axis=0).max())
    )
    assert found is not None and found.wide
    out = np.full((len(x), w.shape[1]), np.nan, np.float32)
    added = None if addend is None else np.ascontiguousarray(addend, np.float32)
    source = Source(np.ascontiguousarray(x, np.float32), *x.shape)
    found.multiply(source, bias, added, Epilogue(relu, shift, q), out)
    return out


@pytest.mark.parametrize("taps", [1, 2, 3, 63, 64, 65, 1023, 1024, 1030, 2500])
@pytest.mark.parametrize("columns", [1, 16, 17, 64, 65])
def test_wide_products_of_every_shape_are_exact(kernels: Kernels, taps: int, columns: int) -> None:
    rng = np.random.default_rng(taps * 1000 + columns)
    q = Quantizer(QFormat(24, 0), Rounding.HALF_EVEN, Overflow.SATURATE)
    for rows in (1, 6, 49):
        w = rng.integers(-(1 << 15), 1 << 15, (taps, columns))
        for low, high in ((-(1 << 15), (1 << 15) - 1), (0, (1 << 16) - 1)):
            x = rng.integers(low, high + 1, (rows, taps))
            x[0] = low if low else high  # the largest sums that there are
            w[:, 0] = -(1 << 15)
            expected = convert(x @ w, -22, q.format, q.rounding, q.overflow)
            assert np.array_equal(wide(kernels, x, w, q, 22, most=max(-low, high)), expected)


@pytest.mark.parametrize(("rounding", "overflow"), MODES, ids=lambda mode: mode.name)
@given(
    seed=st.integers(0, 2**32 - 1),
    shift=st.integers(0, 52),
    word=st.integers(1, 24),
    signed=st.booleans(),
    relu=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_every_epilogue_of_a_wide_product_is_exact(
    rounding, overflow, seed, shift, word, signed, relu
) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-(1 << 15), 1 << 15, (9, 21)), rng.integers(-(1 << 15), 1 << 15, (21, 19))
    bias, addend = rng.integers(-(1 << 40), 1 << 40, 19), rng.integers(-(1 << 23), 1 << 23, (9, 19))
    sums = x @ w
    # Half of the sums stand at ties and at whole numbers, where roundings differ.
    step = 1 << max(shift - 1, 0)
    bias[::2] = rng.integers(-3, 4, 10) * step - sums[0, ::2] - addend[0, ::2]
    q = Quantizer(QFormat(word, 0, signed), rounding, overflow)
    sums = sums + bias + addend
    expected = convert(np.maximum(sums, 0) if relu else sums, -shift, q.format, rounding, overflow)
    for kernels in LEVELS:
        got = wide(kernels, x, w, q, shift, bias.astype(np.float64), addend, relu, most=1 << 15)
        assert np.array_equal(got, expected), kernels.name


def test_words_that_are_too_wide_are_left_to_numpy(kernels: Kernels) -> None:
    def taken(low: int, high: int, weight_low: int = -(1 << 15), weight_high: int = (1 << 15) - 1) -> bool:
        x, w = np.array([[low, high]], np.float64), np.array([[weight_low], [weight_high]])
        a = BoundedInts(x, max(-low, high), low < 0)
        return wide_operands(kernels, a, BoundedInts.of(w), SUM_LIMIT + 1) is not None

    assert taken(-(1 << 15), (1 << 15) - 1)
    assert taken(0, (1 << 16) - 1)
    assert not taken(-(1 << 15) - 1, 0)
    assert not taken(-1, 1 << 15)
    assert not taken(0, 1 << 16)
    assert not taken(0, 1, weight_high=1 << 15)
    assert not taken(0, 1, weight_low=-(1 << 15) - 1)
    x = BoundedInts(np.ones((1, 1), np.float64), 1, False)
    assert wide_operands(kernels, x, BoundedInts.of(np.array([[1]])), FLOAT64_EXACT + 1) is None


def test_sums_are_cut_where_int32_would_end(kernels: Kernels) -> None:
    low, high = split_weights(np.full((1200, 1), -(1 << 15) + 128))
    assert (low + 256 * high == -(1 << 15) + 128).all() and low.min() == -128
    chunk = operands_module._chunk(low, high)
    assert chunk % 2 == 0
    assert 128 * chunk << 15 <= SUM_LIMIT < 128 * 2 * chunk << 15
    assert operands_module._chunk(*split_weights(np.ones((1201, 1)))) == 1202


@pytest.mark.parametrize("word", [8, 16])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 2), (1, 0))])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_a_convolution_is_the_same_with_and_without_kernels(
    padding, stride, channels, word, monkeypatch
) -> None:
    rng, high = np.random.default_rng(1), 1 << (word - 1)
    images = rng.integers(-high, high, (3, 7, 8, channels))
    w = rng.integers(-high, high, (6 * channels, 70))
    x, weight = FixedArray.from_ints(images, Q(word, 0)), FixedArray.from_ints(w, Q(word, 0))
    results = []
    for choice in ("numpy", "c"):
        monkeypatch.setenv(VARIABLE, choice)
        slid = x.windows((3, 2), stride, padding)
        y = slid.reshape(*slid.shape[:3], 6 * channels).dot(weight)
        results += [
            y.cast(Quantizer(Q(5, -4))).ints,
            y.relu().cast(Quantizer(Q(9, -1), Rounding.HALF_UP)).ints,
        ]
    assert np.array_equal(results[0], results[2])
    assert np.array_equal(results[1], results[3])
