# SPDX-License-Identifier: MIT
"""Whole models: equal in every word to the interpreter, saved and loaded, and on the engine's Verilog."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the interpreter is in the `tflite` extra")

from fixedpoint_nn import FixedArray, RtlModel, emit, from_tflite, load_model
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.network.serialization import save
from tests.support.tflite_decoder import decoder
from tests.support.tflite_models import ModelBuilder, run
from tests.support.tflite_networks import ds_cnn, resnet8

Make = Callable[..., tuple[bytes, np.ndarray]]
SMALL: dict[Make, Any] = {resnet8: {"size": 8, "channels": 4}, ds_cnn: {"size": (13, 6), "channels": 4}}


@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", [resnet8, ds_cnn])
def test_every_word_of_200_samples_is_the_interpreters(make: Make, bits: int, tmp_path: Path) -> None:
    blob, samples = make(seed=1, bits=bits)
    expected = run(blob, samples)
    assert len(samples) == 200
    assert len(np.unique(expected)) > 5
    network = from_tflite(blob)
    assert np.array_equal(network(samples).ints, expected)
    assert np.array_equal(
        network(FixedArray.from_ints(samples.astype(np.int64), network.input.format)).ints, expected
    )
    save(network, tmp_path / "net.safetensors")
    assert np.array_equal(load_model(tmp_path / "net.safetensors")(samples[:5]).ints, expected[:5])


def test_every_word_of_an_encoder_and_decoder_is_the_interpreters() -> None:
    blob, samples = decoder()
    expected = run(blob, samples)
    network = from_tflite(blob)
    assert len(np.unique(expected)) > 50
    assert np.array_equal(network(samples).ints, expected)
    assert np.array_equal(RtlModel(network)(samples[:2]).ints, expected[:2])


def test_a_last_logarithm_of_a_softmax_is_left_out() -> None:
    model = ModelBuilder()
    x = model.input((1, 10), scale=0.1, zero=3)
    model.operator("LOG_SOFTMAX", [x], (1, 10), scale=16 / 256, zero=127)
    blob = model.finish([len(model.tensors) - 1])
    codes = np.arange(-128, 122, dtype=np.int8).reshape(-1, 10)
    assert np.array_equal(from_tflite(blob, softmax=False)(codes).ints, codes)
    with pytest.raises(UnsupportedModel, match=r"LOG_SOFTMAX .* is an operator that is not supported"):
        from_tflite(blob)


@pytest.mark.parametrize("make", [pytest.param(resnet8, marks=pytest.mark.slow), ds_cnn])
def test_the_engines_verilog_gives_the_interpreters_words(make: Make, tmp_path: Path) -> None:
    blob, samples = make(seed=2, **SMALL[make], softmax=False)
    expected = run(blob, samples)
    assert len(np.unique(expected)) > 100
    network = from_tflite(blob)
    assert np.array_equal(network(samples).ints, expected)
    emit(network, samples[:1], tmp_path / "pack", corner_vectors=1)
    verdict = verify(tmp_path / "pack")
    assert str(verdict).startswith("PASS: 2 vectors"), verdict


@pytest.mark.parametrize("make", [resnet8, ds_cnn])
def test_multipliers_keep_weights_and_words_at_their_bits(make: Make) -> None:
    blob, samples = make(seed=1, softmax=False)
    network = from_tflite(blob)
    shape, format = samples.shape[1:], network.input.format
    before, after = (lower(network.net, shape, format, multiplier=bits) for bits in (0, 32))
    cycles = [
        schedule(one.instructions, 8, latency=one.config.latency).cycles  # type: ignore[union-attr]
        for one in (before, after)
    ]
    widths = after.config.activation_width, after.config.weight_width, after.config.multiplier_width
    assert widths == (9, 8, 32)
    assert before.config.multiplier_width == 0
    assert before.config.weight_width > 24
    if make is resnet8:  # 32 runs, and 28-bit words between those of an addition
        assert (len(before.kernels), len(after.kernels)) == (32, 16)
        assert before.config.activation_width > 24
        assert cycles[1] < 0.87 * cycles[0]
    else:  # a shift of three clocks where a run waits for another one
        assert len(before.kernels) == len(after.kernels)
        assert abs(cycles[1] - cycles[0]) <= 3 * (len(after.kernels) + 1)


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_an_engine_with_a_multiplier_gives_the_interpreters_words_and_the_predicted_cycles(
    simulator: str,
) -> None:
    blob, samples = resnet8(seed=5, **SMALL[resnet8], softmax=False)
    network = from_tflite(blob)
    rtl = RtlModel(network, simulator=simulator)
    assert np.array_equal(rtl(samples[:4]).ints, run(blob, samples[:4]))
    lowered = rtl.lowered(samples.shape[1:])
    assert lowered.config.multiplier_width > 0
    plan = schedule(lowered.instructions, 8, latency=lowered.config.latency)
    assert plan is not None
    assert set(rtl.outcome.cycles) == {plan.cycles}


def test_layers_with_relu_are_one_run_each() -> None:
    blob, samples = ds_cnn(seed=1, size=(49, 10), channels=64, softmax=False)
    network = from_tflite(blob)
    engine = lower(network.net, samples.shape[1:], network.input.format, lanes=8)
    assert engine.config.activation_width == 9
    assert len(engine.kernels) == len(network.net.parts) - 1  # a reshape runs nothing


def test_a_final_softmax_may_be_left_out() -> None:
    whole, samples = ds_cnn(seed=2, **SMALL[ds_cnn])
    logits, same = ds_cnn(seed=2, **SMALL[ds_cnn], softmax=False)
    assert np.array_equal(samples, same)
    assert np.array_equal(from_tflite(whole, softmax=False)(samples).ints, run(logits, samples))
    assert np.array_equal(from_tflite(logits, softmax=False)(samples).ints, run(logits, samples))


@pytest.mark.slow
@pytest.mark.parametrize("make", [resnet8, ds_cnn])
@pytest.mark.parametrize("bits", [8, 16])
def test_the_engine_runs_ten_samples(make: Make, bits: int) -> None:
    blob, samples = make(seed=3, **SMALL[make], softmax=False, bits=bits)
    rtl = RtlModel(from_tflite(blob), lanes=8)
    assert np.array_equal(rtl(samples[:10]).ints, run(blob, samples[:10]))
