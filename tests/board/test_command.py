# SPDX-License-Identifier: MIT
"""`fixedpoint-nn board` on a simulated board."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixedpoint_nn.board.opening import open_engine
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.board.conftest import GOLDEN

MOONS = str(GOLDEN / "moons")


def test_golden_vectors_go_over_the_wire(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "run", MOONS, "--port", "sim", "--vectors", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "network": "moons",
        "port": "sim",
        "passed": True,
        "text": "PASS: 2 vectors, 2 words, 284 cycles, as predicted",
        "vectors": 2,
        "words": 2,
        "cycles": 284,
        "clock_khz": None,
    }


def test_a_port_that_is_not_there_is_named_and_is_no_failure_of_the_pack(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["board", "run", MOONS, "--port", "/dev/ttyNONE0"]) == 3
    assert capsys.readouterr().out == (
        "NOT RUN: /dev/ttyNONE0 cannot be opened (No such file or directory); is the board plugged in, and may you use "
        "the port?\n"
    )
    assert main(["board", "load", MOONS, "--port", "/dev/ttyNONE0"]) == 1


def test_a_simulated_board_is_not_loaded_for_later(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "load", MOONS, "--port", "sim"]) == 2
    assert capsys.readouterr().err == (
        "fixedpoint-nn: a simulated board exists only while one command runs; use `fixedpoint-nn board run --port sim "
        "--load`\n"
    )


def test_more_vectors_than_there_are_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "run", MOONS, "--port", "sim", "--vectors", "99"]) == 3
    assert capsys.readouterr().out == f"NOT RUN: {Path(MOONS)} holds 32 vectors, not 99; ask for no more\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "cycles"), [("moons", 4544), ("nplm", 64728), ("names_lstm", 1824732), ("names_writer", 949280)]
)
def test_packs_of_the_zoo_run_on_a_board_in_verilator_with_their_memories_read_back(
    name: str, cycles: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = str(GOLDEN / name)
    assert (
        main(["board", "run", pack, "--port", "sim", "--simulator", "verilator", "--readback", "--load"]) == 0
    )
    readback, golden = capsys.readouterr().out.splitlines()
    assert readback.startswith("PASS: ") and f", {cycles} cycles, as predicted" in golden


@pytest.mark.slow
def test_a_network_that_writes_writes_its_letters_on_a_board() -> None:
    pack = load_pack(GOLDEN / "names_writer")
    symbols = "".join(chr(ord("A") + place) for place in range(1 << 6))
    with open_engine("sim", pack, "verilator") as engine:
        written = "".join(engine.write_text(pack, symbols, 2, seed=pack.seed, first=int(pack.vectors[0, 0])))
    assert written == "".join(symbols[place] for place in pack.expected.reshape(-1))
