# SPDX-License-Identifier: MIT
"""Size of the engine: the table's cells are found in what yosys prints."""

from __future__ import annotations

import pytest

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.tools.synthesis import CONFIGURATIONS, SMALL_MEMORIES, ecp5, row, xilinx

TINY = EngineConfig(
    lanes=2, activation_width=12, weight_width=12, accumulator_width=32, bias_width=24, **SMALL_MEMORIES
)


@pytest.mark.slow
def test_a_small_engine_is_synthesised():
    size = xilinx(TINY)
    assert size.dsps == 2
    assert 500 < size.luts < 1500
    assert size.flip_flops > 800
    assert size.block_rams >= 3
    assert row("tiny", size).startswith(f"| tiny | Xilinx 7 | {size.luts} | {size.flip_flops} | 2 |")


@pytest.mark.slow
def test_the_engine_of_8_lanes_and_16_bits_has_the_size_and_the_clock_that_it_is_known_for():
    config = CONFIGURATIONS["8 lanes, 16 bits"]
    small, fast = xilinx(config), ecp5(config)
    assert small.luts <= 1500
    assert small.dsps == fast.dsps == 8
    assert fast.fmax is not None and fast.fmax >= 90
