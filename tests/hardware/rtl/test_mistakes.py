# SPDX-License-Identifier: MIT
"""Mistakes in single modules of the Verilog that their benches must notice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hardware.rtl.test_axi_engine import strided_plusargs
from tests.support.engine_bench import RTL
from tests.support.module_bench import bench

# (file, what stands there and the mistake, bench, its parameters); registers without a reset begin with 0 as in a chip
MISTAKES = [
    (
        "sequencer.v",
        {
            "wire loaded_now = loading && wait_load == 3'd1;": "wire loaded_now = wait_load == 3'd1;",
            "reg [2:0] wait_load;": "reg [2:0] wait_load = 3'd0;",
        },
        *("sequencer_tb", {}),
    ),
    (
        "loop_nest.v",
        {
            "            state <= IDLE;\n            spacing <= NO_SPACING;\n": "            state <= IDLE;\n",
            "] spacing;": "] spacing = NO_SPACING;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    (
        "loop_nest.v",
        {
            "            spacing <= NO_SPACING;\n            settle <= 5'd0;\n": "            spacing <= NO_SPACING;\n",
            "reg  [4:0]  settle;": "reg  [4:0]  settle = 5'd0;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    ("drain.v", {"picked | groups[group-1].partial_or": "picked"}, *("drain_tb", {"LANES": 16})),
    (
        "drain.v",
        {"if (group % HALF == 0) begin : first": "if (group % HALF <= 1) begin : first"},
        *("drain_tb", {"LANES": 32}),
    ),
    (
        "drain.v",
        {"GROUPS > 1 ? groups[GROUPS-1].partial_or": "GROUPS > 2 ? groups[GROUPS-2].partial_or"},
        *("drain_tb", {"LANES": 16}),
    ),
    (
        "drain.v",
        {"assign wrapped = |lost;": "assign wrapped = lost[0];"},
        *("drain_tb", {"LANES": 16, "DRAIN": 4}),
    ),
    ("drain.v", {"|| word <= left": "|| word <= left + 1"}, *("drain_tb", {"LANES": 16, "DRAIN": 4})),
    (
        "activation_memory.v",
        {"SPLIT != 0 && bank == 0 && &group": "1'b0"},
        *("activation_memory_tb", {"LANES": 16, "DRAIN": 4}),
    ),
    (
        "activation_memory.v",
        {"TURNED ? wrapped[bank % DRAIN]": "TURNED ? 1'b0"},
        *("activation_memory_tb", {"LANES": 4, "DRAIN": 4}),
    ),
    (
        "write_back.v",
        {"pixel_step : DRAIN_BUT_ONE": "pixel_step : ~ONES"},
        *("write_back_tb", {"DRAIN": 4}),
    ),
    ("axi_engine.v", {"                run_left <= run_words;\n": ""}, *("axi_engine_tb", {})),
    ("axi_engine.v", {"                run_start <= run_start + stride;\n": ""}, *("axi_engine_tb", {})),
]


@pytest.mark.parametrize(("name", "changes", "top", "parameters"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_a_module_is_noticed_by_its_bench(
    name: str, changes: dict[str, str], top: str, parameters: dict[str, int], tmp_path: Path
) -> None:
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    text = (rtl / name).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (rtl / name).write_text(text)
    plusargs: list[str] = []
    if top == "axi_engine_tb":
        parameters, plusargs, _ = strided_plusargs(1)
    assert "FAIL: " in bench(top, parameters, plusargs, rtl)
