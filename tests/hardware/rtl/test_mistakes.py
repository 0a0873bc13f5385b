# SPDX-License-Identifier: MIT
"""Mistakes in single modules of the Verilog that their benches must notice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hardware.rtl.test_axi_engine import strided_plusargs
from tests.support.engine_bench import RTL
from tests.support.module_bench import bench

# The mistake, its file, what stands there and what instead, the bench and its parameters. Registers without a reset
# begin with 0, as in a chip.
LONG_BENCH = "axi_engine_tb"
MISTAKES = [
    (
        "a load that a reset has ended writes its register",
        "sequencer.v",
        {
            "wire loaded_now = loading && wait_load == 3'd1;": "wire loaded_now = wait_load == 3'd1;",
            "reg [2:0] wait_load;": "reg [2:0] wait_load = 3'd0;",
        },
        *("sequencer_tb", {}),
    ),
    (
        "a long description ends like a short one",
        "sequencer.v",
        {"&& short && left == 5'd8": "&& left == 5'd8"},
        *("sequencer_tb", {"SHORT": 1}),
    ),
    (
        "a short description keeps later words of the one before",
        "sequencer.v",
        {"                    if (first) description[`RUN_BITS-1:FIRST_BITS] <= {LATER_BITS{1'b0}};\n": ""},
        *("sequencer_tb", {"SHORT": 1}),
    ),
    (
        "a reset keeps the spacing of tiles",
        "loop_nest.v",
        {
            "            state <= IDLE;\n            spacing <= NO_SPACING;\n": "            state <= IDLE;\n",
            "] spacing;": "] spacing = NO_SPACING;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    (
        "a reset keeps what has to settle",
        "loop_nest.v",
        {
            "            spacing <= NO_SPACING;\n            settle <= 5'd0;\n": "            spacing <= NO_SPACING;\n",
            "reg  [4:0]  settle;": "reg  [4:0]  settle = 5'd0;",
        },
        *("loop_nest_tb", {"LANES": 8}),
    ),
    (
        "a group of 16 lanes hides those before it",
        "drain.v",
        {"picked | groups[group-1].partial_or": "picked"},
        *("drain_tb", {"LANES": 16}),
    ),
    (
        "every second group of 32 lanes begins anew",
        "drain.v",
        {"if (group % HALF == 0) begin : first": "if (group % HALF <= 1) begin : first"},
        *("drain_tb", {"LANES": 32}),
    ),
    (
        "the upper half of 16 lanes is not drained",
        "drain.v",
        {"GROUPS > 1 ? groups[GROUPS-1].partial_or": "GROUPS > 2 ? groups[GROUPS-2].partial_or"},
        *("drain_tb", {"LANES": 16}),
    ),
    (
        "a write overtakes an answer",
        "axi_lite_port.v",
        {" && (!bvalid || bready) && !write_hold": " && !write_hold"},
        *("axi_lite_port_tb", {}),
    ),
    (
        "the answer to a read lasts one clock",
        "axi_lite_port.v",
        {"if (rready) rvalid <= 1'b0;": "rvalid <= 1'b0;"},
        *("axi_lite_port_tb", {}),
    ),
    (
        "data without an address are used again",
        "axi_lite_port.v",
        {"            data_held <= 1'b0;\n            bvalid": "            bvalid"},
        *("axi_lite_port_tb", {}),
    ),
    (
        "whole beats are told as partial ones",
        "axi_engine.v",
        {" || !(&s_axis_tkeep))": " || &s_axis_tkeep)"},
        *("axi_engine_tb", {}),
    ),
    (
        "the output is sent with its first word",
        "axi_engine.v",
        {
            "wire sent = state == SEND && m_axis_tready && last;": "wire sent = state == SEND && m_axis_tready;"
        },
        *("axi_engine_tb", {}),
    ),
    (
        "an empty beat is a word",
        "axi_engine.v",
        {" && s_axis_tkeep != {STREAM_WIDTH/8{1'b0}};": ";"},
        *("axi_engine_tb", {}),
    ),
    (
        "a row is loaded anywhere and at any time",
        "axi_engine.v",
        {"write_refused = !whole || !at_rest || !load_there;": "write_refused = !whole;"},
        *("axi_engine_tb", {}),
    ),
    (
        "only the first word tells that bits are lost",
        "drain.v",
        {"assign wrapped = |lost;": "assign wrapped = lost[0];"},
        *("drain_tb", {"LANES": 16, "DRAIN": 4}),
    ),
    (
        "a tile has a word more",
        "drain.v",
        {"|| word <= left": "|| word <= left + 1"},
        *("drain_tb", {"LANES": 16, "DRAIN": 4}),
    ),
    (
        "words that are written across the end of a row of 16 stay in it",
        "activation_memory.v",
        {"SPLIT != 0 && bank == 0 && last_group": "1'b0"},
        *("activation_memory_tb", {"LANES": 16, "DRAIN": 4}),
    ),
    (
        "words that are written across the end of a row of 4 stay in it",
        "activation_memory.v",
        {"TURNED ? wrapped[bank % DRAIN] && last_group": "TURNED ? 1'b0"},
        *("activation_memory_tb", {"LANES": 4, "DRAIN": 4}),
    ),
    (
        "words of one clock are written over each other",
        "write_back.v",
        {"pixel_step : clock_step": "pixel_step : ~0"},
        *("write_back_tb", {"DRAIN": 4}),
    ),
    (
        "words that are read across the end of a row of 16 come from it",
        "activation_memory.v",
        {"SPLIT != 0 && bank == 0);\n": "1'b0);\n"},
        *("activation_memory_tb", {"LANES": 16, "READ": 4}),
    ),
    (
        "words that are read across the end of a row of 4 come from it",
        "activation_memory.v",
        {"BANK[PLACE_BITS-1:0] < read_place": "1'b0"},
        *("activation_memory_tb", {"LANES": 4, "READ": 4}),
    ),
    (
        "words that are read across the end of a row come from another bank",
        "activation_memory.v",
        {"candidates[behind ? next_class : class_]": "candidates[class_]"},
        *("activation_memory_tb", {"LANES": 16, "READ": 4}),
    ),
    (
        "the first level of groups is not added",
        "group_sum.v",
        {"groups >= LEVEL": "groups > LEVEL"},
        *("group_sum_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "sums are kept for no clock",
        "group_sum.v",
        {"if (complete) sums": "sums"},
        *("group_sum_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "joined groups drain as long as single ones",
        "loop_nest.v",
        {"FULL_TILE >> joined;": "FULL_TILE;"},
        *("loop_nest_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "spread groups step with the columns",
        "loop_nest.v",
        {"if (spread ? step_tile : step_x)": "if (step_x)"},
        *("loop_nest_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "unused groups are left out of every step",
        "loop_nest.v",
        {"|| channel_end && unused != 5'd0": "|| unused != 5'd0"},
        *("loop_nest_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "a barrier does not wait for what has to settle",
        "loop_nest.v",
        {"barrier && !drained && !early ||": "barrier && spacing != NO_SPACING && !early ||"},
        *("loop_nest_tb", {"LANES": 8, "WORDS": 4}),
    ),
    (
        "runs of a tensor after the second have no length",
        "axi_engine.v",
        {"                run_left <= run_words;\n": ""},
        *("axi_engine_tb", {}),
    ),
    (
        "the third run of a tensor begins where the second does",
        "axi_engine.v",
        {"                run_start <= run_start + stride;\n": ""},
        *("axi_engine_tb", {}),
    ),
    (
        "an abort takes a beat back",
        "axi_engine.v",
        {"if (state == SEND && !m_axis_tready) ending <= 1'b1;": "if (1'b0) ending <= 1'b1;"},
        *("axi_engine_ports_tb", {}),
    ),
    (
        "what happens while it is cleared is lost",
        "axi_engine.v",
        {
            "interrupt_pending & ~written[3:0] | {framing, sent, ran, received};": "interrupt_pending & ~written[3:0];"
        },
        *("axi_engine_ports_tb", {}),
    ),
    (
        "the output has as many words as the input",
        "axi_engine.v",
        {"left <= next_state == RECEIVE ? input_words : output_words;": "left <= input_words;"},
        *("axi_engine_ports_tb", {}),
    ),
    (
        "a word is written while one is read",
        "axi_engine.v",
        {".write_hold(word_wait != 2'd0)": ".write_hold(1'b0)"},
        *("axi_engine_ports_tb", {}),
    ),
    (
        "everybody may write",
        "axi_engine.v",
        {"        if (SECURE_ONLY != 0 && write_prot[1]) write_refused = 1'b1;\n": ""},
        *("axi_engine_ports_tb", {"SECURE_ONLY": 1}),
    ),
    (
        "a row behind the last one is loaded",
        "axi_engine.v",
        {"< PARAMETER_DEPTH": "<= PARAMETER_DEPTH"},
        *("axi_engine_ports_tb", {}),
    ),
    (
        "it does not begin by itself",
        "axi_engine.v",
        {": woken ? write_data[3:0] : AUTOSTART": ": write_data[3:0]"},
        *("axi_engine_ports_tb", {"AUTOSTART": 7}),
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "top", "parameters"),
    [pytest.param(*how, marks=[pytest.mark.slow] * (how[2] == LONG_BENCH)) for _, *how in MISTAKES],
    ids=[title for title, *_ in MISTAKES],
)
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
