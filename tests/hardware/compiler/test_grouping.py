# SPDX-License-Identifier: MIT
"""Lanes in groups: which runs the compiler makes of layers with fewer channels than lanes, and what they compute."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn import FixedArray, Q, Quantizer, Table, layers
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.grouping import clocks, pixels_side_by_side
from fixedpoint_nn.hardware.compiler.kernel import Kernel, Target
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Window
from fixedpoint_nn.hardware.emulator.result import EmulationError
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import Run, encode
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.numerics.qformat import UQ
from tests.support import kernels as plain
from tests.support.random_networks import KINDS, random_network

OUT = Quantizer(Q(4, 4))


def weights(*shape: int, seed: int = 0) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(seed).integers(-8, 8, shape), Q(2, 2))


def dense(inputs: int, outputs: int, seed: int = 0) -> layers.Dense:
    return layers.Dense(weights(inputs, outputs, seed=seed), out=OUT)


def conv(kernel: int, inputs: int, outputs: int, **options: Any) -> layers.Conv2D:
    taps = weights(kernel * kernel * inputs, outputs)
    return layers.Conv2D(taps, kernel=(kernel, kernel), out=OUT, **options)


def cycles_of(compiled: CompiledNetwork) -> int:
    config = compiled.config
    plan = schedule(compiled.instructions, config.lanes, config.drain, config.latency)
    assert plan is not None
    return plan.cycles


def checked(net: Any, shape: tuple[int, ...], lanes: int, words: int, drain: int = 1) -> list[Kernel]:
    """The kernels, after the twin has given the model's integers in the scheduled cycles."""
    compiled = lower(net, shape, Q(4, 4), lanes, drain=drain, words=words)
    ints = np.random.default_rng(0).integers(-128, 128, shape)
    twin = Twin(compiled.config, compiled.images, compiled.input, ints.reshape(-1))
    result = twin.run()
    expected = net(FixedArray.from_ints(ints[None], Q(4, 4)))
    assert np.array_equal(twin.memory[compiled.output.addresses()], expected.ints.reshape(-1))
    assert result.cycles == cycles_of(compiled)
    return compiled.kernels


ENGINES = [(2, 1, 2), (4, 2, 4), (8, 1, 2), (8, 8, 4), (16, 4, 16), (32, 16, 8), (64, 8, 32), (128, 16, 16)]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10_000), st.sampled_from(ENGINES))
def test_every_network_gives_the_models_integers_in_the_scheduled_cycles(
    kind: str, seed: int, engine: tuple[int, int, int]
) -> None:
    lanes, drain, words = engine
    case = random_network(kind, seed)
    shape = case.batch.shape[1:]
    compiled = lower(case.fixed.net, shape, case.fixed.input.format, lanes, drain=drain, words=words)
    batch = case.batch if isinstance(case.batch, FixedArray) else case.fixed.input(case.batch)
    expected = case.fixed(case.batch).ints
    for row, wanted in zip(
        batch.ints.reshape(len(expected), -1), expected.reshape(len(expected), -1), strict=True
    ):
        twin = Twin(compiled.config, compiled.images, compiled.input, row)
        result = twin.run()
        assert np.array_equal(twin.memory[compiled.output.addresses()], wanted)
        assert result.cycles == cycles_of(compiled)


def test_the_inputs_of_a_dense_layer_are_read_several_at_once() -> None:
    (kernel,) = checked(dense(21, 3), (21,), lanes=8, words=2)
    assert (kernel.joined, kernel.groups, kernel.tile_steps, kernel.unused) == (True, 1, 11, 1)
    assert (kernel.tile_channels, kernel.tiles) == (4, 1)


def test_the_channels_of_a_padded_convolution_are_read_several_at_once() -> None:
    net = conv(3, 4, 2, padding="same")
    (kernel,) = checked(net, (5, 6, 4), lanes=8, words=4)
    assert (kernel.joined, kernel.groups, kernel.tile_steps) == (True, 2, 9)
    assert not kernel.spread


def test_the_pixels_of_an_image_of_one_channel_stand_side_by_side() -> None:
    net = conv(3, 1, 4, padding="same")
    (kernel,) = checked(net, (5, 6, 1), lanes=16, words=4)
    assert (kernel.groups, kernel.joined, kernel.spread, kernel.skip) == (2, False, True, False)
    assert (kernel.channels, kernel.tiles, kernel.tile_steps) == (6 * 4, 2, 9)
    assert kernel.weights is not None and kernel.weights.shape == (9, 16)
    assert np.array_equal(kernel.weights, np.tile(kernel.weights[:, :4], (1, 4)))


def test_every_second_pixel_is_read_where_the_stride_is_two() -> None:
    net = conv(3, 1, 4, padding="same", stride=(2, 2))
    (kernel,) = checked(net, (8, 8, 1), lanes=16, words=8)
    assert (kernel.groups, kernel.skip, kernel.channels) == (2, True, 4 * 4)


def test_a_maximum_over_two_columns_is_taken_for_all_pixels_of_a_row_at_once() -> None:
    net = layers.Sequential(conv(3, 1, 4, padding="same"), layers.MaxPool2D())
    *columns, largest = checked(net, (6, 12, 1), lanes=16, words=8)
    assert [kernel.skip for kernel in columns] == [True, True]
    assert largest.maximum and (largest.channels, largest.tiles) == (6 * 4, 2)
    narrow = checked(net, (6, 12, 1), lanes=16, words=4)
    assert len(narrow) == 2 and narrow[-1].channels == 4


def test_an_engine_that_reads_one_word_has_no_groups_and_no_early_or_short_runs() -> None:
    net = layers.Sequential(dense(20, 12), dense(12, 3, 1))
    for kernel in checked(net, (20,), lanes=16, words=1):
        assert (kernel.groups, kernel.early, kernel.short) == (0, 0, False)
    assert all(kernel.short for kernel in checked(net, (20,), lanes=16, words=2))


def test_groups_make_a_network_of_few_channels_faster() -> None:
    net = layers.Sequential(dense(64, 16), dense(16, 4, 1))
    cycles = [cycles_of(lower(net, (64,), Q(4, 4), 64, drain=8, words=words)) for words in (1, 2, 4, 8)]
    assert cycles == sorted(cycles, reverse=True) and cycles[-1] < cycles[0] - 50


@pytest.mark.parametrize(("lanes", "drain", "words", "waits"), [(16, 4, 4, 0), (32, 2, 8, 1), (64, 16, 8, 1)])
def test_a_run_with_a_barrier_begins_as_early_as_it_can(
    lanes: int, drain: int, words: int, waits: int
) -> None:
    net = layers.Sequential(dense(300, 96), dense(96, 64, 1), dense(64, 10, 2))
    compiled = lower(net, (300,), Q(4, 4), lanes, drain=drain, words=words)
    waiting = [n for n, run in enumerate(compiled.instructions) if isinstance(run, Run) and run.barrier]
    assert len(waiting) == waits
    for number in waiting:
        program = list(compiled.instructions)
        run = program[number]
        assert isinstance(run, Run)
        program[number] = replace(run, early=run.early + 1)
        twin = Twin(compiled.config, _with(compiled.images, program), compiled.input, np.zeros(300, np.int64))
        with pytest.raises(EmulationError, match=r"before it is written; it needs a barrier$"):
            twin.run()


def _with(images: Images, program: list[Any]) -> Images:
    return replace(images, program=encode(program))


def test_products_of_different_binary_points_are_added_in_one_run() -> None:
    sigmoid = Table("sigmoid", Q(4, 4), Quantizer(UQ(0, 6)))
    tanh = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))

    def net(x: Any) -> Any:
        a, b, c, d = (x @ weights(6, 4, seed=seed) for seed in range(4))
        first = a.cast(OUT).lookup("sigmoid", sigmoid) * b.cast(OUT)
        return (first + c.cast(OUT).lookup("sigmoid", sigmoid) * d.cast(OUT).lookup("tanh", tanh)).cast(OUT)

    assert len(checked(net, (6,), lanes=4, words=1)) == 4 + 3
    kernels = checked(net, (6,), lanes=4, words=2)
    assert len(kernels) == 4 + 1 and kernels[-1].paired


def test_a_table_that_something_else_reads_too_keeps_its_binary_point() -> None:
    sigmoid = Table("sigmoid", Q(4, 4), Quantizer(UQ(0, 6)))
    tanh = Table("tanh", Q(4, 4), Quantizer(Q(1, 7)))

    def net(x: Any) -> Any:
        a, b, c, d = (x @ weights(6, 4, seed=seed) for seed in range(4))
        read = a.cast(OUT).lookup("sigmoid", sigmoid)
        second = c.cast(OUT).lookup("sigmoid", sigmoid) * d.cast(OUT).lookup("tanh", tanh)
        return (read * b.cast(OUT) + second).cast(OUT).concat([read.cast(OUT)])

    def plain(x: Any) -> Any:
        a, b, c, d = (x @ weights(6, 4, seed=seed) for seed in range(4))
        second = c.cast(OUT).lookup("sigmoid", sigmoid) * d.cast(OUT).lookup("tanh", tanh)
        return (a.cast(OUT) * b.cast(OUT) + second).cast(OUT)

    for one in (net, plain):
        for words in (1, 2):
            assert not checked(one, (6,), lanes=4, words=words)[-1].paired


@pytest.mark.parametrize("words", [0, 3, 16, 64, "4"])
def test_words_that_no_engine_reads_are_refused_in_a_sentence(words: Any) -> None:
    sentence = (
        f"The network does not fit any engine: words = {words!r} is no engine; "
        "use 1, 2, 4, 8, 16 or 32, and at most the 8 lanes."
    )
    with pytest.raises(LoweringError, match=f"^{re.escape(sentence)}$"):
        lower(dense(4, 4), (4,), Q(4, 4), 8, words=words)


def test_a_run_takes_as_many_clocks_as_the_longer_of_steps_and_drain_of_each_tile() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        channels, taps, pixels, terms = (int(n) for n in rng.integers(1, (14, 9, 4, 3)))
        run = plain.kernel(
            plain.row(Buffer("x", 99), 4), Target(Buffer("y", 99), 0, 16), channels,
            taps=[Atom(taps, 1)], pixels=[Atom(pixels, 9)], operands=[plain.row(Buffer("x", 99), 4)] * terms,
        )  # fmt: skip
        for drain in (1, 2, 4):
            tiles = [min(4, channels - first) for first in range(0, channels, 4)] * pixels
            assert clocks(run, drain) == sum(max(taps * terms, -(-tile // drain)) for tile in tiles)


@pytest.mark.parametrize(
    ("inputs", "words", "ways"), [(1, 4, 1), (2, 4, 2), (3, 4, 3), (5, 4, 3), (5, 2, 2), (9, 8, 4), (8, 8, 4)]
)
def test_taps_are_joined_in_every_number_of_words_that_shortens_them(
    inputs: int, words: int, ways: int
) -> None:
    selected = lower(dense(inputs, 3), (inputs,), Q(4, 4), 8, words=words).stages.select
    (run,) = (item for item in selected.items if isinstance(item, Kernel))
    assert max(len(run.ways), 1) == ways
    for groups, way in enumerate(run.ways):
        assert (way.groups, way.joined) == (groups, groups > 0)
        steps = -(-inputs // (1 << groups))
        assert (way.tile_steps, way.unused) == (steps, (steps << groups) - inputs)


WINDOW = Window(-1, -1, 1, 1, 9, 9, lowest=False)
COLUMNS, TAPS = [Atom(5, 9, "y"), Atom(6, 1, "x")], [Atom(3, 9, "ky"), Atom(3, 1, "kx")]
EVERY_SECOND = [Atom(5, 18, "y"), Atom(6, 2, "x")]


@pytest.mark.parametrize(
    ("lanes", "words", "channels", "pixels", "taps", "window", "beside"),
    [
        (8, 4, 2, [Atom(6, 1)], [Atom(3, 7)], None, True),
        (8, 2, 2, [Atom(6, 1)], [], None, False),
        (8, 8, 2, [Atom(6, 2)], [], None, True),
        (8, 4, 2, [Atom(6, 2)], [], None, False),
        (8, 8, 2, [Atom(6, 3)], [], None, False),
        (8, 8, 2, [Atom(6, 0)], [], None, False),
        (8, 8, 2, [Atom(6, 1), Atom(4, 9)], [], None, False),
        (8, 8, 2, [Atom(6, 9), Atom(4, 1)], [], None, True),
        (8, 8, 2, [], [], None, False),
        (8, 8, 3, [Atom(6, 1)], [], None, False),
        (8, 8, 8, [Atom(6, 1)], [], None, False),
        (8, 8, 16, [Atom(6, 1)], [], None, False),
        (8, 8, 1, [Atom(6, 1)], [], None, True),
        (8, 4, 2, COLUMNS, TAPS, WINDOW, True),
        (8, 4, 2, COLUMNS, [Atom(3, 9, "ky"), Atom(3, 2, "kx")], WINDOW, False),
        (8, 4, 2, [Atom(6, 1, "x"), Atom(5, 1, "y")], TAPS, WINDOW, False),
        (8, 8, 2, EVERY_SECOND, TAPS, WINDOW, False),
        (8, 8, 2, EVERY_SECOND, TAPS, replace(WINDOW, x_step=2), True),
        (256, 256, 2, COLUMNS, TAPS, WINDOW, True),
        (256, 256, 1, COLUMNS, TAPS, WINDOW, False),
        (256, 256, 2, EVERY_SECOND, TAPS, replace(WINDOW, x_step=2), False),
        (256, 256, 1, [Atom(6, 1)], [], None, True),
    ],
)  # fmt: skip
def test_pixels_stand_side_by_side_if_groups_of_lanes_can_read_them(
    lanes: int, words: int, channels: int, pixels: Any, taps: Any, window: Window | None, beside: bool
) -> None:
    assert pixels_side_by_side(lanes, words, channels, pixels, taps, window) is beside


@pytest.mark.parametrize(
    ("sizes", "lanes", "drain", "cycles"),
    [((33, 28, 28, 16), 32, 1, 155), ((21, 25, 38, 29), 16, 2, 226), ((23, 29, 34, 21), 16, 1, 219)],
)
def test_groups_are_chosen_for_the_run_behind_too(
    sizes: tuple[int, ...], lanes: int, drain: int, cycles: int
) -> None:
    """Each run by itself would be as quick in other groups, and the one behind it would wait for its words."""
    net = layers.Sequential(*(dense(a, b, seed) for seed, (a, b) in enumerate(pairwise(sizes))))
    assert cycles_of(lower(net, sizes[:1], Q(4, 4), lanes, drain=drain, words=2)) <= cycles
