# SPDX-License-Identifier: MIT
"""What an engine takes of a chip, before synthesis; tests/board/test_build.py compares it with what yosys takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.boards import find_board
from fixedpoint_nn.board.build import fitting_config
from fixedpoint_nn.board.families import FAMILIES
from fixedpoint_nn.board.fit import EngineMemory, banks, blocks, memory_luts, misfit, needs
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.tools.lut_estimate import MEASURED, Measured
from tests.board.conftest import GOLDEN


@pytest.mark.parametrize(
    ("words", "bits", "written", "family", "count"),
    [
        (10885, 72, 72, "ecp5", 44),  # 22 rows of 2, of 512 x 36
        (622, 128, 16, "ecp5", 8),  # 16 parts of 9 bits, two in 1024 x 18
        (16384, 1, 1, "ecp5", 1),
        (512, 36, 36, "ecp5", 1),
        (513, 36, 36, "ecp5", 2),
        (32, 32, 32, "ecp5", 0),  # logic
        (65, 72, 9, "ice40", 5),
        (256, 17, 17, "ice40", 2),
        (257, 16, 16, "ice40", 2),
    ],
)
def test_block_memories_by_the_shapes_of_the_chip(
    words: int, bits: int, written: int, family: str, count: int
) -> None:
    assert blocks(EngineMemory("it", words, bits, written), FAMILIES[family]) == count


@pytest.mark.parametrize("one", MEASURED, ids=str)
def test_what_is_counted_is_what_yosys_takes(one: Measured) -> None:
    found = needs(one.config, find_board("arty-a7" if one.inputs == 6 else "ulx3s"))
    assert (found.multipliers, found.total) == (one.multipliers, one.blocks)


def test_a_memory_of_few_rows_is_logic_where_that_is_cheaper() -> None:
    small = EngineConfig(
        lanes=4,
        drain=2,
        words=2,
        activation_width=9,
        weight_width=8,
        accumulator_width=18,
        bias_width=13,
        activation_depth=36,
        weight_depth=80,
        parameter_depth=17,
        table_depth=2,
        program_depth=40,
    )
    found = needs(small, find_board("arty-a7"))  # as yosys: 19 RAM32M, 11 RAM64M and a RAMB18E1
    assert {name: count for name, count in found.blocks.items() if count} == {"weights": 1}
    assert memory_luts(small, find_board("arty-a7")) == 112


def test_a_large_memory_of_the_ice40_takes_none_of_its_blocks() -> None:
    config = load_pack(GOLDEN / "nplm").config
    found = needs(config, find_board("icebreaker"))
    assert (found.large, found.total, found.multipliers) == ({"weights": 4}, 14, 8)


def test_a_factor_wider_than_the_multipliers_takes_several() -> None:
    wide = EngineConfig(lanes=4, activation_width=20, weight_width=16)
    assert needs(wide, find_board("ulx3s")).multipliers == 16
    assert needs(replace(wide, activation_width=18), find_board("ulx3s")).multipliers == 4


@pytest.mark.parametrize(
    ("network", "board", "sentence"),
    [
        (
            "names_lstm",
            "colorlight-i5",
            "names_lstm takes 58 DP16KD block memories (weights 44, activations 8, parameters 2, tables 3, program 1), "
            "and the LFE5U-25F has 56; words 2 bits shorter would fit: emit it again with a smaller --word",
        ),
        (
            "names_lstm",
            "icebreaker",
            "names_lstm takes 44 EBR block memories (activations 24, parameters 6, tables 9, program 4, "
            "registers 1), and the iCE40UP5K has 30; the board arty-a7 has room for it",
        ),
        (
            "fashion_mlp",
            "icebreaker",
            "fashion_mlp takes 8 large memories (weights 8), and the iCE40UP5K has 4; words 4 bits shorter would fit: "
            "emit it again with a smaller --word",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_the_smallest_change(network: str, board: str, sentence: str) -> None:
    with pytest.raises(BoardError) as error:
        fitting_config(load_pack(GOLDEN / network), find_board(board))
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("shape", "lanes"),
    [
        ((8, 1, 1), [8]),
        ((8, 2, 1), [2, 6]),
        ((8, 8, 1), [1] * 8),
        ((64, 4, 16), [16, 48]),
        ((256, 1, 1), [64] * 4),
        ((256, 16, 2), [16, 48, 64, 64, 64]),
        ((1, 1, 1), [1]),
    ],
)
def test_the_banks_of_the_activation_memory(shape: tuple[int, int, int], lanes: list[int]) -> None:
    assert banks(EngineConfig(lanes=shape[0], drain=shape[1], words=shape[2])) == lanes


@pytest.mark.parametrize(("bits", "multipliers"), [(0, 8), (16, 10), (18, 10), (19, 12), (32, 12)])
def test_a_wide_factor_of_a_requantiser_takes_several_multipliers(bits: int, multipliers: int) -> None:
    config = EngineConfig(
        activation_width=9, weight_width=8, accumulator_width=32, bias_width=24, multiplier_width=bits
    )
    assert needs(config, find_board("arty-a7")).multipliers == multipliers


def test_too_many_lanes_are_made_fewer() -> None:
    moons = load_pack(GOLDEN / "moons")
    wide = replace(moons, config=replace(moons.config, lanes=16, activation_depth=48, weight_depth=26))
    assert misfit(wide.config, find_board("icebreaker")) == "16 SB_MAC16 multipliers, and the iCE40UP5K has 8"
    # its images are of 8 lanes: only the sentence is asked for
    from fixedpoint_nn.board.fit import smallest_change

    assert (
        smallest_change(wide.config, find_board("icebreaker"), {})
        == "8 lanes would fit: emit it again with --lanes 8"
    )


def test_room_for_the_readback_is_left_where_there_is_some() -> None:
    moons = load_pack(GOLDEN / "moons")
    assert fitting_config(moons, find_board("ulx3s")).weight_depth == 64
    tight = replace(find_board("ulx3s"), block_memories=3)
    assert fitting_config(moons, tight).weight_depth == 52
