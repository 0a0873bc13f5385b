# SPDX-License-Identifier: MIT
"""Packs whose vectors hold several samples: what they state, what the Verilog makes of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, RtlModel, calibrate, emit, load_pack, quantize, zoo
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.vectors.whole_runs import whole_runs
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from tests.support.random_networks import random_network


def network(name: str, count: int) -> tuple[Quantized, Any]:
    net, x = zoo.load(name), zoo.samples(name, 20)
    return quantize(net, calibrate(net, x, word=8)), x[:count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fixed, x = network("moons", 4)
    return emit(fixed, x, tmp_path_factory.mktemp("batch") / "pack", batch=3, corner_vectors=1)


def test_samples_fill_whole_runs_and_begin_again() -> None:
    samples = FixedArray.from_ints(np.arange(4), zoo_format := network("moons", 1)[0].input.format)
    assert whole_runs(samples, 3).ints.tolist() == [0, 1, 2, 3, 0, 1]
    assert whole_runs(samples, 9).ints.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert whole_runs(samples, 2) is samples
    assert whole_runs(samples, 3).format == zoo_format


def test_a_vector_holds_the_samples_of_a_run(folder: Path) -> None:
    fixed, x = network("moons", 4)
    pack = load_pack(folder)
    assert (pack.batch, len(pack.vectors), pack.input.shape, pack.output.shape) == (3, 2, (3, 2), (3, 1))
    samples = pack.vectors.reshape(-1, 2)
    assert np.array_equal(samples[:4], FixedArray.from_float(x, fixed.input).ints)
    assert np.array_equal(samples[5], samples[0])  # the last run is filled up
    assert pack.manifest["origins"] == ["sample, sample, sample", "sample, corner, sample"]
    expected = fixed(FixedArray.from_ints(samples, pack.input.format)).ints
    assert np.array_equal(pack.expected, expected.reshape(2, 3))


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_the_verilog_computes_every_sample_in_the_predicted_cycles(folder: Path, simulator: str) -> None:
    pack = load_pack(folder)
    verdict = verify(folder, simulator, trace=True)
    assert verdict.text.startswith(f"PASS: 2 vectors, 6 words, {sum(pack.cycles)} cycles")


def test_several_samples_take_fewer_cycles_in_one_run_than_in_many(folder: Path, tmp_path: Path) -> None:
    fixed, x = network("moons", 4)
    single = load_pack(emit(fixed, x, tmp_path / "single", corner_vectors=0))
    assert load_pack(folder).cycles[0] < 2 * single.cycles[0]
    assert "batch" not in json.loads((tmp_path / "single" / "manifest.json").read_text())


def test_a_pack_whose_batch_is_another_one_is_refused(folder: Path, tmp_path: Path) -> None:
    fixed, x = network("moons", 4)
    changed = emit(fixed, x, tmp_path / "changed", batch=2, corner_vectors=0)
    about = json.loads((changed / "manifest.json").read_text())
    (changed / "manifest.json").write_text(json.dumps(about | {"batch": 4}))
    with pytest.raises(PackError) as refusal:
        load_pack(changed)
    assert str(refusal.value) == (
        f"{changed}/manifest.json cannot be right: a run computes 4 samples, and input has the shape [2, 2], which "
        "does not begin with that; emit the pack again"
    )


@pytest.mark.slow
def test_streamed_weights_of_a_batch_are_verified_with_pauses(tmp_path: Path) -> None:
    fixed, x = network("moons", 4)
    options: dict[str, Any] = {"weight_window": 32, "weight_memory": WeightMemory(2, 9), "corner_vectors": 0}
    rows = {}
    for batch in (1, 4):
        folder = emit(fixed, x, tmp_path / f"batch {batch}", batch=batch, **options)
        pack = load_pack(folder)
        rows[batch] = len(pack.images.stream)
        assert verify(folder).passed
        assert verify(folder, pauses=5).passed
    assert rows[4] == rows[1]  # four samples for the rows of one


@pytest.mark.parametrize(
    ("kind", "batch"),
    [("image", 3), ("image", 12), ("depthwise", 12), ("residual", 3), ("sequence", 3), ("text", 3)],
)  # twelve samples are more than the images have rows
def test_the_verilog_model_takes_any_number_of_samples(kind: str, batch: int) -> None:
    case = random_network(kind, 4)
    rtl = RtlModel(case.fixed, lanes=case.lanes, drain=case.drain, batch=batch)
    samples = whole_runs(case.batch, batch + 1)
    result, expected = rtl(samples), case.fixed(samples)
    assert result.format == expected.format
    assert np.array_equal(result.ints, expected.ints)
    assert len(rtl.outcome.cycles) == 2
