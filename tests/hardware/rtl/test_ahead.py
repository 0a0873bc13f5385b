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

from fixedpoint_nn import calibrate, quantize, zoo
from fixedpoint_nn.hardware.compiler.lifetimes import writes
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import Job, run_once, write_images
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
