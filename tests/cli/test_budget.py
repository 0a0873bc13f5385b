# SPDX-License-Identifier: MIT
"""`emit --budget`: the table, the engine that is emitted, JSON, and every sentence that refuses."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.pack.reader import load_pack

Capture = pytest.CaptureFixture[str]
OWN = ("--dsp", 4, "--bram", 4, "--mhz", 100)
QUICK = ("--word", 8, "--vectors", 2, "--corners", 0)


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_the_fastest_engine_that_fits_is_emitted_and_verifies_in_icarus(
    tmp_path: Path, capsys: Capture
) -> None:
    pack = tmp_path / "pack"
    assert run("emit", "moons", *QUICK, *OWN, "--out", pack) == 0
    out = capsys.readouterr().out
    (row,) = [line.split() for line in out.splitlines() if re.match(r"\*\s+\d", line)]
    config = load_pack(pack).config
    assert row[1:5] == [str(config.lanes), str(config.drain), str(config.words), str(config.pack)]
    assert row[8] == str(load_pack(pack).cycles[0])
    assert (config.lanes, config.pack) == (8, 2)
    assert run("verify", pack) == 0
    assert capsys.readouterr().out.startswith("PASS")


def test_the_table_says_what_there_is_and_why_no_faster_engine_is_taken(capsys: Capture) -> None:
    assert run("emit", "moons", "--word", 8, *OWN, "--pack", 1) == 0
    out = capsys.readouterr().out
    assert " ".join(out.splitlines()[0].split()) == (
        "lanes drain words pack about LUT DSP48E1 RAMB18 cycles ms multiply-adds weight rows words read written"
    )
    assert "there: any 4 8" in " ".join(out.split())
    assert "\n* taken, for 100 MHz (as stated): 4 lanes, drain " in out
    assert (
        "does not fit the budget: it takes 8 DSP48E1 multipliers, 4 more than the 4 that there are. " in out
    )
    assert " more engines were compared; -v shows them.\n" in out


def test_a_narrow_terminal_leaves_out_what_energy_goes_by(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fixedpoint_nn.cli.emit.columns", lambda stream: 80)
    assert run("emit", "moons", "--word", 8, *OWN, "--lanes", 2, "--pack", 1) == 0
    table, said = capsys.readouterr().out.split("\n\n")
    assert table.splitlines()[0].split()[-2:] == ["cycles", "ms"]
    assert [line for line in table.splitlines() if len(line) > 80] == []
    assert said.endswith(
        "multiply-adds, weight rows, words read, written: in a wider terminal, or by --json.\n"
    )


def test_verbose_shows_every_engine(capsys: Capture) -> None:
    assert run("emit", "moons", "--word", 8, *OWN, "--lanes", 2, "--pack", 1, "-v") == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if re.match(r"[ *-] +2 ", line)]
    assert len(rows) == 4


def test_json_has_the_table_as_data(capsys: Capture) -> None:
    assert run("emit", "moons", "--word", 8, "--budget", "xc7a35t", "--lanes", 8, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(found) == {"network", "weights", "source", "budget"}
    budget = found["budget"]
    assert set(budget) == {"within", "taken", "reason", "luts_within", "alternatives"}
    assert budget["within"]["name"] == "xc7a35t"
    assert budget["within"]["mhz"] == 50
    assert len(budget["alternatives"]) == 16 + 12  # lanes that read 8 words do not share a multiplier
    assert budget["taken"] in budget["alternatives"]
    assert budget["taken"]["cycles"] == min(one["cycles"] for one in budget["alternatives"] if one["fits"])
    assert set(budget["taken"]) == {
        *(
            "lanes",
            "drain",
            "words",
            "pack",
            "fits",
            "batch",
            "cycles",
            "throughput",
            "milliseconds",
            "activity",
            "luts",
            "multipliers",
        ),
        *("block_memories", "large_memories", "lacks", "engine"),
    }


def test_a_batch_has_its_samples_per_second_in_the_table(tmp_path: Path, capsys: Capture) -> None:
    asked = ("emit", "moons", *QUICK, *OWN, "--batch", 4)
    assert run(*asked, "--out", tmp_path / "pack") == 0
    out = capsys.readouterr().out
    pack = load_pack(tmp_path / "pack")
    assert pack.batch == 4
    head = out.splitlines()[0]
    assert "cycles ms samples/s multiply-adds" in " ".join(head.split())
    (row,) = [line.split() for line in out.splitlines() if re.match(r"\*\s+\d", line)]
    assert row[8] == str(pack.cycles[0])
    assert row[10] == f"{4 * 100e6 / pack.cycles[0]:,.0f}"
    assert (
        "\nA run computes 4 samples; its cycles, ms and what energy goes by are of all of them.\n* taken"
        in out
    )


def test_the_chosen_engine_s_program_can_be_shown(capsys: Capture) -> None:
    assert run("emit", "moons", "--word", 8, *OWN, "--show", "lower", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"network", "pass", "program", "budget"}


def test_the_clock_is_the_board_s_or_the_one_that_is_stated(capsys: Capture) -> None:
    for given, said in (
        (("--budget", "lfe5u-85f"), "25 MHz (the clock of ulx3s)"),
        (("--budget", "lfe5u-85f", "--mhz", 80), "80 MHz (as stated)"),
        (("--budget", "lfe5u-85f", "--board", "arty-a7"), "50 MHz (the clock of arty-a7)"),
    ):
        assert run("emit", "moons", "--word", 8, *given, "--lanes", 1) == 0
        assert f"* taken, for {said}: 1 lane, drain 1, words 1. " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ("--dsp", 4, "--lut", 9000),
            "a budget of your own, here --dsp --lut, takes --dsp, --bram and --mhz; or name a chip, --budget xc7a35t",
        ),
        (
            ("--budget", "xc7a35t", "--dsp", 4, "--lut", 1),
            "--budget xc7a35t states the resources itself; leave out --dsp and --lut, or --budget",
        ),
        (
            ("--budget", "xc7a36t"),
            "there is no chip or board 'xc7a36t'; did you mean 'xc7a35t'? The chips are gw2ar-18, ice40up5k, "
            "lfe5u-25f, lfe5u-85f, xc7a100t, xc7a35t, and the boards arty-a7, colorlight-i5, icebreaker, tangnano20k, "
            "ulx3s; a board of your own is a file",
        ),
        (
            ("--budget", "ulx3s", "--board", "mars"),
            "there is no board 'mars'; use arty-a7, colorlight-i5, icebreaker, tangnano20k, ulx3s. A board of your own "
            "is a file: --board mine.json",
        ),
    ],
)
def test_a_budget_that_says_too_little_or_too_much_is_refused(
    given: tuple[object, ...], sentence: str, capsys: Capture
) -> None:
    assert run("emit", "moons", "--word", 8, *given) == 2
    assert capsys.readouterr().err == f"fixedpoint-nn: {sentence}\n"


def test_without_a_budget_emit_still_wants_a_folder(capsys: Capture) -> None:
    assert run("emit", "moons", "--word", 8) == 2
    assert capsys.readouterr().err == (
        "fixedpoint-nn: emit takes either --out, the folder of the pack, or --show, a pass of the compiler\n"
    )


def test_where_nothing_fits_nothing_is_written(tmp_path: Path, capsys: Capture) -> None:
    pack = tmp_path / "pack"
    assert (
        run("emit", "moons", *QUICK, "--dsp", 3, "--bram", 4, "--mhz", 100, "--lanes", 8, "--out", pack) == 1
    )
    assert capsys.readouterr().err.splitlines()[-1] == (
        "fixedpoint-nn: no engine of this network fits the budget: the nearest one, 8 lanes, drain 4, words 4, pack 2, "
        "takes 4 DSP48E1 multipliers, 1 more than the 3 that there are; 4 lanes would fit: emit it again with --lanes 4"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_pack_is_refused_before_anything_is_compared(
    tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "mine.txt").write_text("")
    assert run("emit", "moons", *QUICK, *OWN, "--out", tmp_path) == 1
    captured = capsys.readouterr()
    assert "comparing" not in captured.err
    assert captured.out == ""


def test_an_interrupt_leaves_nothing_half(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fixedpoint_nn.board.comparison.activity", interrupted)
    assert run("emit", "moons", *QUICK, *OWN, "--out", tmp_path / "pack") == 130
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "fixedpoint-nn: interrupted; nothing half-written was left behind"
    )
    assert not list(tmp_path.iterdir())


def test_a_board_of_one_s_own_is_a_budget(tmp_path: Path, capsys: Capture) -> None:
    shipped = files("fixedpoint_nn.board") / "supported" / "ulx3s.json"
    board = json.loads(shipped.read_text("utf-8"))
    board |= {"multipliers": 2, "clock": {"pin": "G2", "mhz": 50}}
    del board["luts"]
    (tmp_path / "mine.json").write_text(json.dumps(board))
    assert run("emit", "moons", "--word", 8, "--budget", tmp_path / "mine.json") == 0
    out = capsys.readouterr().out
    assert "* taken, for 50 MHz (the clock of mine): 2 lanes, " in out
    assert (
        "does not fit the mine: it takes 4 MULT18X18D multipliers, 2 more than the 2 that there are." in out
    )


def test_the_record_repeats_the_command(tmp_path: Path, capsys: Capture) -> None:
    pack = tmp_path / "pack"
    assert run("emit", "moons", *QUICK, *OWN, "--drain", 2, "--out", pack) == 0
    text = "".join(path.read_text("utf-8") for path in pack.rglob("*.json"))
    assert "--drain 2 --dsp 4 --bram 4" in text
    assert "--clock-mhz 100" in text
    assert "--lanes" not in text.split("fixedpoint-nn emit")[1].split('"')[0]
