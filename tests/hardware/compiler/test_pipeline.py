# SPDX-License-Identifier: MIT
"""Passes give new programs, and what they give computes the network's integers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import FixedArray, Quantizer
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.barriers import place_barriers
from fixedpoint_nn.hardware.compiler.encode import instructions
from fixedpoint_nn.hardware.compiler.kernel import Kernel
from fixedpoint_nn.hardware.compiler.legalise import legalise
from fixedpoint_nn.hardware.compiler.pipeline import ONE_OF_EACH, CompiledNetwork, lower, lower_program
from fixedpoint_nn.hardware.compiler.select import select
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.numbers.traced.traced import trace
from fixedpoint_nn.numerics.qformat import Q
from tests.support.random_networks import KINDS, random_network


@pytest.fixture(scope="module")
def compiled() -> CompiledNetwork:
    case = random_network("text", 2)
    return lower(case.fixed.net, case.batch.shape[1:], case.fixed.input.format, case.lanes)


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_pass_gives_the_same_again_because_it_changes_nothing(kind: str) -> None:
    """Nothing that lowering made is changed later: the passes after it, run twice, print the same programs."""
    case = random_network(kind, 1)
    stages = lower(case.fixed.net, case.batch.shape[1:], case.fixed.input.format, case.lanes).stages
    shown = [stages.show(name) for name in ("lower", "legalise", "select")]
    legal = legalise(stages.lower)
    again = replace(stages, legalise=legal, select=select(legal))
    assert [again.show(name) for name in ("lower", "legalise", "select")] == shown


def test_buffers_that_are_alive_together_share_no_word(compiled: CompiledNetwork) -> None:
    """The engine's twin refuses to read what nothing has written, and gives the network's integers."""
    case = random_network("text", 2)
    for sample, expected in zip(case.batch.ints, case.fixed(case.batch).ints, strict=True):
        twin = Twin(compiled.config, compiled.images, compiled.input, sample.reshape(-1))
        twin.run()
        assert np.array_equal(twin.memory[compiled.output.addresses()], expected.reshape(-1))


def test_a_program_of_two_results_or_two_inputs_is_refused_in_a_sentence() -> None:
    one = trace(lambda x: x + 1, (3,), Q(4, 4))
    for program in (
        replace(one, outputs=[*one.inputs, *one.outputs]),
        replace(one, inputs=[*one.inputs, *one.outputs]),
        replace(one, outputs=[]),
    ):
        with pytest.raises(LoweringError) as caught:
            lower_program(program)
        assert str(caught.value) == ONE_OF_EACH


def test_every_run_says_which_value_it_writes() -> None:
    """A value of a loop's body stands behind the loop's own place."""
    out = Quantizer(Q(4, 4))
    weights = FixedArray.from_ints(np.ones((3, 3), np.int64), Q(4, 4))

    def net(x: Any) -> Any:
        def step(now: Any, state: Any) -> Any:
            new = (now @ weights + state).cast(out)
            return new, new

        start = FixedArray.from_ints(np.zeros((1, 3), np.int64), Q(4, 4))
        return (x.relu().cast(out).scan(step, start)[1] * 3).cast(out)

    compiled = lower(net, (4, 3), Q(4, 4), 4)
    nodes = compiled.program.nodes
    written = []
    for kernel in compiled.kernels:
        if kernel.path:
            first, *inner = kernel.path
            body = nodes[first].body
            written.append(
                nodes[first].op if body is None else f"{nodes[first].op} {body.nodes[inner[0]].op}"
            )
    assert list(dict.fromkeys(written)) == ["cast", "scan cast"] and written[-1] == "cast"
