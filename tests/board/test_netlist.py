# SPDX-License-Identifier: MIT
"""A synthesised netlist, cell by cell, runs the golden vectors over its pins; one changed LUT and it does not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fixedpoint_nn.board import netlist
from fixedpoint_nn.board.netlist import cells, run_netlist, synthesise, verify_netlist
from fixedpoint_nn.hardware.pack.reader import Pack
from tests.board.conftest import GOLDEN

CELL = re.compile(r"^  (\w+) (?:#\(\s*(.*?)\s*\) )?(\S+)\s*\(\s*(.*?)\s*\);$", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"\.(\w+)\(\s*(.*?)\s*\)(?:,|$)", re.MULTILINE)
INIT = re.compile(r"INIT\((\d+)'h([0-9a-f]+)\)")


def with_one_changed_lut(text: str) -> str:
    """The netlist with the LUT inverted that makes a bit of the requantiser's word."""
    found = [(cell, dict(PORT.findall(cell[4]))) for cell in CELL.finditer(text)]
    luts = {ports.get("O", ports.get("F", ports.get("Z"))): cell for cell, ports in found if "LUT" in cell[1]}
    bits = [
        ports.get("D", ports.get("DI"))
        for _, ports in found
        if re.search(r"u_requantize\.word(?: ?\[\d+\])?$", ports.get("Q", ""))
    ]
    lut = next(luts[bit] for bit in bits if bit in luts)
    inverted = INIT.sub(
        lambda init: f"INIT({init[1]}'h{int(init[2], 16) ^ (1 << int(init[1])) - 1:x})", lut[0]
    )
    assert inverted != lut[0]
    return text[: lut.start()] + inverted + text[lut.end() :]


def test_cells_are_counted() -> None:
    lut = "  SB_LUT4 #(\n    .LUT_INIT(16'h1234)\n  ) one (\n    .I0(a)\n  );\n"
    text = f"module top(clk);\n  wire a;\n{lut}  SB_GB two (\n  );\n"
    assert cells(text) == 2


def test_a_folder_that_is_no_pack_fails_in_a_sentence(tmp_path: Path) -> None:
    verdict = verify_netlist(tmp_path, "ice40")
    assert not verdict.passed and verdict.text.startswith("FAIL: ")


def test_a_synthesis_that_is_missing_is_no_failure_of_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlist, "find", lambda name: ["sh", "-c", "echo ERROR: out of luck; exit 1", name])
    verdict = verify_netlist(GOLDEN / "moons", "ice40")
    assert (str(verdict), verdict.ran) == (
        "NOT RUN: yosys could not synthesise the design: ERROR: out of luck",
        False,
    )


@pytest.fixture(scope="module", params=sorted(netlist.CHIPS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory, moons: Pack, family: str) -> Path:
    folder = tmp_path_factory.mktemp("netlist")
    synthesise(moons, family, folder)
    return folder


def _copy(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "copy"))


@pytest.mark.slow
def test_every_word_and_cycle_of_a_netlist_is_the_packs(
    synthesised: Path, moons: Pack, family: str, tmp_path: Path
) -> None:
    verdict = run_netlist(moons, family, _copy(synthesised, tmp_path), "iverilog", 2)
    assert str(verdict) == "PASS: 2 vectors, 2 words, 284 cycles, as predicted"


@pytest.mark.slow
def test_a_netlist_with_one_changed_lut_fails(
    synthesised: Path, moons: Pack, family: str, tmp_path: Path
) -> None:
    folder = _copy(synthesised, tmp_path)
    path = folder / "netlist.v"
    path.write_text(with_one_changed_lut(path.read_text()))
    verdict = run_netlist(moons, family, folder, "iverilog", 2)
    assert not verdict.passed and verdict.text.startswith("FAIL: vector 0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "family", "vectors"),
    [
        *(("nplm", family, 2) for family in sorted(netlist.CHIPS)),
        *(("names_lstm", family, 1) for family in ("ecp5", "xc7")),  # too large for the other two
    ],
)
def test_larger_networks_as_netlists_in_verilator(network: str, family: str, vectors: int) -> None:
    verdict = verify_netlist(GOLDEN / network, family, "verilator", vectors=vectors)
    assert (verdict.passed, verdict.vectors) == (True, vectors), verdict.text
