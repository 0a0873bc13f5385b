# SPDX-License-Identifier: MIT
"""Which runs take their weights from outside, and how those that are larger than the window are split."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, calibrate, layers, quantize
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.ir import JumpIfEqual, Label
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.streaming import stream_weights
from fixedpoint_nn.hardware.compiler.strided_view import ZERO_REGISTER
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.schedule import Schedule, schedule
from fixedpoint_nn.hardware.isa.weight_window import RowClock, WeightMemory
from fixedpoint_nn.hardware.sim.rtl_model import RtlModel
from tests.support.small_networks import NAMES, small_network

OUT = Quantizer(Q(4, 4))
MEMORY = WeightMemory(3, 20)


def weights(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(0).integers(-8, 8, shape), Q(2, 2))


def conv(kernel: int, inputs: int, outputs: int, **options: Any) -> layers.Conv2D:
    return layers.Conv2D(weights(kernel**2 * inputs, outputs), kernel=(kernel, kernel), out=OUT, **options)


def plan_of(compiled: CompiledNetwork) -> Schedule:
    config = compiled.config
    rows = RowClock(config.weight_window, MEMORY)
    plan = schedule(compiled.instructions, config.lanes, config.drain, config.latency, config.pack, rows)
    assert plan is not None
    return plan


def checked(net: Any, shape: tuple[int, ...], **options: Any) -> CompiledNetwork:
    """What is compiled, after the twin has given the model's integers in the scheduled cycles."""
    compiled = lower(net, shape, Q(4, 4), **{"lanes": 4} | options)
    ints = np.random.default_rng(0).integers(-128, 128, shape)
    twin = Twin(compiled.config, compiled.images, compiled.input, ints.reshape(-1), MEMORY)
    result, plan = twin.run(), plan_of(compiled)
    expected = net(FixedArray.from_ints(ints[None], Q(4, 4)))
    assert np.array_equal(twin.memory[compiled.output.addresses()], expected.ints.reshape(-1))
    assert (result.cycles, result.stalls) == (plan.cycles, plan.stalls)
    return compiled


def rows(compiled: CompiledNetwork) -> list[int]:
    """The rows of each run that streams."""
    return [
        len(kernel.weights) for kernel in compiled.kernels if kernel.streamed and kernel.weights is not None
    ]


@pytest.mark.parametrize(
    ("window", "parts"), [(180, [90]), (179, [36, 54]), (72, [18, 36, 36]), (71, [18] * 5)]
)
def test_a_convolution_is_split_by_tiles_into_halves_of_the_window(window: int, parts: list[int]) -> None:
    compiled = checked(conv(3, 2, 18), (5, 6, 2), window=window)
    assert rows(compiled) == parts
    assert len(compiled.images.stream) == 90
    assert (compiled.config.weight_depth, compiled.config.resident_rows) == (window, 0)


def test_a_dense_layer_is_one_run_however_small_the_window() -> None:
    compiled = checked(layers.Dense(weights(60, 18), out=OUT), (60,), window=2)
    assert rows(compiled) == [60 * 5]
    assert compiled.config.weight_depth == 2


def test_parts_do_not_wait_for_each_other() -> None:
    compiled = checked(conv(3, 2, 18), (5, 6, 2), window=36)
    assert [kernel.barrier for kernel in compiled.kernels if kernel.streamed] == [False] * 5


def test_a_tile_that_does_not_fit_is_refused_with_the_rows_that_it_needs() -> None:
    sentence = (
        "Layer 'only' does not fit the engine: it reads 18 rows of weights of one tile of channels for every pixel "
        "or sample again, and the window has 17; a window of 18 rows would fit."
    )
    with pytest.raises(LoweringError) as refusal:
        lower(replace(conv(3, 2, 18), out=replace(OUT, name="only")), (5, 6, 2), Q(4, 4), 4, window=17)
    assert str(refusal.value) == sentence
    checked(conv(3, 2, 18), (5, 6, 2), window=18)


def test_a_program_that_jumps_on_data_is_refused() -> None:
    end = Label("end")
    with pytest.raises(
        LoweringError, match="must not depend on data: a program with conditional jumps keeps all"
    ):
        stream_weights([JumpIfEqual(ZERO_REGISTER, 0, end), end], 8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("lanes", "drain", "words"), [(4, 1, 1), (8, 4, 4)])
def test_every_kind_of_network_computes_the_same(name: str, lanes: int, drain: int, words: int) -> None:
    net, inputs = small_network(name)
    fixed = quantize(net, calibrate(net, inputs, word=8))
    x = FixedArray.from_float(inputs[:1], fixed.input)
    for window in (40, 97):
        compiled = lower(
            fixed.net, inputs.shape[1:], fixed.input.format, lanes, drain=drain, words=words, window=window
        )
        twin = Twin(compiled.config, compiled.images, compiled.input, x.ints.reshape(-1), MEMORY)
        result, plan = twin.run(), plan_of(compiled)
        assert np.array_equal(twin.memory[compiled.output.addresses()], fixed(x).ints.reshape(-1))
        assert (result.cycles, result.stalls) == (plan.cycles, plan.stalls)
        assert rows(compiled)


def test_weights_of_a_loop_stay_in_the_engine() -> None:
    net, inputs = small_network("lstm")
    fixed = quantize(net, calibrate(net, inputs, word=8))
    resident = lower(fixed.net, inputs.shape[1:], fixed.input.format, 4)
    compiled = lower(fixed.net, inputs.shape[1:], fixed.input.format, 4, window=16)
    assert 0 < compiled.config.resident_rows < resident.config.weight_depth
    assert 0 < len(compiled.images.stream) < resident.config.weight_depth


def test_without_a_window_nothing_changes() -> None:
    net = conv(3, 2, 18)
    compiled = lower(net, (5, 6, 2), Q(4, 4), 4)
    assert rows(compiled) == [] and compiled.config.weight_window == 0
    assert "WEIGHT_WINDOW" not in compiled.config.verilog()
    assert not any(getattr(one, "streamed", False) for one in compiled.instructions)


def test_an_engine_with_a_window_is_taken_as_it_is() -> None:
    net = conv(3, 2, 18)
    engine = replace(lower(net, (5, 6, 2), Q(4, 4), 4, window=40).config, weight_depth=64)
    compiled = lower(net, (5, 6, 2), Q(4, 4), engine=engine)
    assert isinstance(compiled.config, EngineConfig) and compiled.config == engine
    assert rows(compiled) == [18, 18, 18, 18, 18]


@pytest.mark.parametrize("memory", [WeightMemory(2, 9), 3], ids=str)
def test_the_verilog_computes_what_the_model_does(memory: WeightMemory | int) -> None:
    net, inputs = small_network("cnn")
    fixed = quantize(net, calibrate(net, inputs, word=8))
    rtl = RtlModel(fixed, lanes=4, weight_window=40, weight_memory=memory)
    assert np.array_equal(rtl(inputs[:2]).ints, fixed(inputs[:2]).ints)
    if isinstance(memory, WeightMemory):
        compiled = rtl.lowered(inputs.shape[1:])
        plan = schedule(compiled.instructions, 4, rows=RowClock(40, memory))
        assert plan is not None
        assert (rtl.outcome.cycles, rtl.outcome.stalls) == ([plan.cycles] * 2, [plan.stalls] * 2)
