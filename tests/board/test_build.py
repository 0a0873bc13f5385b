# SPDX-License-Identifier: MIT
"""From a pack to a bitstream: the design's files, the tools' errors, and real builds in the slow suite."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from fixedpoint_nn.board import BoardError, build, fit
from fixedpoint_nn.board.boards import find_board, names
from fixedpoint_nn.board.build import prepare
from fixedpoint_nn.board.tools import find
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from tests.board.conftest import GOLDEN


@pytest.mark.parametrize("name", names())
def test_the_design_of_every_board_elaborates_from_its_own_folder_alone(
    tmp_path: Path, moons: Pack, name: str
) -> None:
    design = prepare(moons, find_board(name), tmp_path)
    command = [
        "iverilog",
        "-g2005",
        "-Wall",
        "-Wno-timescale",
        "-Irtl",
        "-s",
        "top",
        "-o",
        "top.vvp",
        *design.sources,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "top.v" not in done.stderr
    for path in re.findall(r'"(images/.*?)"', (tmp_path / "top.v").read_text()):
        assert (tmp_path / path).exists()
    assert not [line for line in (tmp_path / "top.v").read_text().splitlines() if str(tmp_path) in line]


def test_every_port_of_a_top_has_its_pin(tmp_path: Path, moons: Pack) -> None:
    for name in names():
        board = find_board(name)
        prepare(moons, board, tmp_path / name)
        text = (tmp_path / name / f"top{board.chip.constraints}").read_text()
        for pin in (board.clock["pin"], board.rx, board.tx, *board.leds):
            assert re.search(rf"\b{pin}\b", text), (name, pin)


def test_an_open_flow_has_a_shell_script_and_vivado_a_tcl_that_says_it_is_untested(
    tmp_path: Path, moons: Pack
) -> None:
    prepare(moons, find_board("ulx3s"), tmp_path / "open")
    script = (tmp_path / "open" / "build.sh").read_text()
    assert os.access(tmp_path / "open" / "build.sh", os.X_OK)
    assert [line.split()[1] for line in script.splitlines() if line.startswith("tool ")] == [
        "yosys",
        "nextpnr-ecp5",
        "ecppack",
    ]
    assert subprocess.run(["sh", "-n", "build.sh"], cwd=tmp_path / "open").returncode == 0
    prepare(moons, find_board("arty-a7"), tmp_path / "vivado")
    text = (tmp_path / "vivado" / "build.tcl").read_text()
    assert "not run by this project's tests" in text
    for path in re.findall(r"(?:rtl|images)/[\w.]+", text):
        assert (tmp_path / "vivado" / path).exists()


def test_a_clock_that_is_divided_is_the_one_that_the_chip_tells(tmp_path: Path, moons: Pack) -> None:
    prepare(moons, find_board("arty-a7"), tmp_path)
    text = (tmp_path / "top.v").read_text()
    assert ".CLOCK_KHZ(50000)" in text and ".DIVIDER(50)" in text and "wire clock = divided[0];" in text
    constraints = (tmp_path / "top.xdc").read_text()
    assert (
        "create_clock -period 10.000" in constraints
        and "-divide_by 2 [get_pins {divided_reg[0]/Q}]" in constraints
    )


def test_a_memory_that_cannot_be_initialised_is_left_out_of_the_top(tmp_path: Path) -> None:
    design = prepare(load_pack(GOLDEN / "nplm"), find_board("icebreaker"), tmp_path)
    assert design.empty == ("weights",)
    text = (tmp_path / "top.v").read_text()
    assert "WEIGHT_IMAGE" not in text and "PARAMETER_IMAGE" in text
    assert "SB_SPRAM256KA" in (tmp_path / "rtl" / "memory.v").read_text()


def test_a_tool_that_fails_is_quoted_and_its_log_is_kept(
    tmp_path: Path, moons: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        build, "find", lambda name: ["sh", "-c", "echo hello; echo ERROR: no such cell; exit 1", name]
    )
    with pytest.raises(BoardError) as error:
        build.build_bitstream(moons, find_board("ulx3s"), tmp_path)
    assert str(error.value) == (
        f"synthesis failed: ERROR: no such cell ({tmp_path}/synthesis.log has the whole story)"
    )


def test_a_tool_that_is_missing_is_named_with_the_way_to_it() -> None:
    with pytest.raises(ToolError) as error:
        find("nextpnr-of-nobody")
    assert str(error.value) == (
        "nextpnr-of-nobody is needed, and there is none on PATH; install it by `pip install fixedpoint_nn[board]`"
    )


def test_the_command_writes_a_design_without_tools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["board", "build", str(GOLDEN / "moons"), "--board", "ulx3s", "--out", str(out), "--files-only"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"the design is in {out}; `sh build.sh` builds it there\n"
    assert (
        main(["board", "build", str(GOLDEN / "names_lstm"), "--board", "icebreaker", "--out", str(out)]) == 1
    )
    assert "and the iCE40UP5K has 30; " in capsys.readouterr().err


# ---- real builds ---------------------------------------------------------------------------------------------------

BLOCKS = {"ecp5": "DP16KD", "ice40": "ICESTORM_RAM", "gowin": "BSRAM"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "name"),
    [("moons", "icebreaker"), ("nplm", "tangnano20k"), ("names_lstm", "ulx3s")],
)
def test_a_bitstream_meets_the_clock_of_its_board_with_the_memories_that_were_predicted(
    tmp_path: Path, network: str, name: str
) -> None:
    out = tmp_path / "out"
    assert main(["board", "build", str(GOLDEN / network), "--board", name, "--out", str(out)]) == 0
    built, board = json.loads((out / "board.json").read_text()), find_board(name)
    assert built["meets_the_clock"] and built["reached_mhz"] >= built["clock_mhz"] == board.mhz
    assert Path(built["bitstream"]).stat().st_size == built["bytes"] > 10_000
    wanted = fit.needs(EngineConfig(**built["engine"]), board)
    assert built["resources"][BLOCKS[board.family]][0] == wanted.total
    page = (out / "board.md").read_text()
    assert "which is met" in page and built["bitstream"] in page
