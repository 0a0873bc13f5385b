# SPDX-License-Identifier: MIT
"""The estimate of an engine's LUTs: within its margin of what was measured, and of what yosys makes today."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.tools import lut_estimate
from fixedpoint_nn.hardware.tools.lut_estimate import MARGINS, MEASURED, Measured, estimate, main
from fixedpoint_nn.hardware.tools.synthesis import SMALL_MEMORIES, counted


@pytest.mark.parametrize("one", MEASURED, ids=str)
def test_an_estimate_is_within_its_margin_of_what_was_measured(one: Measured) -> None:
    assert abs(estimate(one.config, one.inputs) / one.luts - 1) <= MARGINS[one.inputs]


@pytest.mark.parametrize("one", [one for one in MEASURED if one.multiplier == 0], ids=str)
def test_an_estimate_is_within_its_margin_of_an_engine_that_it_was_not_fitted_to(
    one: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lut_estimate, "MEASURED", tuple(other for other in MEASURED if other != one))
    lut_estimate._of_parts.cache_clear()
    try:
        assert abs(estimate(one.config, one.inputs) / one.luts - 1) <= MARGINS[one.inputs]
    finally:
        lut_estimate._of_parts.cache_clear()


def test_more_of_anything_takes_more_luts() -> None:
    few = EngineConfig(lanes=8, drain=2, words=2, accumulator_width=40, **SMALL_MEMORIES)
    wider = (
        {"lanes": 16},
        {"drain": 4},
        {"words": 4},
        {"accumulator_width": 48},
        {"multiplier_width": 16},
    )
    for inputs in MARGINS:
        least = estimate(few, inputs)
        assert all(estimate(replace(few, **more), inputs) > least for more in wider)  # type: ignore[arg-type]


def test_lines_that_are_not_there_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["0", "99"]) == 2
    assert capsys.readouterr().err == f"lines of MEASURED are 0 to {len(MEASURED) - 1}, not 0 99\n"


def test_measuring_again_prints_the_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lut_estimate, "counted", lambda config, inputs: (1000 * config.lanes + inputs, 3, 4))
    assert main(["1"]) == 0
    assert eval(capsys.readouterr().out.strip().rstrip(","), {"Measured": Measured}) == MEASURED[1]._replace(
        luts=8006, multipliers=3, blocks=4
    )


@pytest.mark.slow
@pytest.mark.parametrize("one", [MEASURED[4], MEASURED[-1]], ids=str)
def test_yosys_makes_of_the_engine_what_it_is_estimated_to(one: Measured) -> None:
    luts, multipliers, blocks = counted(one.config, one.inputs)
    assert (multipliers, blocks) == (one.multipliers, one.blocks)
    assert abs(estimate(one.config, one.inputs) / luts - 1) <= MARGINS[one.inputs]
