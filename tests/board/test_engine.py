# SPDX-License-Identifier: MIT
"""The driver on a simulated board: whole packs, and lines that lose, change and cut what goes over them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from fixedpoint_nn.board import BoardError, Engine
from fixedpoint_nn.board.golden import run_golden
from fixedpoint_nn.board.readback import read_back
from fixedpoint_nn.board.simulated import SimulatedBoard
from fixedpoint_nn.hardware.pack.reader import Pack
from tests.board.conftest import SECONDS, FaultyPort


def works(engine: Engine, pack: Pack) -> bool:
    """The next call does what it should: one vector, word by word and cycle by cycle."""
    outcome = engine.run(pack, pack.vectors[1])
    return bool(np.array_equal(outcome.words, pack.expected[1])) and outcome.status.cycles == pack.cycles[1]


def test_a_board_says_what_it_is_built_of(engine: Engine, moons: Pack) -> None:
    identity = engine.identify()
    assert (
        replace(identity.config, **{d: getattr(moons.config, d) for d in vars(moons.config) if "depth" in d})
        == moons.config
    )
    assert identity.config.weight_depth == 64
    assert (identity.clock_khz, identity.content) == (25000, 0x12345678)


def test_images_that_are_built_in_give_every_golden_word_in_the_predicted_cycles(
    engine: Engine, moons: Pack
) -> None:
    verdict = run_golden(engine, moons, 4)
    assert str(verdict) == "PASS: 4 vectors, 4 words, 568 cycles, as predicted"


def test_words_that_are_written_are_read_back_signs_and_ends_included(engine: Engine) -> None:
    words = [-256, -1, 0, 1, 255, -128, 127]
    engine.write(11, words)
    assert engine.read(11, len(words)).tolist() == words


def test_many_words_go_in_several_requests(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fixedpoint_nn.board.engine.CHUNK", 16)
    words = np.arange(35) * 14 - 256
    engine.write(400, words)
    assert np.array_equal(engine.read(400, 35), words)


def test_registers_of_the_chip_are_those_of_its_twin(engine: Engine, moons: Pack) -> None:
    from fixedpoint_nn.hardware.emulator.emulator import Emulator

    twin = Emulator(moons.config, moons.images)
    twin.write(moons.input.address, moons.vectors[0])
    result = twin.run(moons.seed)
    status = engine.run(moons, moons.vectors[0]).status
    assert status.done and not status.busy
    for name in ("cycles", "mac_cycles", "saturations", "accumulator_overflow", "argmax"):
        assert getattr(status, name) == getattr(result, name), name


def test_other_weights_need_no_other_bitstream(engine: Engine, moons: Pack) -> None:
    other = replace(moons.images, weights=moons.images.weights[::-1].copy())
    engine.load_images(other)
    changed = engine.run(moons, moons.vectors[0]).words
    engine.load(moons)
    assert not np.array_equal(changed, moons.expected[0])
    assert works(engine, moons)


def test_results_come_one_by_one_as_they_are_there(engine: Engine, moons: Pack) -> None:
    results = engine.stream(moons, moons.vectors[:3])
    for wanted in moons.expected[:3]:
        assert np.array_equal(next(results).words, wanted)


# ---- refusals ------------------------------------------------------------------------------------------------------


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(BoardError) as error:
        call(*arguments)  # type: ignore[operator]
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("lanes", 4, "LANES = 4 and the engine on the board is built with 8"),
        ("activation_width", 8, "ACTIVATION_WIDTH = 8 and the engine on the board is built with 9"),
        ("weight_width", 9, "WEIGHT_WIDTH = 9 or more and the engine on the board is built with 8"),
        ("weight_depth", 65, "WEIGHT_DEPTH = 65 or more and the engine on the board is built with 64"),
        ("table_depth", 256, "TABLE_DEPTH = 256 or more and the engine on the board is built with 2"),
        ("model_width", 12, "MODEL_WIDTH = 12 and the engine on the board is built with 0"),
    ],
)
def test_a_pack_that_the_engine_cannot_run_is_refused_by_its_parameter(
    engine: Engine, moons: Pack, name: str, value: int, sentence: str
) -> None:
    pack = replace(moons, config=replace(moons.config, **{name: value}))
    assert refused(engine.load, pack) == (
        f"the pack moons needs {sentence}; build the board for this pack (`fixedpoint-nn board build`)"
    )


def test_an_engine_that_is_larger_runs_a_pack(engine: Engine, moons: Pack) -> None:
    engine.identity.refuse(replace(moons.config, weight_depth=2, bias_width=8, weight_width=4), "it")


def test_words_outside_of_a_memory_are_refused_before_anything_is_sent(engine: Engine) -> None:
    assert refused(engine.write, 519, [1, 2]) == "cannot write words 519 to 520: the memory holds 520"
    assert refused(engine.read, 0, 521) == "cannot read words 0 to 520: the memory holds 520"
    assert (
        refused(engine.load_words, "weights", 60, [0] * 5)
        == "weights holds 64 words, not 65; build the board for more"
    )


# ---- lines that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(14))
def test_after_a_lost_byte_of_a_request_the_next_call_works(
    engine: Engine, line: FaultyPort, moons: Pack, place: int
) -> None:
    engine.seconds = 0.5 if place == 0 else SECONDS  # without its mark nothing of a request is heard
    line.lose_sent = place
    sentence = refused(engine.write, 0, [5])
    engine.seconds = SECONDS
    if place == 0:
        assert sentence.startswith(f"{line.name} did not answer WRITE within 0.5 s; is the board on")
    elif place > 0:
        assert re.fullmatch(
            f"{line.name} refused WRITE: (a part of the request was lost|the request arrived damaged), and what it "
            f"wrote is undefined; call again",
            sentence,
        )
    assert works(engine, moons)


@pytest.mark.parametrize("place", [1, 2, 4, 6, 8, 10, 12])
def test_a_changed_bit_of_a_request_is_noticed_and_a_damaged_head_writes_nothing(
    engine: Engine, line: FaultyPort, moons: Pack, place: int
) -> None:
    engine.write(0, [1, 2, 3, 4])
    line.flip_sent = place
    assert refused(engine.write, 1, [77]).startswith(f"{line.name} refused WRITE: ")
    if place < 10:
        assert engine.read(0, 4).tolist() == [1, 2, 3, 4]
    assert works(engine, moons)


@pytest.mark.parametrize("place", [0, pytest.param(3, marks=pytest.mark.slow), 5, 7])
def test_after_a_lost_byte_of_an_answer_the_next_call_works(
    engine: Engine, line: FaultyPort, moons: Pack, place: int
) -> None:
    line.lose_received = place
    engine.seconds = 0.5
    sentence = refused(engine.read, 0, 4)
    engine.seconds = SECONDS
    assert re.search("did not answer READ|is damaged; call again", sentence), sentence
    assert works(engine, moons)


@pytest.mark.parametrize("place", [2, 6])
def test_a_changed_bit_of_an_answer_is_noticed(
    engine: Engine, line: FaultyPort, moons: Pack, place: int
) -> None:
    line.flip_received = place
    assert refused(engine.read, 0, 4) == f"the answer of {line.name} to READ is damaged; call again"
    assert works(engine, moons)


@pytest.mark.parametrize("sent", [1, 9, 11])
def test_after_a_pulled_cable_the_next_call_works(
    engine: Engine, line: FaultyPort, moons: Pack, sent: int
) -> None:
    line.cut_after = sent
    assert "broke off; plug the cable in and call again" in refused(engine.write, 0, [5])
    assert works(engine, moons)


def test_after_a_reset_of_the_board_the_next_call_works(
    engine: Engine, board: SimulatedBoard, moons: Pack
) -> None:
    engine.start()
    board.power_cycle()
    assert (
        refused(engine.wait)
        == f"the board at {engine.port.name} was reset while it ran; load, write and start again"
    )
    assert works(engine, moons)


def test_a_reset_over_the_wire_leaves_the_memories(engine: Engine, moons: Pack) -> None:
    engine.write(3, [9])
    engine.reset()
    assert engine.read(3, 1).tolist() == [9]
    assert works(engine, moons)


def test_a_board_that_stays_silent_is_named() -> None:
    class Silent:
        name = "/dev/ttyS9"

        def write(self, message: bytes) -> None: ...

        def read(self, most: int, seconds: float) -> bytes:
            return b""

        def close(self) -> None: ...

    assert refused(Engine, Silent(), 0.2) == (
        "/dev/ttyS9 did not answer IDENTIFY within 0.2 s; is the board on, and built with this design? Call again"
    )


# ---- readback ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_memory_is_read_back_and_then_the_pack_runs(engine: Engine, moons: Pack) -> None:
    verdict = read_back(engine, moons)
    assert str(verdict) == "PASS: 672 words read back (160 of parameters, 512 of weights), 2276 cycles"
    assert works(engine, moons)


def test_one_wrong_bit_of_a_weight_is_found_by_its_place(engine: Engine, moons: Pack) -> None:
    weights = moons.images.weights.copy()
    weights[37, 5] ^= 1
    other = replace(moons, images=replace(moons.images, weights=weights))
    verdict = read_back(engine, other)
    assert not verdict.passed
    assert str(verdict) == (
        f"FAIL: weights, row 0 + 37, lane 5: the engine reads back {moons.images.weights[37, 5]}, and the image gives "
        f"{weights[37, 5]}"
    )
    engine.load(moons)


def test_a_wrong_word_and_a_wrong_cycle_count_fail(engine: Engine, moons: Pack) -> None:
    expected = moons.expected.copy()
    expected[1, 0] += 1
    assert str(run_golden(engine, replace(moons, expected=expected), 2)) == (
        f"FAIL: vector 1, output element 0: expected {expected[1, 0]}, got {moons.expected[1, 0]}"
    )
    slow = replace(moons, manifest={**moons.manifest, "cycles": [143] * 32})
    assert str(run_golden(engine, slow, 1)) == "FAIL: vector 0 took 142 cycles and 143 were predicted"
