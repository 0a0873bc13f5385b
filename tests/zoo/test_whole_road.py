# SPDX-License-Identifier: MIT
"""The forecasters and the detector go the whole road: swept, emitted, verified in both simulators, told in a notebook.

What their training reached is held by test_zoo.py. The older networks' roads are the golden packs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn import calibrate, data, emit, load_pack, quantize, sweep, zoo
from fixedpoint_nn.hardware import verify

NOTEBOOKS = {
    "pump_gru": "13_time_series.ipynb",
    "pump_lstm": "13_time_series.ipynb",
    "detector": "12_object_detection.ipynb",
}
Real = Callable[..., Any]


@pytest.fixture(autouse=True)
def _garments(real: Real) -> None:
    real(data.fashion_mnist)  # of which the scenes are made


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_sweep_shows_what_bits_cost(name: str) -> None:
    entry = zoo.entry(name)
    x, y = entry.examples(entry.held_out)
    samples = zoo.samples(name, 100, "train")
    four, eight = sweep(
        zoo.load(name), (x[:60], y[:60]), words=(4, 8), samples=samples, store=":memory:", progress=False
    )
    assert four.loss > 3 * abs(eight.loss)
    assert four.cost.weight_bits < eight.cost.weight_bits


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_pack_passes(name: str, simulator: str, tmp_path: Path) -> None:
    fixed = quantize(zoo.load(name), calibrate(zoo.load(name), zoo.samples(name, 100, "train"), word=8))
    emit(fixed, zoo.samples(name, 1), tmp_path / "pack", name=name, corner_vectors=1)
    verdict = verify(tmp_path / "pack", simulator)
    assert verdict.passed, verdict.text
    assert (verdict.vectors, verdict.cycles) == (2, sum(load_pack(tmp_path / "pack").cycles))


@pytest.mark.parametrize(("name", "notebook"), NOTEBOOKS.items())
def test_a_notebook_tells_of_it(name: str, notebook: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "notebooks" / notebook).read_text("utf-8")
    assert f'\\"{name}\\"' in text
