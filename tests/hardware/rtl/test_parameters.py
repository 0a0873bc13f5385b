# SPDX-License-Identifier: MIT
"""The engine's parameters: lint finds nothing over many of them, and illegal ones are refused in a sentence."""

from __future__ import annotations

import re
import subprocess

import pytest

from fixedpoint_nn.hardware.isa.config import EngineConfig
from tests.support.engine_bench import RTL, scratch

LINT = [
    *({"LANES": lanes, "ACTIVATION_WIDTH": width, "WEIGHT_WIDTH": width, "ACCUMULATOR_WIDTH": 2 * width + 8}
      for lanes in (1, 2, 8, 32) for width in (4, 8, 16, 18)),
    *({"LANES": lanes, "DRAIN": drain} for lanes, drain in ((2, 2), (4, 2), (64, 1), (64, 8), (16, 16), (256, 16))),
    *({"LANES": lanes, "DRAIN": drain, "WORDS": words}
      for lanes, drain, words in ((2, 1, 2), (8, 2, 4), (8, 8, 8), (64, 8, 8), (256, 16, 32))),
    *({"LANES": lanes, "WORDS": words, "PACK": 2, "ACTIVATION_WIDTH": word, "WEIGHT_WIDTH": weight,
       "ACCUMULATOR_WIDTH": width} for lanes, words, word, weight, width in
      ((2, 1, 8, 8, 16), (8, 4, 9, 8, 32), (64, 1, 2, 2, 4), (4, 1, 9, 2, 18), (4, 2, 2, 8, 40))),
    {"MODEL_WIDTH": 20},
    {"MODEL_WIDTH": 20, "PACK": 2, "ACTIVATION_WIDTH": 9, "WEIGHT_WIDTH": 8, "MODEL_SATURATE": 1, "PRODUCT_BITS": 12},
    {"MODEL_WIDTH": 20, "MODEL_SATURATE": 1},
    {"MODEL_WIDTH": 20, "MODEL_SATURATE": 2},
    {"MODEL_WIDTH": 20, "MODEL_SATURATE": 1, "PRODUCT_BITS": 12, "PRODUCT_SHIFT": 4, "PRODUCT_OVERFLOW": 1},
    {"ACTIVATION_WIDTH": 12, "WEIGHT_WIDTH": 8},
    {"ACTIVATION_WIDTH": 8, "WEIGHT_WIDTH": 12, "BIAS_WIDTH": 63},
    {"WEIGHT_DEPTH": 100000, "TABLE_DEPTH": 70000},
    {"MULTIPLIER_WIDTH": 12, "ACTIVATION_WIDTH": 9, "WEIGHT_WIDTH": 8, "ACCUMULATOR_WIDTH": 24},
    {"MULTIPLIER_WIDTH": 32, "DRAIN": 4},
    {"WEIGHT_WINDOW": 4096},
    {"WEIGHT_WINDOW": 300, "LANES": 16, "DRAIN": 4, "WORDS": 4},
    {"HOST_WRITES": 1},
    {"HOST_WRITES": 1, "LANES": 16, "DRAIN": 4},
]  # fmt: skip


@pytest.mark.parametrize("parameters", LINT, ids=str)
def test_lint_finds_nothing(parameters: dict[str, int]) -> None:
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        f"-I{RTL}",
        "--top-module",
        "engine",
        str(RTL / "lint.vlt"),
        str(RTL / "engine.v"),
    ]
    done = subprocess.run(
        command + [f"-G{name}={value}" for name, value in parameters.items()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("parameters", LINT[:33], ids=str)
def test_lint_finds_nothing_in_the_wrapper(parameters: dict[str, int]) -> None:
    command = [
        "verilator",
        "--lint-only",
        "-Wall",
        f"-I{RTL}",
        "--top-module",
        "axi_engine",
        str(RTL / "lint.vlt"),
        str(RTL / "axi_engine.v"),
    ]
    done = subprocess.run(
        command + [f"-G{name}={value}" for name, value in parameters.items()], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


ILLEGAL = [
    ({"LANES": 3}, "LANES = 3; use 1, 2, 4, 8, 16, 32, 64, 128 or 256"),
    ({"LANES": 0}, "LANES = 0; use 1, 2, 4, 8, 16, 32, 64, 128 or 256"),
    ({"LANES": -8}, "LANES = -8; use 1, 2, 4, 8, 16, 32, 64, 128 or 256"),
    ({"LANES": 512}, "LANES = 512; use 1, 2, 4, 8, 16, 32, 64, 128 or 256"),
    ({"DRAIN": 3}, "DRAIN = 3; use 1, 2, 4, 8 or 16, and at most LANES = 8"),
    ({"DRAIN": 0}, "DRAIN = 0; use 1, 2, 4, 8 or 16, and at most LANES = 8"),
    ({"DRAIN": 16}, "DRAIN = 16; use 1, 2, 4, 8 or 16, and at most LANES = 8"),
    ({"DRAIN": 32, "LANES": 64}, "DRAIN = 32; use 1, 2, 4, 8 or 16, and at most LANES = 64"),
    ({"WORDS": 3}, "WORDS = 3; use 1, 2, 4, 8, 16 or 32, and at most LANES = 8"),
    ({"WORDS": 0}, "WORDS = 0; use 1, 2, 4, 8, 16 or 32, and at most LANES = 8"),
    ({"WORDS": 16}, "WORDS = 16; use 1, 2, 4, 8, 16 or 32, and at most LANES = 8"),
    ({"WORDS": 64, "LANES": 64}, "WORDS = 64; use 1, 2, 4, 8, 16 or 32, and at most LANES = 64"),
    *(
        (
            {"PACK": pack, "LANES": lanes, "WORDS": words, "ACTIVATION_WIDTH": word, "WEIGHT_WIDTH": weight},
            f"PACK = {pack}; use 1, or 2 with ACTIVATION_WIDTH at most 9, WEIGHT_WIDTH 8 and WORDS LANES / 2",
        )
        for pack, lanes, words, word, weight in (
            (0, 8, 1, 8, 8),
            (3, 8, 1, 8, 8),
            (2, 1, 1, 8, 8),
            (2, 8, 8, 8, 8),
            (2, 8, 1, 10, 8),
            (2, 8, 1, 8, 9),
        )
    ),
    ({"ACTIVATION_WIDTH": 1}, "ACTIVATION_WIDTH = 1; use 2 to 32"),
    ({"ACTIVATION_WIDTH": 0}, "ACTIVATION_WIDTH = 0; use 2 to 32"),
    ({"ACTIVATION_WIDTH": 70, "ACCUMULATOR_WIDTH": 63}, "ACTIVATION_WIDTH = 70; use 2 to 32"),
    ({"WEIGHT_WIDTH": 0}, "WEIGHT_WIDTH = 0; use 2 to 32"),
    ({"WEIGHT_WIDTH": -16}, "WEIGHT_WIDTH = -16; use 2 to 32"),
    ({"ACCUMULATOR_WIDTH": 0}, "ACCUMULATOR_WIDTH = 0; use 32 (a product's bits) to 63"),
    ({"BIAS_WIDTH": 0}, "BIAS_WIDTH = 0; use 2 to 63"),
    ({"COUNTER_WIDTH": 33}, "COUNTER_WIDTH = 33; use 1 to 32"),
    ({"COUNTER_WIDTH": 0}, "COUNTER_WIDTH = 0; use 1 to 32"),
    ({"WEIGHT_WIDTH": 40, "ACCUMULATOR_WIDTH": 60}, "WEIGHT_WIDTH = 40; use 2 to 32"),
    ({"ACCUMULATOR_WIDTH": 20}, "ACCUMULATOR_WIDTH = 20; use 32 (a product's bits) to 63"),
    ({"BIAS_WIDTH": 1}, "BIAS_WIDTH = 1; use 2 to 63"),
    ({"MULTIPLIER_WIDTH": 1}, "MULTIPLIER_WIDTH = 1; use 0 (none) or 2 to 32"),
    ({"MULTIPLIER_WIDTH": 33}, "MULTIPLIER_WIDTH = 33; use 0 (none) or 2 to 32"),
    ({"MODEL_WIDTH": 49}, "MODEL_WIDTH = 49; use 0 (none) or 2 to ACCUMULATOR_WIDTH = 48"),
    ({"PRODUCT_ROUNDING": 7}, "PRODUCT_ROUNDING = 7, PRODUCT_OVERFLOW = 0; use 0 to 6 and 0 to 3"),
    ({"ACTIVATION_DEPTH": 4100}, "ACTIVATION_DEPTH = 4100 is not a multiple of LANES = 8"),
    ({"TABLE_DEPTH": 1 << 25}, "a memory needs 25 address bits; instructions have 24"),
    ({"TABLE_DEPTH": 1}, "DEPTH = 1; a memory needs at least 2 words"),
    ({"PROGRAM_DEPTH": 0}, "DEPTH = 0; a memory needs at least 2 words"),
    ({"ACTIVATION_DEPTH": 8}, "ROWS = 1; the activation memory needs at least 2 rows"),
    ({"MODEL_WIDTH": -4}, "MODEL_WIDTH = -4; use 0 (none) or 2 to ACCUMULATOR_WIDTH = 48"),
    ({"HOST_WRITES": 2}, "HOST_WRITES = 2; use 0 or 1"),
    ({"MODEL_SATURATE": 4}, "MODEL_SATURATE = 4, PRODUCT_SIGNED = 1; use 0 to 3, and 0 or 1"),
    ({"PRODUCT_SIGNED": 5}, "MODEL_SATURATE = 0, PRODUCT_SIGNED = 5; use 0 to 3, and 0 or 1"),
    ({"PRODUCT_BITS": -3}, "PRODUCT_BITS = -3; use 0 (exact products) or 1 to 47"),
    (
        {"ACTIVATION_WIDTH": 32, "WEIGHT_WIDTH": 32},
        "ACTIVATION_WIDTH = 32 and WEIGHT_WIDTH = 32 make products of 64 bits; use at most 63",
    ),
]


@pytest.mark.parametrize(
    ("top", "parameters", "sentence"),
    [("engine", *case) for case in ILLEGAL]
    + [("axi_engine", *case) for case in ILLEGAL if not {"COUNTER_WIDTH", "HOST_WRITES"} & case[0].keys()],
)
def test_an_illegal_parameter_stops_the_simulation_at_time_zero_with_a_sentence(
    top: str, parameters: dict[str, int], sentence: str
) -> None:
    target = scratch() / "bench.vvp"
    command = ["iverilog", "-g2005", f"-I{RTL}", "-s", top, "-o", str(target)]
    command += [f"-P{top}.{name}={value}" for name, value in parameters.items()]
    compiled = subprocess.run([*command, *map(str, sorted(RTL.glob("*.v")))], capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run(["vvp", "-n", str(target)], capture_output=True, text=True)
    assert done.returncode != 0
    assert sentence in done.stdout + done.stderr
    assert re.search(r"Time: 0\b", done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"lanes": 3}, "lanes = 3 is no engine; use 1, 2, 4, 8, 16, 32, 64, 128 or 256"),
        ({"drain": 3}, "drain = 3 is no engine; use 1, 2, 4, 8 or 16, and at most the 8 lanes"),
        ({"drain": 8, "lanes": 4}, "drain = 8 is no engine; use 1, 2, 4, 8 or 16, and at most the 4 lanes"),
        ({"words": 3}, "words = 3 is no engine; use 1, 2, 4, 8, 16 or 32, and at most the 8 lanes"),
        (
            {"words": 8, "lanes": 4},
            "words = 8 is no engine; use 1, 2, 4, 8, 16 or 32, and at most the 4 lanes",
        ),
        (
            {"pack": 2},
            "pack = 2 is no engine; use 1, or 2 with words of at most 9 bits (here 16), weights of at most 8 (16) and "
            "two lanes or more for each word that is read (8 for 1)",
        ),
        (
            {"pack": 3, "activation_width": 8, "weight_width": 8},
            "pack = 3 is no engine; use 1, or 2 with words of at most 9 bits (here 8), weights of at most 8 (8) and "
            "two lanes or more for each word that is read (8 for 1)",
        ),
        ({"activation_width": 1}, "activation_width = 1 is no engine; use 2 to 32"),
        ({"weight_width": 40}, "weight_width = 40 is no engine; use 2 to 32"),
        (
            {"activation_width": 32, "weight_width": 32, "accumulator_width": 63},
            "activation_width = 32 is no engine; a product of weights or words of 32 bits takes 64, "
            "and an accumulator has 63 at most",
        ),
        (
            {"accumulator_width": 20},
            "accumulator_width = 20 is no engine; use 32 (a product's bits) to 63",
        ),
        ({"bias_width": 64}, "bias_width = 64 is no engine; use 2 to 63"),
        ({"multiplier_width": 1}, "multiplier_width = 1 is no engine; use 0 (none) or 2 to 32"),
        ({"model_width": 49}, "model_width = 49 is no engine; use 0 (none) or 2 to the accumulator's 48"),
        ({"host_writes": 2}, "host_writes = 2 is no engine; use 0 or 1"),
        ({"model_saturate": 4}, "model_saturate = 4 is no engine; use 0 to 3"),
        ({"product_bits": 48}, "product_bits = 48 is no engine; use 0 (exact) to 47"),
        ({"product_shift": -1}, "product_shift = -1 is no engine; use 0 to 47"),
        ({"product_signed": 5}, "product_signed = 5 is no engine; use 0 or 1"),
        ({"product_rounding": 7}, "product_rounding = 7 is no engine; use 0 to 6"),
        ({"product_overflow": 4}, "product_overflow = 4 is no engine; use 0 to 3"),
        (
            {"activation_depth": 4100},
            "activation_depth = 4100 is no engine; use a multiple of the 8 lanes, at least twice",
        ),
        ({"weight_depth": 1}, "weight_depth = 1 is no engine; use at least 2"),
        (
            {"table_depth": 1 << 25},
            "address_width = 25 is no engine; instructions have 24 bits: choose smaller memories",
        ),
    ],
)
def test_a_configuration_that_is_no_engine_is_refused_in_a_sentence(
    parameters: dict[str, int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        EngineConfig(**parameters)
