# SPDX-License-Identifier: MIT
"""The input of the next sample is written while the engine computes: the same words, in the cycles predicted."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import calibrate, load_pack, quantize, zoo
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.compiler.lifetimes import writes
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emit import emit_lowered
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.pack import manifest
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import Job, run_once, write_images
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized, fixed_samples
from fixedpoint_nn.numerics.arrays import Array
from tests.support.engine_bench import RTL
from tests.support.random_networks import random_network

SAMPLES = 5
SEQUENCE = 3  # a network whose inputs stand beside its states


def run(
    fixed: Quantized,
    x: Array,
    folder: Path,
    simulator: str = "iverilog",
    host_writes: int = 1,
    rtl: Path | None = None,
    **engine: int,
) -> tuple[bool, str]:
    """(whether the samples' words are the model's, in the predicted cycles; what the bench said)."""
    lowered = lower(fixed.net, x.shape[1:], fixed.input.format, ahead=True, **engine)
    halves = lowered.halves
    assert halves is not None
    config = replace(lowered.config, host_writes=host_writes)
    images = write_images(folder, config, lowered.images)
    job = Job(config, images, lowered.input, lowered.output, simulator, halves=halves)
    inputs = fixed_samples(fixed, x).ints.reshape(len(x), -1)
    outcome, text, _ = run_once(compiled(config, simulator, rtl=rtl), job, folder, inputs, 0, False)
    predicted = []
    for vector, row in enumerate(inputs):
        twin = Twin(config, lowered.images, halves.second if vector % 2 else lowered.input, row)
        twin.write(halves.word, np.array([vector % 2]))
        predicted.append(twin.run(1 + vector).cycles)
    right = f"PASS: {len(x)} vectors" in text and outcome.cycles == predicted
    words = fixed(x).ints.reshape(len(x), -1)
    return right and np.array_equal(outcome.ints(config.activation_width), words), text


def check(fixed: Quantized, x: Array, folder: Path, **engine: Any) -> tuple[int, int]:
    """(input words that a busy engine took, clocks from the first start to the last end)."""
    right, text = run(fixed, x, folder, **engine)
    found = re.search(r"AHEAD: (\d+) words were written to a busy engine, (\d+) clocks in all", text)
    assert right and found is not None, text
    return int(found[1]), int(found[2])


def shipped(name: str) -> tuple[Quantized, Array]:
    x, net = zoo.samples(name, SAMPLES), zoo.load(name)
    return quantize(net, calibrate(net, x, word=8)), x


def test_a_busy_engine_takes_the_next_input_word_for_word(tmp_path: Path) -> None:
    assert check(*shipped("moons"), tmp_path, lanes=4)[0] == 2 * (SAMPLES - 1)


def test_without_host_writes_the_next_input_waits_for_the_end(tmp_path: Path) -> None:
    assert check(*shipped("moons"), tmp_path, host_writes=0, lanes=4)[0] == 0


def test_an_input_beside_the_states_of_a_loop_is_written_ahead(tmp_path: Path) -> None:
    case = random_network("sequence", SEQUENCE)
    x, engine = case.batch[:3], {"lanes": 4, "drain": 2, "words": 2}
    lowered = lower(case.fixed.net, x.shape[1:], case.fixed.input.format, ahead=True, **engine)
    input = lowered.stages.select.input.buffer.root
    assert any(span[0] is input for item in lowered.items for span in writes(item))
    assert check(case.fixed, x, tmp_path, **engine)[0] == (len(x) - 1) * x[0].size


def ahead_pack(folder: Path, vectors: int = 3, **engine: Any) -> Pack:
    fixed, x = shipped("moons")
    lowered = lower(fixed.net, x.shape[1:], fixed.input.format, lanes=4, ahead=True, **engine)
    samples = fixed_samples(fixed, x[:vectors])
    origins = ["sample"] * vectors
    return load_pack(emit_lowered(folder / "pack", lowered, samples, fixed(samples), origins, "moons"))


def test_a_pack_whose_input_is_written_ahead_passes_write_by_write_in_the_cycles_predicted(
    tmp_path: Path,
) -> None:
    pack = ahead_pack(tmp_path)
    first, second = pack.cycles[:2]
    assert pack.cycles == [first, second, first]
    assert second - first == 2  # it jumps
    runs = pack.manifest["runs"]
    assert [run["layer"] for run in runs] == 2 * [run["layer"] for run in runs[:3]]
    assert all(run["mac_cycles"] for run in runs)
    verdict = verify(pack.directory, trace=True)
    assert verdict.text.startswith(f"PASS: 3 vectors, 3 words, {sum(pack.cycles)} cycles")


def test_such_a_pack_may_have_its_weights_outside(tmp_path: Path) -> None:
    assert verify(ahead_pack(tmp_path, window=32).directory).passed


def test_a_wrong_word_of_the_second_place_is_found_in_its_layer(tmp_path: Path) -> None:
    pack = ahead_pack(tmp_path)
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    text, rule = (rtl / "engine.v").read_text(), "host_turn ? {SUMS{host_write_data}}"
    assert text.count(rule) == 1
    (rtl / "engine.v").write_text(text.replace(rule, "host_turn ? ~{SUMS{host_write_data}}"))
    found = verify(pack.directory, rtl=rtl).text
    assert "FAIL: vector 1, output element 0" in found
    assert "first divergence: vector 1, layer" in found


def test_an_entry_that_cannot_be_right_is_refused(tmp_path: Path) -> None:
    pack = ahead_pack(tmp_path)
    for entry, words in (
        (
            {"second_input": 1 << 20, "word": 0},
            "the second input ends at address 1048577, and the activation",
        ),
        (
            {"second_input": 0, "word": 1 << 20},
            "the word that chooses an input is at address 1048576, and the",
        ),
    ):
        manifest.write(pack.directory, {**pack.manifest, "ahead": entry})
        with pytest.raises(PackError, match=words):
            load_pack(pack.directory)
    manifest.write(pack.directory, {**pack.manifest, "engine": {**pack.manifest["engine"], "host_writes": 0}})
    with pytest.raises(PackError, match="the next input is written ahead, and the engine has no host_writes"):
        load_pack(pack.directory)


def test_a_budget_compares_engines_that_wait(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "moons", "--word", "8", "--ahead", "--budget", "xc7a35t"]) == 2
    said = capsys.readouterr().err
    assert "a budget chooses an engine that waits for its input; use --lanes with --ahead" in said


@pytest.mark.slow
def test_a_host_that_takes_the_clocks_of_results_is_noticed(tmp_path: Path) -> None:
    rtl = tmp_path / "rtl"
    shutil.copytree(RTL, rtl)
    text, rule = (
        (rtl / "engine.v").read_text(),
        "busy && !access_write && !(result_valid[0] && write_enable);",
    )
    assert text.count(rule) == 1
    (rtl / "engine.v").write_text(text.replace(rule, "busy && !access_write;"))
    fixed, x = shipped("fashion_mlp")
    assert not run(fixed, x[:2], tmp_path, rtl=rtl, lanes=16, drain=16, words=4)[0]


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "words"), [(8, 1), (64, 8), (256, 16)])
def test_the_time_of_a_large_input_is_hidden(tmp_path: Path, lanes: int, words: int) -> None:
    network = shipped("fashion_mlp")
    engine = {"simulator": "verilator", "lanes": lanes, "drain": min(lanes, 16), "words": words}
    (tmp_path / "waiting").mkdir()
    taken, clocks = check(*network, tmp_path, **engine)
    none, waiting = check(*network, tmp_path / "waiting", host_writes=0, **engine)
    assert taken == (SAMPLES - 1) * 784 and none == 0
    assert waiting - clocks == (SAMPLES - 1) * 784
