# SPDX-License-Identifier: MIT
"""Values of more pixels or inputs than one instruction counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, RtlModel, layers
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import place_pixels
from fixedpoint_nn.hardware.compiler.pieces import POSITIONS
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.network.quantized import Quantized

OUT, SOURCE = Quantizer(Q(4, 4)), Q(4, 4)


def weights(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(0).integers(-8, 8, shape), Q(2, 2))


def conv(kernel: tuple[int, int], inputs: int, outputs: int, **options: Any) -> layers.Conv2D:
    return layers.Conv2D(weights(kernel[0] * kernel[1] * inputs, outputs), kernel=kernel, out=OUT, **options)


def check(net: Any, shape: tuple[int, ...], **options: Any) -> CompiledNetwork:
    lowered = lower(net, shape, SOURCE, 8, **options)
    config, batch = lowered.config, lowered.batch
    x = FixedArray.from_ints(np.random.default_rng(1).integers(-128, 128, (batch, *shape)), SOURCE)
    twin = Twin(config, lowered.images, lowered.input, x.ints.reshape(-1))
    result, plan = twin.run(), schedule(lowered.instructions, 8, 1, config.latency)
    assert plan is not None
    assert result.cycles == plan.cycles
    assert np.array_equal(twin.memory[lowered.output.addresses()], net(x).ints.reshape(-1))
    return lowered


@pytest.mark.parametrize(
    ("net", "shape", "runs"),
    [
        (conv((1, 5), 1, 2, padding="same"), (1, 5000, 1), 2),
        (conv((1, 5), 1, 2, padding="same", stride=(1, 2)), (1, 9001, 1), 3),
        (conv((3, 3), 1, 2, padding="same"), (5000, 3, 1), 2),
        (conv((3, 3), 1, 2, padding="same"), (2, 4099, 1), 4),
        (conv((1, 5), 1, 2), (1, 4103, 1), 2),
        (layers.Dense(weights(3, 2), out=OUT), (10007, 3), 3),
    ],
    ids=["row", "stride", "column", "rows", "no padding", "pixels"],
)
@pytest.mark.parametrize("words", [1, 4])
def test_more_pixels_than_a_loop_counts_take_several_runs(
    net: Any, shape: tuple[int, ...], runs: int, words: int
) -> None:
    lowered = check(net, shape, words=words)
    assert len(lowered.kernels) == runs


@pytest.mark.parametrize("batch", [2, 3])
def test_long_rows_of_several_samples(batch: int) -> None:
    check(conv((1, 5), 1, 2, padding="same"), (1, 5000, 1), batch=batch)


def test_a_prime_number_of_pixels_is_no_obstacle_and_a_product_is_one_run() -> None:
    lowered = check(layers.Dense(weights(1, 1), out=OUT), (4096 * 3, 1))
    (run,) = lowered.kernels
    assert [atom.size for atom in place_pixels(run.pixels)] == [4096, 3]
    assert len(check(layers.Dense(weights(1, 1), out=OUT), (4099, 1)).kernels) == 2


def test_more_inputs_than_the_inner_loop_counts_take_two_loops() -> None:
    lowered = check(layers.Dense(weights(70_000, 2), out=OUT), (70_000,))
    assert len(lowered.kernels) == 1


def test_a_prime_number_of_more_inputs_is_refused_with_the_limit() -> None:
    with pytest.raises(LoweringError) as refusal:
        lower(layers.Dense(weights(65_537, 1), out=OUT), (65_537,), SOURCE, 8)
    assert str(refusal.value) == (
        "The program does not fit the engine's instructions: channel.count = 65537 does not fit its field of 16 bits; "
        "use 1 to 65536."
    )


def test_more_pieces_than_a_program_should_have_are_refused_in_one_sentence() -> None:
    with pytest.raises(LoweringError) as refusal:
        lower(conv((1, 3), 1, 1, padding="same"), (600, 4099, 1), SOURCE, 8)
    assert str(refusal.value).endswith(
        "does not fit the engine: it has rows of more than 4096 pixels, which take 1200 runs, and 512 is the most; "
        "split the image into narrower ones."
    )


def test_no_window_stands_where_its_position_would_wrap() -> None:
    lowered = check(conv((1, 5), 1, 1, padding="same", stride=(1, 3)), (1, 20_000, 1))
    for run in lowered.kernels:
        assert run.window is not None
        (x, _) = place_pixels(run.pixels)
        assert run.window.x_origin >= -2
        assert max(run.window.x_origin + x.size * run.window.x_step, run.window.x_limit) < POSITIONS


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_the_verilog_computes_a_long_row(simulator: str) -> None:
    net = Quantized(conv((1, 5), 1, 2, padding="same", stride=(1, 2)), Quantizer(SOURCE))
    x = FixedArray.from_ints(np.random.default_rng(2).integers(-128, 128, (1, 1, 9001, 1)), SOURCE)
    rtl = RtlModel(net, lanes=8, simulator=simulator)
    assert np.array_equal(rtl(x).ints, net(x).ints)
    plan = schedule(rtl.lowered(x.shape[1:]).instructions, 8)
    assert plan is not None
    assert rtl.outcome.cycles == [plan.cycles]
