# SPDX-License-Identifier: MIT
"""requantize.v and quantize_product.v against `Quantizer`, whose integers they compute."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixedpoint_nn.hardware.emulator.datapath import requantized_sums as requantized_by_emulator
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support.module_bench import bench, vectors
from tests.support.oracle import fitted, rounded

ROUNDINGS, OVERFLOWS = list(Rounding), list(Overflow)


def requantized(
    sums: np.ndarray, bias: int, shift: int, leak: int, before: bool, after: bool, quantizer: Quantizer
) -> tuple[np.ndarray, np.ndarray]:
    """The twin: words, and which of them did not fit."""
    biased = sums + bias
    if before:
        biased = np.maximum(biased, 0)
    wide = Quantizer(QFormat(63, 0), quantizer.rounding)
    rounded = np.where(biased < 0, wide.from_ints(biased, shift + leak), wide.from_ints(biased, shift))
    words = quantizer.from_ints(rounded, 0)
    return (np.maximum(words, 0) if after else words), words != rounded


def requantize_vectors(
    sum_width: int, bias_width: int, output_width: int, rng: np.random.Generator, exhaustive: bool
) -> Path:
    """Rows of settings, sum, bias, shift and the word that must come; every rounding and overflow."""
    rows = []
    for rounding in ROUNDINGS:
        for overflow in OVERFLOWS:
            for bits in sorted({1, 2, output_width // 2, output_width - 1, output_width}):
                for signed in (True, False):
                    if not signed and bits == output_width:
                        continue
                    before, after = (bool(rng.integers(4) == 0) for _ in range(2))
                    leak = int(rng.integers(1, 4)) if rng.integers(3) == 0 else 0
                    shift = int(rng.integers(0, sum_width))
                    bias = int(rng.integers(-(1 << bias_width - 1), 1 << bias_width - 1)) >> int(
                        rng.integers(bias_width)
                    )
                    low, high = -(1 << sum_width - 1), (1 << sum_width - 1) - 1
                    if exhaustive:
                        sums = np.arange(low, high + 1)
                    else:
                        shift = (
                            int(rng.integers(0, 64 - leak))
                            if rng.integers(4) == 0
                            else int(rng.integers(sum_width - output_width))
                        )
                        half = 1 << max(shift - 1, 0)
                        near = [
                            low,
                            high,
                            -bias,
                            half - bias,
                            -half - bias,
                            3 * half - bias,
                            -3 * half - bias,
                        ]
                        near += [
                            (s << shift) - bias for s in (-(1 << bits - 1), 1 << bits - 1, (1 << bits) - 1)
                        ]
                        near += [place + step for place in list(near) for step in (-1, 1)]
                        full = rng.integers(low, high, 20, dtype=np.int64, endpoint=True)
                        some = rng.integers(-(1 << bits + 1), 1 << bits + 1, 20) * (1 << min(shift, 40))
                        sums = np.clip(np.array(near, dtype=object), low, high).astype(np.int64)
                        sums = np.concatenate([sums, full, np.clip(some, low, high)])
                    quantizer = Quantizer(QFormat(bits, 0, signed), rounding, overflow)
                    words, misfit = requantized(sums, bias, shift, leak, before, after, quantizer)
                    settings = [
                        before,
                        after,
                        False,
                        leak,
                        ROUNDINGS.index(rounding),
                        OVERFLOWS.index(overflow),
                        bits,
                        signed,
                    ]
                    rows.append([*(np.full(len(sums), s) for s in settings), sums, np.full(len(sums), bias),
                                 np.ones(len(sums), int), np.full(len(sums), shift), words, misfit])  # fmt: skip
    widths = [1, 1, 1, 6, 3, 2, 6, 1, sum_width, bias_width, 1, 6, output_width, 1]
    columns = [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    return vectors(list(zip(columns, widths, strict=True)))


@pytest.mark.parametrize(
    ("sum_width", "bias_width", "output_width"), [(8, 7, 4), (24, 16, 8), (48, 32, 16), (62, 40, 18)]
)
def test_requantize_equals_the_quantizer(sum_width: int, bias_width: int, output_width: int) -> None:
    rng = np.random.default_rng(sum_width)
    path = requantize_vectors(sum_width, bias_width, output_width, rng, exhaustive=sum_width == 8)
    count = len(path.read_text().splitlines())
    text = bench(
        "requantize_tb",
        {"SUM_WIDTH": sum_width, "BIAS_WIDTH": bias_width, "OUTPUT_WIDTH": output_width},
        [f"+vectors={path}", f"+count={count}"],
    )
    assert f"PASS: {count} vectors" in text


def test_the_requantizer_bench_notices_one_wrong_bit() -> None:
    path = requantize_vectors(24, 16, 8, np.random.default_rng(1), exhaustive=False)
    lines = path.read_text().splitlines()
    lines[100] = f"{int(lines[100], 16) ^ 2:0{len(lines[100])}x}"
    path.write_text("\n".join(lines) + "\n")
    text = bench(
        "requantize_tb",
        {"SUM_WIDTH": 24, "BIAS_WIDTH": 16, "OUTPUT_WIDTH": 8},
        [f"+vectors={path}", f"+count={len(lines)}"],
    )
    assert "FAIL: vector 100" in text


def multiplied_word(run: Run, biased: int, multiplier: int, shift: int) -> tuple[int, int]:
    """The word that `run` makes of one product, by fractions, and whether it did not fit."""
    value, rounding = Fraction(biased * multiplier), ROUNDINGS[run.rounding]
    if run.twice and shift > 31:
        value, shift = Fraction(rounded(value / (1 << 31), Rounding.HALF_UP)), shift - 31
    elif run.twice:
        rounding = Rounding.HALF_UP
    if run.relu_before and value < 0:
        value = Fraction(0)
    exact = rounded(value / (1 << shift + (run.leak if value < 0 else 0)), rounding)
    word = fitted(exact, QFormat(run.out_bits, 0, run.out_signed), OVERFLOWS[run.overflow])
    return (max(word, 0) if run.relu_after else word), int(word != exact)


def near_ties(draw: np.random.Generator, high: int, multiplier: int, shift: int, word: int) -> list[int]:
    """Sums whose products lie around halves of codes that the word's format has, or has not any more."""
    codes = draw.integers(-(1 << word), (1 << word) + 1, 4).tolist()
    ties = [((2 * code + 1) << shift) // (2 * multiplier) if multiplier else code for code in codes]
    return [max(-high, min(high - 1, tie + step)) for tie in ties for step in (-1, 0, 1)]


def multiplied_rows(
    sum_width: int, bias_width: int, output_width: int, width: int, draw: np.random.Generator
) -> list[tuple[Run, int, int, int, int]]:
    """(settings, sum, bias, multiplier, shift) for every rounding and overflow, once and twice."""
    rows, high, most = [], 1 << sum_width - 1, 1 << width - 1
    for rounding, overflow, twice in product(range(7), range(4), (False, True)):
        signed = bool(draw.integers(2))
        run = Run(
            rounding=rounding,
            overflow=overflow,
            twice=twice,
            out_signed=signed,
            out_bits=int(draw.integers(1, output_width + signed)),
            relu_before=draw.integers(5) == 0,
            relu_after=draw.integers(5) == 0,
            leak=int(draw.integers(4)) if draw.integers(4) == 0 else 0,
        )
        for _ in range(6):
            multiplier = (
                int(draw.integers(-most, most)) >> int(draw.integers(width)) if draw.integers(8) else most - 1
            )
            shift = int(draw.integers(28, 36)) if draw.integers(2) else int(draw.integers(60))
            bias = int(draw.integers(-(1 << bias_width - 1), 1 << bias_width - 1)) >> int(
                draw.integers(bias_width)
            )
            sums = [-high, high - 1, -bias, int(draw.integers(-high, high))]
            sums += near_ties(draw, high, multiplier, shift, run.out_bits)
            if draw.integers(3) == 0:  # products that are powers of two: one bit, far above all others
                multiplier = 1 << width - 2
                sums += [sign * (1 << sum_width - 2) - bias for sign in (1, -1)]
            rows += [(run, one, bias, multiplier, shift) for one in sums if -high <= one < high]
    return rows


MULTIPLIED = [
    (8, 7, 4, 6),
    (24, 20, 9, 32),
    (32, 32, 8, 32),
    (48, 32, 16, 18),
    (63, 63, 32, 32),
    (63, 63, 8, 32),
    (12, 8, 8, 24),
]


@pytest.mark.parametrize(("sum_width", "bias_width", "output_width", "width"), MULTIPLIED)
def test_the_multiplier_equals_fractions_and_the_emulator(
    sum_width: int, bias_width: int, output_width: int, width: int
) -> None:
    rows = multiplied_rows(sum_width, bias_width, output_width, width, np.random.default_rng(width))
    columns = []
    for run, one, bias, multiplier, shift in rows:
        word, misfit = multiplied_word(run, one + bias, multiplier, shift)
        parameters = np.array([[shift, bias, multiplier]])
        words, misfits = requantized_by_emulator(run, np.array([[one]]), parameters)
        assert (int(words[0, 0]), misfits) == (word, misfit)
        settings = (run.relu_before, run.relu_after, run.twice, run.leak, run.rounding, run.overflow)
        columns.append((*settings, run.out_bits, run.out_signed, one, bias, multiplier, shift, word, misfit))
    widths = [1, 1, 1, 6, 3, 2, 6, 1, sum_width, bias_width, width, 6, output_width, 1]
    path = vectors([(np.array(c), bits) for c, bits in zip(zip(*columns, strict=True), widths, strict=True)])
    parameters = {"SUM_WIDTH": sum_width, "BIAS_WIDTH": bias_width, "OUTPUT_WIDTH": output_width}
    text = bench(
        "requantize_tb", parameters | {"MULTIPLIER_WIDTH": width}, [f"+vectors={path}", f"+count={len(rows)}"]
    )
    assert f"PASS: {len(rows)} vectors" in text


@given(
    st.integers(-(1 << 40), 1 << 40), st.integers(-(1 << 31), (1 << 31) - 1), st.integers(0, 60),
    st.integers(0, 6), st.integers(0, 3), st.booleans(), st.integers(1, 32), st.integers(0, 3),
)  # fmt: skip
def test_the_emulators_products_are_those_of_fractions(
    biased: int, multiplier: int, shift: int, rounding: int, overflow: int, twice: bool, bits: int, leak: int
) -> None:
    run = Run(rounding=rounding, overflow=overflow, twice=twice, out_bits=bits, leak=leak)
    words, misfits = requantized_by_emulator(run, np.array([[biased]]), np.array([[shift, 0, multiplier]]))
    assert (int(words[0, 0]), misfits) == multiplied_word(run, biased, multiplier, shift)


@pytest.mark.parametrize(("a_width", "b_width"), [(2, 2), (9, 12), (25, 18), (25, 19), (25, 32), (64, 32)])
def test_multiply_gives_exact_products(a_width: int, b_width: int) -> None:
    draw = np.random.default_rng(a_width)
    ends = [
        (a, b)
        for a in (-(1 << a_width - 1), (1 << a_width - 1) - 1, -1, 0, 1)
        for b in (-(1 << b_width - 1), (1 << b_width - 1) - 1, -1, 0, 1, 1 << 16)
        if -(1 << b_width - 1) <= b < 1 << b_width - 1
    ]
    some = [
        (
            int(draw.integers(1 << 62)) % (1 << a_width) - (1 << a_width - 1),
            int(draw.integers(-(1 << b_width - 1), 1 << b_width - 1)),
        )
        for _ in range(300)
    ]
    pairs = ends + some
    columns = [[a for a, _ in pairs], [b for _, b in pairs], [a * b for a, b in pairs]]
    widths = (a_width, b_width, a_width + b_width)
    path = vectors([(np.array(c, object), bits) for c, bits in zip(columns, widths, strict=True)])
    text = bench(
        "multiply_tb", {"A_WIDTH": a_width, "B_WIDTH": b_width}, [f"+vectors={path}", f"+count={len(pairs)}"]
    )
    assert f"PASS: {len(pairs)} vectors" in text


@pytest.mark.parametrize("rounding", range(7))
@pytest.mark.parametrize("overflow", range(4))
@pytest.mark.parametrize(("bits", "signed", "shift"), [(4, 1, 3), (4, 0, 3), (7, 1, 0)])
def test_quantize_product_equals_the_quantizer_on_all_products(
    rounding: int, overflow: int, bits: int, signed: int, shift: int
) -> None:
    products = np.arange(-512, 512)
    quantizer = Quantizer(QFormat(bits, 0, bool(signed)), ROUNDINGS[rounding], OVERFLOWS[overflow])
    path = vectors([(products, 10), (quantizer.from_ints(products, shift), 10)])
    parameters = {
        "WIDTH": 10,
        "BITS": bits,
        "SHIFT": shift,
        "SIGNED": signed,
        "ROUNDING": rounding,
        "OVERFLOW": overflow,
    }
    assert "PASS: 1024 vectors" in bench(
        "quantize_product_tb", parameters, [f"+vectors={path}", "+count=1024"]
    )
