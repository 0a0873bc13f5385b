# SPDX-License-Identifier: MIT
"""Random programs: Verilog and twin must agree in every write, its cycle, and every counter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.engine_bench import compare
from tests.support.random_programs import FIRST_OUTPUT, random_program


def agree(seed: int, simulator: str) -> None:
    config, images, noise_seed = random_program(seed)
    if len(images.program) > 1:
        compare(
            config, images, np.full((2, 1), 3), 0, FIRST_OUTPUT, 1, simulator=simulator, seed=noise_seed
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(16))
def test_random_programs_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 500))
def test_many_random_programs_agree_in_icarus(seed: int) -> None:
    agree(seed, "iverilog")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many_random_programs_agree_in_verilator(seed: int) -> None:
    agree(seed, "verilator")
