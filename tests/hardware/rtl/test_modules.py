# SPDX-License-Identifier: MIT
"""The small modules of the engine, each in its bench, against their Python twins or a model in the bench."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.hardware.isa.lfsr import Noise
from tests.support.module_bench import bench, vectors


@pytest.mark.parametrize("drain", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("seed", [1, 0, 0xDEADBEEF, 0xFFFFFFFF, *(1 << bit for bit in range(3, 32, 4))])
def test_the_noise_generator_equals_its_twin(seed: int, drain: int) -> None:
    noise = Noise(seed)
    path = vectors([(np.array([noise.draw() for _ in range(500)]), 32)])
    plusargs = [f"+vectors={path}", "+count=500", f"+seed={seed}"]
    assert "PASS: 500 vectors" in bench("noise_tb", {"DRAIN": drain}, plusargs)


def test_the_noise_generator_has_no_short_cycle() -> None:
    noise = Noise(1)
    states = [noise.draw() for _ in range(20000)]
    assert len(set(states)) == len(states)


@pytest.mark.parametrize("drain", [1, 2, 4, 8, 16])
def test_argmax_is_the_first_of_the_largest(drain: int) -> None:
    rng = np.random.default_rng(3)
    words = np.concatenate([rng.integers(-8, 8, 40) for _ in range(50)])
    clear = np.arange(words.size) % 40 == 0
    runs = words.reshape(-1, 40)
    index = np.array([[run[: n + 1].argmax() for n in range(40)] for run in runs])
    best = np.array([[run[: n + 1].max() for n in range(40)] for run in runs])
    path = vectors([(clear, 1), (words, 8), (index, 8), (best, 8)])
    assert f"PASS: {words.size} vectors" in bench(
        "argmax_tb",
        {"DRAIN": drain, "WIDTH": 8, "INDEX_WIDTH": 8},
        [f"+vectors={path}", f"+count={words.size}"],
    )


# Lanes and words per clock: all lanes at once, half of them, few of many.
WIDE = ((2, 2), (4, 2), (16, 16), (16, 4), (32, 2), (64, 8), (256, 16))

# Lanes, and words that a step reads: all lanes, half of them, few of many; with a wider drain, and a narrower one.
GROUPED = ((2, 1, 2), (4, 1, 2), (8, 8, 4), (16, 2, 16), (64, 8, 8), (256, 16, 32))

BENCHES = [
    *((f"{name}_tb", {}) for name in ("memory", "lane", "sequencer", "axi_lite_port")),
    *(("lane_tb", {"MODE": mode}) for mode in (2, 3)),
    *(("sequencer_tb", {"SHORT": which}) for which in (1, 2)),
    *((name, {"DRAIN": drain}) for name in ("status_tb", "write_back_tb") for drain in (1, 2, 4, 16)),
    *(("drain_tb", {"LANES": lanes}) for lanes in (1, 2, 4, 8, 16, 32, 64, 256)),
    *(("drain_tb", {"LANES": lanes, "DRAIN": drain}) for lanes, drain in WIDE),
    *(
        ("activation_memory_tb", {"LANES": lanes, "DRAIN": drain})
        for lanes, drain in [(1, 1), (4, 1), (128, 1), *WIDE]
    ),
    *(
        ("activation_memory_tb", {"LANES": lanes, "DRAIN": drain, "READ": words})
        for lanes, drain, words in GROUPED
    ),
    *(
        ("product_pair_tb", {"ACTIVATION": word, "WEIGHT": weight})
        for word, weight in ((9, 8), (8, 8), (5, 8), (9, 2))
    ),
    *(("group_sum_tb", {"LANES": lanes, "WORDS": words}) for lanes, _, words in GROUPED[:-1]),
    *(
        pytest.param(
            "loop_nest_tb",
            {"LANES": lanes, "DRAIN": drain, "WORDS": words},
            marks=[pytest.mark.slow] * (lanes > 8),  # a bench of minutes
        )
        for lanes, drain, words in GROUPED[:-1]
    ),
    *(
        ("weight_window_tb", {"ROWS": rows, "FIRST": first})
        for rows, first in ((8, 0), (2, 3), (3, 253), (16, 17))
    ),
    *(("loop_nest_tb", {"LANES": lanes}) for lanes in (1, 4, 8, 32, 64, 256)),
    ("loop_nest_tb", {"LANES": 4, "PACK": 2}),
    ("loop_nest_tb", {"LANES": 8, "DRAIN": 4, "WORDS": 4, "PACK": 2}),
    *(("loop_nest_tb", {"LANES": lanes, "DRAIN": drain}) for lanes, drain in WIDE),
]


def widest_slow(case: Any) -> Any:
    """Benches of more than 32 lanes take ten seconds to a minute in Icarus."""
    wide = type(case) is tuple and case[1].get("LANES", 0) > 32
    return pytest.param(*case, marks=pytest.mark.slow) if wide else case


@pytest.mark.parametrize(("top", "parameters"), list(map(widest_slow, BENCHES)), ids=str)
def test_module_against_its_model(top: str, parameters: dict[str, int]) -> None:
    assert re.search(r"PASS: \d+ vectors", bench(top, parameters))
