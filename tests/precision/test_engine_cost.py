# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.precision import calibrate, quantize, sweep
from fixedpoint_nn.precision import engine_cost as module
from fixedpoint_nn.precision.engine_cost import EngineCost, engine_figures
from tests.precision.test_sweep import problem
from tests.support.small_networks import small_network


@pytest.mark.parametrize("name", ["mlp", "lstm"])
def test_cycles_and_widths_are_those_of_the_lowered_network(name: str) -> None:
    net, x = small_network(name)
    fixed = quantize(net, calibrate(net, x))
    figures = engine_figures(fixed, x.shape[1:])
    lowered = lower(fixed.net, x.shape[1:], fixed.input.format, 8)
    timing = schedule(lowered.instructions, 8)
    assert timing is not None
    assert figures["cycles"] == timing.cycles > 0
    assert figures["activation_width"] == lowered.config.activation_width >= 8
    assert figures["engine_bram_blocks"] >= 4
    assert engine_figures(fixed, x.shape[1:], lanes=1)["cycles"] > figures["cycles"]


def test_a_plan_that_the_engine_refuses_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_network("mlp")

    def refuses(*_: object) -> None:
        raise LoweringError("Layer 'fc1' does not fit the engine")

    monkeypatch.setattr(module, "lower", refuses)
    assert engine_figures(quantize(net, calibrate(net, x)), x.shape[1:]) == {}


def test_a_sweep_shows_them_and_computes_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, (x, y) = problem()
    options: dict[str, Any] = {"store": tmp_path / "s.sqlite", "progress": False}
    first = sweep(net, (x, y), (4, 8), engine=EngineCost(net, x.shape[1:]), **options)
    rows = first.rows()
    assert rows[0]["cycles"] == rows[1]["cycles"] > 0
    assert rows[0]["weight_width"] < rows[1]["weight_width"]
    monkeypatch.setattr(module, "engine_figures", lambda *_: pytest.fail("computed again"))
    assert sweep(net, (x, y), (4, 8), engine=EngineCost(net, x.shape[1:]), **options).rows() == rows


def test_without_yosys_there_are_no_luts(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_network("mlp")

    def absent(_: object) -> None:
        raise ToolError("yosys is not installed")

    monkeypatch.setattr(module, "xilinx", absent)
    figures = engine_figures(quantize(net, calibrate(net, x)), x.shape[1:], synthesise=True)
    assert "cycles" in figures and "luts" not in figures


@pytest.mark.slow
def test_narrower_words_take_fewer_luts() -> None:
    net, x = small_network("mlp")
    sizes = [
        engine_figures(quantize(net, calibrate(net, x, word=word)), x.shape[1:], synthesise=True)
        for word in (4, 16)
    ]
    assert 0 < sizes[0]["luts"] < sizes[1]["luts"] and sizes[1]["dsps"] == 8
