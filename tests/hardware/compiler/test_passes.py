# SPDX-License-Identifier: MIT
"""Passes give new programs, loops become labels and jumps, and what is printed is what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware import LoweringError, Refusal
from fixedpoint_nn.hardware.compiler.barriers import place_barriers
from fixedpoint_nn.hardware.compiler.encode import instructions
from fixedpoint_nn.hardware.compiler.flatten import flatten
from fixedpoint_nn.hardware.compiler.ir import Advance, Label, Loop, Repeat, SetRegister
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.compiler.show import PASSES
from fixedpoint_nn.hardware.compiler.strided_view import Register
from fixedpoint_nn.hardware.emulator.twin import Twin
from tests.support.random_networks import random_network

OUT = Quantizer(Q(4, 4))


@pytest.fixture(scope="module")
def compiled() -> CompiledNetwork:
    case = random_network("text", 2)
    return lower(case.fixed.net, case.batch.shape[1:], case.fixed.input.format, case.lanes)


def test_a_loop_becomes_a_label_and_a_jump_back_to_it() -> None:
    counter, still, moving = Register(0, 1), Register(0, 2), Register(8, 3)
    inner = SetRegister(Register(0, 4), 7)
    flat = flatten([Loop(counter, 5, (still, moving), (inner,))])
    assert [type(item) for item in flat] == [
        SetRegister,
        SetRegister,
        SetRegister,
        Label,
        SetRegister,
        Advance,
        Repeat,
    ]
    assert [(item.register, item.value) for item in flat[:3]] == [(still, 0), (moving, 0), (counter, 5)]
    assert flat[4] is inner
    assert flat[5].register is moving
    assert (flat[6].register, flat[6].begin) == (counter, flat[3])


def test_loops_inside_of_loops_become_labels_of_their_own() -> None:
    inner = Loop(Register(0, 2), 3, (), ())
    flat = flatten([Loop(Register(0, 1), 2, (), (inner, inner))])
    labels = [item for item in flat if isinstance(item, Label)]
    assert len(set(labels)) == 3
    assert {item.begin for item in flat if isinstance(item, Repeat)} == set(labels)


def test_no_pass_changes_what_it_is_given(compiled: CompiledNetwork) -> None:
    stages = compiled.stages
    before = [item.barrier for item in stages.flatten if isinstance(item, Kernel)]
    assert all(before)
    again = place_barriers(stages.flatten)
    assert [item.barrier for item in stages.flatten if isinstance(item, Kernel)] == before
    placed = [item.barrier for item in again if isinstance(item, Kernel)]
    assert placed == [item.barrier for item in compiled.kernels]
    assert not all(placed)
    code, places = instructions(stages.barriers, stages.allocate.placement)
    assert (code, places) == (compiled.instructions, compiled.places)
    with pytest.raises(FrozenInstanceError):
        compiled.kernels[0].barrier = False  # type: ignore[misc]


def test_buffers_that_are_alive_together_share_no_word(compiled: CompiledNetwork) -> None:
    """The engine's twin refuses to read what nothing has written, and gives the network's integers."""
    case = random_network("text", 2)
    for sample, expected in zip(case.batch.ints, case.fixed(case.batch).ints, strict=True):
        twin = Twin(compiled.config, compiled.images, compiled.input, sample.reshape(-1))
        twin.run()
        assert np.array_equal(twin.memory[compiled.output.addresses()], expected.reshape(-1))


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_is_shown_with_its_layers(name: str, compiled: CompiledNetwork) -> None:
    text = compiled.stages.show(name)
    assert text.startswith(f"; after {name}: {PASSES[name]}\n")
    layers = {kernel.name for kernel in compiled.kernels} - {""}
    shown = {layer for layer in layers if layer in text}
    assert shown == layers or (name == "trace" and shown)


def test_what_is_shown_after_encoding_is_the_program(compiled: CompiledNetwork) -> None:
    lines = [
        line for line in compiled.stages.show("encode").splitlines() if not line.lstrip().startswith(";")
    ]
    assert [line.split(maxsplit=1)[1] for line in lines] == [str(i) for i in compiled.instructions]
    assert [int(line.split()[0]) for line in lines][-1] == len(compiled.images.program) - 1


def test_an_unknown_pass_is_one_sentence(compiled: CompiledNetwork) -> None:
    with pytest.raises(LoweringError) as caught:
        compiled.stages.show("select")
    assert str(caught.value) == (
        "There is no pass 'select'; the passes are trace, lower, flatten, barriers, allocate, encode."
    )
    assert Refusal is LoweringError


def test_the_command_shows_a_pass_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "moons", "--word", "8", "--show", "barriers"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "; after barriers: which kernels wait for earlier results"
    assert "wait run act2.out: sum of 16 x 16 channels" in out
    assert main(["emit", "moons", "--word", "8"]) == 1
    assert "emit takes either --out, the folder of the pack, or --show" in capsys.readouterr().err


NETS: dict[str, Callable[[Any], Any]] = {
    "maximum(3)": lambda x: x.maximum(3),
    "maximum(-1)": lambda x: x.maximum(-1),
    "x + 1": lambda x: x + 1,
    "1 - x": lambda x: 1 - x,
    "x * 3": lambda x: x * 3,
    "sum with keepdims": lambda x: x.sum(1, keepdims=True),
}


@pytest.mark.parametrize("shape", [(6,), (4, 6)])
@pytest.mark.parametrize("name", NETS)
def test_integers_in_a_layer_are_lowered(name: str, shape: tuple[int, ...]) -> None:
    compiled = lower(lambda x: NETS[name](x).cast(OUT), shape, Q(4, 4), 4)
    sample = np.random.default_rng(0).integers(-128, 128, shape)
    twin = Twin(compiled.config, compiled.images, compiled.input, sample.reshape(-1))
    twin.run()
    expected = NETS[name](FixedArray.from_ints(sample[None], Q(4, 4))).cast(OUT).ints
    assert np.array_equal(twin.memory[compiled.output.addresses()], expected.reshape(-1))


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (
            lambda x: x.sum(1).cast(OUT),
            "Layer 'sum' does not fit the engine: it sums a sample to one word without an axis for it; "
            "set keepdims=True.",
        ),
        (
            lambda x: x.max(1).cast(OUT),
            "Layer 'max' does not fit the engine: it takes the largest word of a sample without an axis for it; "
            "set keepdims=True.",
        ),
    ],
)
def test_a_sample_that_becomes_one_word_without_an_axis_is_refused_in_a_sentence(net, sentence: str) -> None:
    with pytest.raises(LoweringError) as caught:
        lower(net, (6,), Q(4, 4), 4)
    assert str(caught.value) == sentence
