# SPDX-License-Identifier: MIT
"""Random programs: Verilog and twin must agree in every write, its cycle, and every counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware.isa.config import EngineConfig
from tests.support.engine_bench import compare
from tests.support.random_programs import CONFIGS, GROUPED, PACKED, WIDE, first_output, random_program


def some_slow(seeds: Sequence[int], slow: Sequence[int]) -> list[Any]:
    """Seeds for the quick suite, and others whose engines take long to compile or to simulate."""
    return [*seeds, *(pytest.param(seed, marks=pytest.mark.slow) for seed in slow)]


def agree(seed: int, simulator: str, configs: Sequence[EngineConfig] = CONFIGS) -> None:
    config, images, noise_seed = random_program(seed, configs)
    if len(images.program) > 1:
        compare(
            config, images, np.full((2, 1), 3), 0, first_output(config), 1, simulator=simulator, seed=noise_seed
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(16))
def test_random_programs_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog")


@pytest.mark.parametrize("seed", some_slow(range(6), range(6, len(WIDE))))
def test_random_programs_of_many_lanes_and_wide_drains_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", WIDE)


SMALL = GROUPED[:-2]  # Icarus takes long for the others


@pytest.mark.parametrize("seed", some_slow(range(len(SMALL)), range(len(SMALL), 2 * len(SMALL))))
def test_random_programs_with_groups_of_lanes_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", SMALL)


@pytest.mark.parametrize("seed", some_slow([], range(6)))
def test_random_programs_with_many_groups_of_lanes_agree_in_verilator(seed: int) -> None:
    agree(seed, "verilator", GROUPED[-2:])


@pytest.mark.parametrize("seed", some_slow(range(2 * len(PACKED)), range(2 * len(PACKED), 4 * len(PACKED))))
def test_random_programs_on_shared_multipliers_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", PACKED)


@pytest.mark.parametrize("seed", some_slow([2], [0, 1, 3, 4, 5]))
def test_random_programs_on_shared_multipliers_agree_in_verilator(seed: int) -> None:
    agree(seed, "verilator", PACKED)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 500))
def test_many_random_programs_on_shared_multipliers_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", PACKED)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 500))
def test_many_random_programs_with_groups_of_lanes_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_random_programs_of_many_lanes_and_wide_drains_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog", WIDE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 500))
def test_many_random_programs_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_random_programs_agree_in_verilator(seed: int) -> None:
    agree(seed, "verilator")
