# SPDX-License-Identifier: MIT
"""Inputs along the gradient: they reach what no changed sample does."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.vectors.cover_points import coverage
from fixedpoint_nn.hardware.vectors.gradient import ascend, cast_of
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numbers.traced.program import Program
from tests.proof.conformance.__main__ import HERE, inputs, quantized


def traced(name: str) -> tuple[Program, FixedArray]:
    fixed, _ = quantized(name, HERE / name)
    real = inputs(name, fixed, HERE / name)
    return lower(fixed.net, real.shape[1:], fixed.input.format, 8).program, real


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize(("name", "layer"), [("lenet", "fc2.out"), ("mnist_rnn", "head.out")])
def test_each_step_brings_more(name, layer, up):
    program, real = traced(name)
    way = list(ascend(program, layer, real, up, np.random.default_rng(1)))
    corner = "above the largest" if up else "below the smallest"
    numbers = FixedArray.from_ints(np.concatenate([way[0], way[-1]]), real.format)
    distance = coverage(program, numbers)[layer, corner].distance.reshape(2, -1)
    assert distance[1].sum() < 0.8 * distance[0].sum()


def test_the_layers_of_lenet_meet_all_ends_of_their_formats():
    pack = load_pack(HERE / "lenet")
    assert all(hits for layer in pack.manifest["corners"].values() for hits in layer.values())


def test_tokens_have_no_gradient_and_an_unknown_layer_no_place():
    program, real = traced("bigram")
    layer = next(node.name for node in reversed(program.nodes) if node.name)
    assert list(ascend(program, layer, real, True, np.random.default_rng(1))) == []
    assert cast_of(program, "no such layer") is None
