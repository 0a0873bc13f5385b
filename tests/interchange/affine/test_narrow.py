# SPDX-License-Identifier: MIT
"""Multipliers of few bits give the codes of the two roundings at every sum, or are not found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fixedpoint_nn.interchange.affine.multiplier import multiplied, quantized_multiplier
from fixedpoint_nn.interchange.affine.narrow import narrowed


def codes(sums: np.ndarray, real: float, high: int) -> np.ndarray:
    m, shift = quantized_multiplier(real)
    return np.array([min(max(multiplied(int(s), m, shift), 0), high) for s in sums])


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-10, 0).map(lambda power: float(np.float32(2.0**power))),
    st.sampled_from([255, 213, 127, 1]),
    st.sampled_from([(-3000, 9000), (-4, 4), (0, 30000), (100, 5000), (-700, 600)]),
)
def test_every_sum_has_the_code_of_the_two_roundings(real: float, high: int, sums: tuple[int, int]) -> None:
    m, shift = quantized_multiplier(real)
    narrow = narrowed([m << max(shift, 0)], [max(-shift, 0)], sums, high, 24)
    assume(narrow is not None)
    assert narrow is not None
    x = np.arange(sums[0], sums[1] + 1)
    found = np.clip((x * narrow.multipliers[0] + narrow.offsets[0]) >> narrow.shifts[0], 0, high)
    assert np.array_equal(found, codes(x, real, high))


@pytest.mark.parametrize("bits", range(8, 25, 4))
def test_no_more_bits_are_used_than_allowed(bits: int) -> None:
    m, shift = quantized_multiplier(0.00123)
    narrow = narrowed([m], [-shift], (-(1 << 20), 1 << 20), 255, bits)
    assert narrow is None or narrow.multipliers[0].bit_length() <= bits + 1


def test_too_few_bits_are_not_enough() -> None:
    m, shift = quantized_multiplier(0.00123)
    assert narrowed([m], [-shift], (-(1 << 20), 1 << 20), 255, 9) is None
    assert narrowed([m], [-shift], (-(1 << 20), 1 << 20), 255, 24) is not None


def test_every_channel_needs_one() -> None:
    pairs = [quantized_multiplier(real) for real in (0.01, 0.00123)]
    ms, right = [m for m, _ in pairs], [-shift for _, shift in pairs]
    found = narrowed(ms, right, (-(1 << 20), 1 << 20), 255, 24)
    assert found is not None
    assert len(found.multipliers) == 2
    assert narrowed([*ms, 0], [*right, 0], (-(1 << 20), 1 << 20), 255, 24) is None
