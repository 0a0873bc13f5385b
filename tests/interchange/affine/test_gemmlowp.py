# SPDX-License-Identifier: MIT
"""gemmlowp's curves are close to the real ones; that they are its own, in every bit, the interpreter shows."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.interchange.affine.gemmlowp import SHORT, WIDE


def test_16_bits_are_right_to_some_steps() -> None:
    codes = np.arange(-(1 << 15), 1 << 15)
    x = codes / 4096
    assert np.abs(SHORT.logistic(codes, 3) / 32768 - 1 / (1 + np.exp(-x))).max() < 20 / 32768
    assert np.abs(SHORT.tanh(codes, 3) / 32768 - np.tanh(x)).max() < 20 / 32768


def test_32_bits_are_right_to_2e_7() -> None:
    raw = -np.arange(0, 1 << 31, 999_983)
    assert np.abs(WIDE.exp_of_negative(raw, 5) / 2.0**31 - np.exp(raw / 2.0**26)).max() < 2e-7


def test_one_integer_is_an_array_of_one() -> None:
    assert int(SHORT.tanh(np.int64(-4096), 3)) == SHORT.tanh(np.array([-4096]), 3)[0]
    assert int(SHORT.logistic(np.int64(0), 3)) == 1 << 14
