# SPDX-License-Identifier: MIT
"""Engines within a budget: the exact table of a small network, the choice against brute force, every refusal."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.board import BoardError
from fixedpoint_nn.board.chips import Budget, chips, find_budget, stated
from fixedpoint_nn.board.choice import fastest, next_faster, reason, worth_showing
from fixedpoint_nn.board.comparison import Alternative, alternatives, lacks
from fixedpoint_nn.board.fit import needs
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower, packed
from fixedpoint_nn.hardware.isa.config import DRAINS, LANES, WORDS
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.quantized import Quantized

SMALL = stated(multipliers=4, blocks=4, mhz=100)


def quantised(name: str, word: int = 8) -> tuple[Quantized, tuple[int, ...]]:
    x = zoo.samples(name, 50)
    net = zoo.load(name)
    return quantize(net, calibrate(net, x, word=word)), x.shape[1:]


@pytest.fixture(scope="module")
def moons() -> tuple[Quantized, tuple[int, ...]]:
    return quantised("moons")


@pytest.fixture(scope="module")
def found(moons: tuple[Quantized, tuple[int, ...]]) -> tuple[Alternative, ...]:
    return alternatives(*moons, SMALL, pack=1)


def test_the_table_of_a_small_network(found: tuple[Alternative, ...]) -> None:
    table = {one.shape[:3]: (one.cycles, one.multipliers, one.block_memories) for one in found}
    assert len(table) == 30
    assert {shape: sizes for shape, sizes in table.items() if shape[0] <= 4} == {
        (1, 1, 1): (346, 1, 0),
        (2, 1, 1): (206, 2, 0),
        (2, 1, 2): (197, 2, 0),
        (2, 2, 1): (206, 2, 0),
        (2, 2, 2): (196, 2, 0),
        (4, 1, 1): (170, 4, 1),
        (4, 1, 2): (135, 4, 1),
        (4, 1, 4): (135, 4, 1),
        (4, 2, 1): (160, 4, 1),
        (4, 2, 2): (132, 4, 1),
        (4, 2, 4): (132, 4, 1),
        (4, 4, 1): (158, 4, 1),
        (4, 4, 2): (132, 4, 1),
        (4, 4, 4): (132, 4, 1),
    }


@pytest.mark.parametrize("chip", ["lfe5u-25f", "xc7a35t"])
def test_the_table_of_a_network_that_fills_block_memories(chip: str) -> None:
    found = alternatives(*quantised("names_lstm"), find_budget(chip), lanes=4, pack=1)
    assert {one.shape[:3]: (one.cycles, one.multipliers, one.block_memories) for one in found} == {
        (4, 1, 1): (293497, 4, 55),
        (4, 1, 2): (291609, 4, 55),
        (4, 1, 4): (291577, 4, 58),
        (4, 2, 1): (289208, 4, 58),
        (4, 2, 2): (289803, 4, 58),
        (4, 2, 4): (289803, 4, 60),
        (4, 4, 1): (288676, 4, 67),
        (4, 4, 2): (289323, 4, 67),
        (4, 4, 4): (289323, 4, 67),
    }


@pytest.mark.parametrize("name", ["moons", "bigram"])
@pytest.mark.parametrize(
    "budget",
    [
        SMALL,
        replace(SMALL, luts=2000),
        replace(SMALL, multipliers=8, block_memories=5),
        find_budget("icebreaker"),
    ],
)
def test_no_engine_that_fits_is_faster_than_the_one_taken(name: str, budget: Budget) -> None:
    fixed, shape = quantised(name)
    compared = alternatives(fixed, shape, budget)
    taken = fastest(compared, budget)
    cycles = {}
    for lanes in LANES:
        for drain in DRAINS:
            for words in WORDS:
                if max(drain, words) <= lanes <= 4 * budget.multipliers:
                    one = lower(fixed.net, shape, fixed.input.format, lanes, drain=drain, words=words)
                    plan = schedule(one.instructions, lanes, drain, one.config.latency)
                    assert plan is not None
                    cycles[lanes, drain, words, 1] = plan.cycles, not lacks(one.config, budget)
                    if 2 * words <= lanes:
                        sharing = packed(one, 2)
                        plan = schedule(one.instructions, lanes, drain, one.config.latency, pack=2)
                        assert plan is not None
                        cycles[lanes, drain, words, 2] = plan.cycles, not lacks(sharing.config, budget)
    assert taken.fits
    assert taken.cycles == min(count for count, fits in cycles.values() if fits)
    assert all(cycles[one.shape] == (one.cycles, one.fits) for one in compared)
    left_out = cycles.keys() - {one.shape for one in compared}
    # What was not lowered would not have fitted; what shares multipliers without having fewer gains nothing.
    assert not any(
        cycles[one][1] and not (one[3] == 2 and cycles[(*one[:3], 1)] <= cycles[one]) for one in left_out
    )
    faster = next_faster(compared, taken)
    tried = [one.cycles for one in compared if one.cycles < taken.cycles]
    assert (faster is None and not tried) or (faster is not None and faster.cycles == max(tried))


def test_the_engine_taken_has_enough_of_everything_and_the_next_faster_one_has_not(
    found: tuple[Alternative, ...],
) -> None:
    taken = fastest(found, SMALL)
    need = needs(taken.config, SMALL)
    assert need.multipliers <= SMALL.multipliers
    assert need.total <= SMALL.block_memories
    assert reason(found, taken, SMALL) == (
        "The next faster one, 8 lanes, drain 2, words 1 (130 cycles), does not fit the budget: it takes 8 DSP48E1 "
        "multipliers, 4 more than the 4 that there are."
    )


def test_engines_are_sorted_and_the_table_shows_what_takes_less(found: tuple[Alternative, ...]) -> None:
    assert [one.cycles for one in found] == sorted(one.cycles for one in found)
    taken = fastest(found, SMALL)
    shown = worth_showing(found, taken)
    assert shown[1] is taken
    assert all(a.luts > b.luts and a.cycles <= b.cycles for a, b in pairwise(shown[1:]))
    smallest = min((one for one in found if one.fits), key=lambda one: one.luts)
    assert shown[-1].luts == smallest.luts


def test_time_is_cycles_at_the_clock(found: tuple[Alternative, ...]) -> None:
    assert all(one.milliseconds == one.cycles / 100_000 for one in found)


def test_lanes_drain_and_words_can_be_held(moons: tuple[Quantized, tuple[int, ...]]) -> None:
    held = alternatives(*moons, SMALL, lanes=4, words=2)
    assert {one.shape for one in held} == {(4, drain, 2, pack) for drain in (1, 2, 4) for pack in (1, 2)}
    held = alternatives(*moons, SMALL, lanes=4, words=2, pack=2)
    assert {one.shape for one in held} == {(4, 1, 2, 2), (4, 2, 2, 2), (4, 4, 2, 2)}
    with pytest.raises(BoardError) as error:
        alternatives(*moons, SMALL, lanes=4, drain=8)
    assert str(error.value) == (
        "there is no engine of 4 lanes that drains 8 and reads any words per clock; both are at most the lanes"
    )


def test_two_lanes_share_a_multiplier_where_multipliers_are_few(
    moons: tuple[Quantized, tuple[int, ...]],
) -> None:
    compared = alternatives(*moons, SMALL)
    taken = fastest(compared, SMALL)
    assert taken.config.lanes == 8 and taken.config.pack == 2 and taken.multipliers == 4
    assert taken.cycles < fastest([one for one in compared if one.config.pack == 1], SMALL).cycles
    # No two weights in 18 bits, and none of 16 bits in 25.
    for network, budget in ((moons, find_budget("lfe5u-25f")), (quantised("moons", 16), SMALL)):
        assert {one.config.pack for one in alternatives(*network, budget, lanes=4)} == {1}
    with pytest.raises(
        LoweringError, match=r"^The network does not fit any engine: pack = 2 is no engine; use 1, or 2"
    ):
        alternatives(*moons, SMALL, lanes=1, pack=2)


def test_everything_faster_is_there_where_nothing_is_missing(
    moons: tuple[Quantized, tuple[int, ...]],
) -> None:
    budget = stated(1000, 1000, 100)
    compared = alternatives(*moons, budget)
    taken = fastest(compared, budget)
    assert taken.cycles == compared[0].cycles
    assert reason(compared, taken, budget) == "None of the engines that were compared is faster."


@pytest.mark.parametrize(
    ("name", "budget", "held", "sentence"),
    [
        (
            "moons",
            replace(SMALL, luts=500),
            {},
            "no engine of this network fits the budget: the nearest one, 1 lane, drain 1, words 1, takes about LUTS "
            "LUTs, MORE more than the 500 that there are; "
            "the chip xc7a35t has room for it",
        ),
        (
            "moons",
            SMALL,
            {"lanes": 8, "pack": 1},
            "no engine of this network fits the budget: the nearest one, 8 lanes, drain 4, words 4, takes 8 DSP48E1 "
            "multipliers, 4 more than the 4 that there are; 4 lanes would fit: emit it again with --lanes 4",
        ),
        (
            "names_lstm",
            stated(4, 25, 100),
            {"lanes": 2},
            "no engine of this network fits the budget: the nearest one, 2 lanes, drain 1, words 1, takes 54 RAMB18 "
            "block memories (weights 43, activations 5, parameters 2, tables 3, program 1), 4 more than the 50 that "
            "there are; words 3 bits shorter would fit: emit it again with a smaller --word",
        ),
        (
            "names_lstm",
            find_budget("ice40up5k"),
            {"lanes": 1},
            "no engine of this network fits the ice40up5k: the nearest one, 1 lane, drain 1, words 1, takes 41 EBR "
            "block memories (activations 20, parameters 6, tables 9, program 4, registers 2), 11 more than the 30 that "
            "there are, and 6 large memories (weights 6), 2 more than the 4 that there are; "
            "the chip xc7a35t has room for it",
        ),
    ],
)
def test_nothing_fits(name: str, budget: Budget, held: dict[str, int], sentence: str) -> None:
    compared = alternatives(*quantised(name), budget, **held)  # type: ignore[arg-type]
    with pytest.raises(BoardError) as error:
        fastest(compared, budget, held=bool(held))
    said = str(error.value)
    if "LUTS" in sentence:  # an estimate, which the tests of its module judge
        luts = min(one.luts for one in compared)
        sentence = sentence.replace("LUTS", f"{luts:,}").replace("MORE", f"{luts - budget.luts:,}")
    assert said == sentence


def test_a_network_that_no_engine_runs_is_refused_by_its_own_sentence() -> None:
    fixed, shape = quantised("moons")
    with pytest.raises(LoweringError, match=r"^A multiplier has 2 to 32 bits, or 0 for none, not 33\.$"):
        alternatives(fixed, shape, SMALL, lanes=1, multiplier=33)
    with pytest.raises(TypeError, match=r"^alternatives takes a quantised network"):
        alternatives(zoo.load("moons"), shape, SMALL)


def test_progress_says_how_many_engines_are_compared(moons: tuple[Quantized, tuple[int, ...]]) -> None:
    lines: list[str] = []
    alternatives(*moons, SMALL, progress=lines.append)
    assert lines[0] == "comparing 30 engines of 1 to 8 lanes"


# ---- chips ----------------------------------------------------------------------------------------------


def test_chips_and_boards_are_known_by_name() -> None:
    assert list(chips()) == ["gw2ar-18", "ice40up5k", "lfe5u-25f", "lfe5u-85f", "xc7a100t", "xc7a35t"]
    small, large = find_budget("xc7a35t"), find_budget("XC7A100T")
    assert (small.luts, small.multipliers, small.block_memories) == (20800, 90, 100)
    assert (large.luts, large.multipliers, large.block_memories) == (63400, 240, 270)
    board = find_budget("ulx3s")
    assert (board.part, board.luts, board.mhz, board.clock) == ("LFE5U-85F", 83640, 25, "the clock of ulx3s")
    assert replace(find_budget("lfe5u-85f"), name="ulx3s") == board


def test_an_unknown_chip_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BoardError) as error:
        find_budget("xc7a36t")
    assert str(error.value) == (
        "there is no chip or board 'xc7a36t'; did you mean 'xc7a35t'? The chips are gw2ar-18, ice40up5k, lfe5u-25f, "
        "lfe5u-85f, xc7a100t, xc7a35t, and the boards arty-a7, colorlight-i5, icebreaker, tangnano20k, ulx3s; "
        "a board of your own is a file"
    )
    with pytest.raises(BoardError, match=r"^there is no chip or board 'versal'; the chips are gw2ar-18, "):
        find_budget("versal")
