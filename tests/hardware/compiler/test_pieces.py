# SPDX-License-Identifier: MIT
"""Values of more pixels or inputs than one instruction counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer, RtlModel, layers
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.expression import load
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import Target, place_pixels
from fixedpoint_nn.hardware.compiler.pieces import MOST_PIECES, POSITIONS, pieces
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.strided_view import ALL_PADDING, Atom, Buffer, View, Window
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
        (conv((1, 5), 1, 2, padding="same", stride=(1, 2)), (1, 9001, 1), 2),
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


def image(rows: int, columns: int, declares: bool = True) -> Compute:
    """A computation of every pixel of an image whose rows are kept apart."""
    axes = ((), (Atom(rows, 10_000),), (Atom(columns, 1),), ())
    view = View(Buffer("x", rows * 10_000), 0, axes, SOURCE)
    return Compute("y", "", (), load(view), Target(Buffer("y", rows * columns * 8), 16, 8), declares)


def test_as_many_pieces_as_a_program_should_have_are_made() -> None:
    assert len(list(pieces(image(256, 4099)))) == MOST_PIECES
    with pytest.raises(LoweringError, match="take 514 runs"):
        list(pieces(image(257, 4099)))


@pytest.mark.parametrize("declares", [True, False])
def test_pieces_follow_each_other_and_the_first_declares_the_result(declares: bool) -> None:
    found = list(pieces(image(3, 5003, declares)))
    assert [(next(one.views()).offset, one.expression.shape) for one in found] == [
        (row * 10_000 + start, (1, 1, size, 1))
        for row in range(3)
        for start, size in ((0, 2502), (2502, 2501))
    ]
    assert [one.target.offset for one in found] == [
        16 + 8 * (5003 * row + start) for row in range(3) for start in (0, 2502)
    ]
    assert [one.declares for one in found] == [declares] + [False] * 5


def test_rows_of_results_that_stand_apart_are_found_by_their_distance() -> None:
    samples = replace(image(3, 5003), target=Target(Buffer("y", 500_000), 16, 8, row=50_000))
    assert [one.target.offset for one in pieces(samples)] == [
        16 + 50_000 * row + 8 * start for row in range(3) for start in (0, 2502)
    ]
    axes = ((Atom(5000, 400),), (Atom(3, 100),), (), ())
    view = View(Buffer("x", 2_000_000), 0, axes, SOURCE)
    images = replace(samples, expression=load(view))
    assert [one.target.offset for one in pieces(images)][:2] == [16, 16 + 2500 * 3 * 50_000]


def windowed(size: int, step: int, origin: int, limit: int, label: str = "x") -> Compute:
    """A computation of windows along one axis of an image, which has `limit` columns, or rows."""
    atom = Atom(size, step, label)
    axes = ((), (atom,), (), ()) if label == "y" else ((), (), (atom,), ())
    about = {f"{axis}_{name}": 0 for axis in "xy" for name in ("origin", "step", "limit")}
    about |= {f"{label}_origin": origin, f"{label}_step": step, f"{label}_limit": limit}
    view = View(Buffer("x", 20_000), origin, axes, SOURCE, Window(**about, lowest=False))
    return Compute("y", "", (), load(view), Target(Buffer("y", 80_000), 0, 8))


@pytest.mark.parametrize("label", ["x", "y"])
@pytest.mark.parametrize(
    ("size", "step", "origin", "limit", "count"),
    [
        (4096, 1, 0, 4096, 1),
        (4097, 1, 0, 4097, 2),
        (992, 8, -1, 7930, 1),  # the last position is 8192 - 256 - 1, which a window of 256 may reach beyond
        (992, 8, 0, 7930, 2),
        (1000, 7, 0, 7935, 1),
        (1000, 7, 0, 7936, 2),
        (1, 1, -2, 9000, 1),  # a single pixel is one run, whatever it stands in
    ],
)
def test_a_run_counts_so_many_windows_and_positions(
    label: str, size: int, step: int, origin: int, limit: int, count: int
) -> None:
    assert len(list(pieces(windowed(size, step, origin, limit, label)))) == count


@pytest.mark.parametrize("label", ["x", "y"])
def test_a_piece_is_an_image_from_its_first_column_to_the_end_of_its_widest_window(label: str) -> None:
    found = [next(one.views()) for one in pieces(windowed(9000, 1, -2, 9000, label))]
    windows = [view.window for view in found]
    assert [
        (getattr(window, f"{label}_origin"), getattr(window, f"{label}_limit")) for window in windows
    ] == [(-2, -2 + 4095 + 256 + 1), (0, 4095 + 256 + 1), (0, 9000 - 8190)]
    assert [view.offset for view in found] == [-2, 4094, 8190]


def test_padding_alone_has_no_positions() -> None:
    view = replace(next(image(1, 5003).views()), window=ALL_PADDING)
    found = list(pieces(replace(image(1, 5003), expression=load(view))))
    assert [next(one.views()).window for one in found] == [ALL_PADDING] * 2


def test_three_loops_over_pixels_are_not_cut_here() -> None:
    """Another pass copies the value first, or refuses it."""
    axes = ((Atom(2, 100_000),), (Atom(3, 10_000),), (Atom(5003, 1),), ())
    view = View(Buffer("x", 300_000), 0, axes, SOURCE)
    item = replace(image(1, 5003), expression=load(view))
    assert list(pieces(item)) == [item]


def test_rows_that_are_too_many_are_cut_in_halves_or_at_the_limit() -> None:
    def rows(count: int) -> list[int]:
        return [one.expression.shape[1] for one in pieces(image(count, 3))]

    assert rows(4096) == [4096]
    assert rows(4097) == [2049, 2048]
    assert rows(8193) == [4096, 4096, 1]


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
