# SPDX-License-Identifier: MIT
"""requantize.v and quantize_product.v against `Quantizer`, whose integers they compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from tests.support.module_bench import bench, vectors

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
                        leak,
                        ROUNDINGS.index(rounding),
                        OVERFLOWS.index(overflow),
                        bits,
                        signed,
                    ]
                    rows.append([*(np.full(len(sums), s) for s in settings), sums, np.full(len(sums), bias),
                                 np.full(len(sums), shift), words, misfit])  # fmt: skip
    widths = [1, 1, 6, 3, 2, 6, 1, sum_width, bias_width, 6, output_width, 1]
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
