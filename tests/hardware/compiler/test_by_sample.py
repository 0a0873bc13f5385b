# SPDX-License-Identifier: MIT
"""Programs that compute several samples in a run: the model's integers for each, and weights that are read once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import UQ, FixedArray, Q, Quantizer, calibrate, layers, quantize, zoo
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.by_sample import by_sample
from fixedpoint_nn.hardware.compiler.computation import computation
from fixedpoint_nn.hardware.compiler.expression import constant, load
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, View
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.instructions import Loop
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.numbers.traced.traced import trace
from tests.hardware.compiler import test_verbs
from tests.support.battery import CASES, quantized_case
from tests.support.random_graphs import random_graph
from tests.support.random_networks import KINDS, random_network
from tests.support.small_networks import NAMES, small_network

OUT = Quantizer(Q(4, 4))


def check(net: Any, samples: FixedArray, lanes: int, **options: Any) -> CompiledNetwork:
    """What is compiled for all samples at once, after the twin has given the model's integers of each."""
    lowered = lower(net, samples.shape[1:], samples.format, lanes, batch=len(samples), **options)
    expected, config = net(samples), lowered.config
    assert lowered.batch == len(samples)
    assert (lowered.output.shape, lowered.output.format) == (expected.shape, expected.format)
    twin = Twin(config, lowered.images, lowered.input, samples.ints.reshape(-1))
    result, plan = twin.run(), schedule(lowered.instructions, lanes, config.drain, config.latency)
    assert plan is not None
    assert result.cycles == plan.cycles
    assert np.array_equal(twin.memory[lowered.output.addresses()], expected.ints.reshape(-1))
    return lowered


def of_length(samples: FixedArray, count: int) -> FixedArray:
    return FixedArray.from_ints(samples.ints[np.arange(count) % len(samples)], samples.format)


def weights(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(0).integers(-8, 8, shape), Q(2, 2))


def ints(*shape: int) -> FixedArray:
    return FixedArray.from_ints(np.random.default_rng(1).integers(-128, 128, shape), Q(4, 4))


@pytest.mark.parametrize(("count", "words"), [(3, 4), (7, 1)])  # seven are more than most images have rows
@pytest.mark.parametrize("name", CASES)
def test_every_layer_computes_several_samples_in_a_run(name: str, count: int, words: int) -> None:
    *_, net, format = quantized_case(name, seed=8)
    samples = FixedArray.from_float(CASES[name].floats(), Quantizer(format))
    check(net, of_length(samples, count), 8, words=words)


@pytest.mark.parametrize("kind", KINDS)
def test_random_networks_compute_several_samples_in_a_run(kind: str) -> None:
    for seed in range(8):
        case = random_network(kind, seed)
        words = min(case.lanes, (1, 4)[seed % 2])
        check(case.fixed.net, of_length(case.batch, 2 + seed % 4), case.lanes, drain=case.drain, words=words)


def test_random_graphs_compute_several_samples_in_a_run() -> None:
    for seed in range(40):
        net, shape = random_graph(seed)
        x = np.random.default_rng(seed).standard_normal((4, *shape)).astype(np.float32)
        fixed = quantize(net, calibrate(net, x, 8))
        samples = of_length(FixedArray.from_float(x, fixed.input), (3, 7)[seed % 2])
        check(fixed.net, samples, (1, 2, 4, 8)[seed % 4])


@pytest.mark.parametrize("name", NAMES)
def test_the_program_of_a_batch_computes_any_number_of_samples(name: str) -> None:
    """So the emulator's comparisons and the cover points need no program of their own."""
    net, x = small_network(name)
    fixed = quantize(net, calibrate(net, x, 8))
    samples = FixedArray.from_float(x, fixed.input)
    program = trace(fixed.net, samples.shape[1:], samples.format, 4)
    for count in (1, 4, 7):
        assert np.array_equal(program(samples[:count])[0].ints, fixed(samples[:count]).ints)


def test_the_samples_of_a_dense_layer_are_pixels_of_one_run() -> None:
    lowered = check(layers.Dense(weights(6, 10), out=OUT), ints(5, 6), 8)
    (run,) = lowered.kernels
    assert [atom.size for atom in run.pixels] == [5]
    assert len(lowered.images.weights) == 2 * 6  # two tiles of channels


def test_a_convolution_has_a_run_for_each_sample_with_the_same_weights() -> None:
    conv = layers.Conv2D(weights(9 * 2, 8), kernel=(3, 3), padding="same", out=OUT)
    lowered = check(conv, ints(3, 5, 4, 2), 8)
    assert len(lowered.kernels) == 3
    assert len({run.weight for run in lowered.instructions if hasattr(run, "weight")}) == 1
    assert len(lowered.images.weights) == 18


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_of_fewer_rows_than_samples_has_a_run_for_each_row(stride: int) -> None:
    """All samples use the weights of the run; the window stands at the row, and its first row is padding."""
    conv = layers.Conv2D(
        weights(9 * 2, 8), kernel=(3, 3), stride=(stride, 1), padding=((1, 1), (1, 1)), out=OUT
    )
    lowered = check(conv, ints(7, 4, 3, 2), 8)
    runs = [run for run in lowered.kernels if run.window]  # the others copy the result, sample by sample
    assert [(run.window.y_origin, run.window.y_step) for run in runs if run.window] == [
        (row * stride - 1, 0) for row in range(4 // stride)
    ]
    assert {tuple(atom.size for atom in run.pixels) for run in runs} == {(7, 3)}


@pytest.mark.parametrize("declares", [True, False])
def test_the_first_run_of_several_declares_the_result(declares: bool) -> None:
    """Images that are transposed need three loops over pixels."""
    axes = ((Atom(3, 100),), (Atom(5, 4),), (Atom(4, 20),), (Atom(4, 1),))
    view, target = View(Buffer("x", 300), 0, axes, Q(4, 4)), Target(Buffer("y", 600), 40, 8)
    runs = list(by_sample(Compute("y", "", (), load(view), target, declares)))
    assert [(next(run.views()).offset, run.target.offset, run.declares) for run in runs] == [
        (0, 40, declares), (100, 40 + 160, False), (200, 40 + 320, False),
    ]  # fmt: skip
    assert {run.expression.shape for run in runs} == {(1, 5, 4, 4)}


def test_constant_images_of_more_samples_than_rows_are_one_run() -> None:
    """They read no view, so nothing is turned."""
    item = computation(constant(np.arange(4), 0, (5, 2, 3, 4), Q(4, 0)), "", "", (), 8)[0]
    assert item.target.rows_first
    assert [run.expression.shape for run in by_sample(item)] == [(5, 2, 3, 4)]


def test_a_convolution_of_one_pixel_has_one_run() -> None:
    """Pixels and samples side by side are one loop."""
    lowered = check(layers.Conv2D(weights(8, 8), kernel=(1, 1), out=OUT), ints(3, 5, 4, 8), 8)
    assert len(lowered.kernels) == 1


@pytest.mark.parametrize("count", [2, 7])
def test_images_written_in_halves_for_pooling_stand_one_after_the_other(count: int) -> None:
    net = layers.Sequential(
        conv=layers.Conv2D(weights(9, 4), kernel=(3, 3), padding="same", out=OUT), pool=layers.MaxPool2D()
    )
    lowered = check(net, ints(count, 6, 16, 1), 16, words=8)
    assert sum(run.skip for run in lowered.kernels) == 2 * count  # even and odd columns of every image


def test_streamed_weights_are_sent_once_for_all_samples_of_a_run() -> None:
    net = layers.Sequential(
        conv=layers.Conv2D(weights(9 * 2, 8), kernel=(3, 3), padding="same", out=OUT),
        flatten=layers.Flatten(),
        dense=layers.Dense(weights(5 * 4 * 8, 8), out=OUT),
    )
    rows = {}
    for batch in (1, 3, 20):
        compiled = lower(net, (5, 4, 2), Q(4, 4), 8, window=256, batch=batch)
        rows[batch] = [len(run.weights) for run in compiled.kernels if run.weights is not None]
        assert len(compiled.images.stream) == sum(rows[batch])
    assert rows == {1: [18, 160], 3: [18, 18, 18, 160], 20: [18, 18, 18, 18, 18, 160]}  # of five image rows


def test_a_step_of_a_loop_computes_all_samples_with_as_many_runs_as_one() -> None:
    net, x = small_network("lstm")
    fixed = quantize(net, calibrate(net, x, 8))
    lowered = check(fixed.net, FixedArray.from_float(x[:3], fixed.input), 4)
    single = lower(fixed.net, x.shape[1:], fixed.input.format, 4)
    assert len(lowered.kernels) == len(single.kernels)


def test_few_tokens_of_several_samples_are_copied_as_fast_as_those_of_one() -> None:
    net, x = zoo.load("nplm"), zoo.samples("nplm", 40)
    fixed = quantize(net, calibrate(net, x, word=8))
    samples = FixedArray.from_float(x, fixed.input)
    single = schedule(lower(fixed.net, x.shape[1:], samples.format, 8).instructions, 8)
    several = check(fixed.net, samples[:4], 8)
    plan = schedule(several.instructions, 8)
    assert single is not None
    assert plan is not None
    assert plan.cycles < 4 * single.cycles
    assert not any(isinstance(one, Loop) for one in several.instructions)
    many = check(fixed.net, samples[:30], 8)  # 90 tokens are more than are copied without a loop
    assert sum(isinstance(one, Loop) for one in many.instructions) == 1


def test_as_many_tokens_as_are_copied_without_a_loop() -> None:
    net = layers.Sequential(embedding=layers.Embedding(weights(11, 3)), flatten=layers.Flatten())
    ids = FixedArray.from_ints(np.random.default_rng(0).integers(0, 11, (65, 1)), UQ(4, 0))
    for count, loops in ((64, 0), (65, 1)):
        lowered = check(net, ids[:count], 4)
        assert sum(isinstance(one, Loop) for one in lowered.instructions) == loops


@pytest.mark.parametrize("batch", [0, -1, 2.0])
def test_a_batch_that_is_no_number_of_samples_is_refused_in_one_sentence(batch: Any) -> None:
    with pytest.raises(LoweringError) as refusal:
        lower(layers.Dense(weights(2, 2), out=OUT), (2,), Q(4, 4), batch=batch)
    assert str(refusal.value) == f"A run computes 1 or more samples, not {batch!r}."


@pytest.mark.parametrize("name", test_verbs.LOOPS)
def test_loops_of_several_samples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in ("ZERO", "ONES"):
        one = getattr(test_verbs, start)
        monkeypatch.setattr(test_verbs, start, FixedArray.from_ints(np.tile(one.ints, (3, 1)), one.format))
    check(test_verbs.LOOPS[name], ints(3, 3, 6), 4)
