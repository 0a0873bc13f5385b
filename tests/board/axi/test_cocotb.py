# SPDX-License-Identifier: MIT
"""axi_engine.v under the masters of cocotbext-axi, with random back-pressure, resets and aborts."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixedpoint_nn.board.axi.register_files import ROOT
from fixedpoint_nn.hardware.pack.reader import load_pack

runner = pytest.importorskip("cocotb_tools.runner", reason="driving AXI needs the extra `axi`")
pytest.importorskip("cocotbext.axi", reason="driving AXI needs the extra `axi`")
RTL = ROOT / "reference_rtl"


@pytest.mark.slow
def test_other_peoples_masters_find_every_word_equal_and_no_rule_broken(tmp_path: Path) -> None:
    pack = ROOT / "golden_vectors" / "moons"
    simulator = runner.get_runner("icarus")
    simulator.build(
        sources=sorted(RTL.glob("*.v")),
        includes=[RTL],
        hdl_toplevel="axi_engine",
        parameters=load_pack(pack).config.verilog(),
        build_dir=tmp_path,
        build_args=["-g2005"],
        timescale=("1ns", "1ps"),
        log_file=tmp_path / "build.log",
    )
    results = simulator.test(
        hdl_toplevel="axi_engine",
        test_module="drive_axi_engine",
        build_dir=tmp_path,
        test_dir=Path(__file__).parent,
        results_xml=str(tmp_path / "results.xml"),
        extra_env={"PACK": str(pack)},
        log_file=tmp_path / "test.log",
    )
    assert runner.get_results(results) == (7, 0)
