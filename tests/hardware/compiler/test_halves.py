# SPDX-License-Identifier: MIT
"""Programs with two places for their input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fixedpoint_nn import FixedArray, Q, Quantizer
from fixedpoint_nn.hardware import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.instructions import JumpEqual, Load, decode

OUT = Quantizer(Q(4, 4))
WEIGHTS = FixedArray.from_ints([[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 0, 1]], Q(4, 4))


def net(x: Any) -> Any:
    return x.dot(WEIGHTS).cast(OUT)


def test_the_program_is_there_twice_and_a_word_chooses() -> None:
    once, twice = (lower(net, (4,), Q(4, 4), 2, ahead=ahead) for ahead in (False, True))
    halves = twice.halves
    assert once.halves is None and halves is not None and twice.config.host_writes == 1
    load, jump, *rest = [instruction for _, instruction in decode(twice.images.program)]
    assert isinstance(load, Load) and load.address.base == halves.word and load.shift == 0
    assert isinstance(jump, JumpEqual) and jump.value == 1
    assert [type(one) for one in rest] == [type(one) for one in once.instructions] * 2
    at = dict(decode(twice.images.program))
    assert at[jump.target].activation.base - at[load.words + jump.words].activation.base == (
        halves.second.address - twice.input.address
    )


def test_nothing_else_stands_in_either_place() -> None:
    network = lower(net, (4,), Q(4, 4), 2, ahead=True)
    assert network.halves is not None
    places = [
        *network.input.addresses(),
        *network.halves.second.addresses(),
        network.halves.word,
        *network.output.addresses(),
    ]
    assert len(set(places)) == 4 + 4 + 1 + 3


def test_an_engine_whose_host_waits_is_refused() -> None:
    engine = lower(net, (4,), Q(4, 4), 2, ahead=True).config
    assert lower(net, (4,), Q(4, 4), engine=engine, ahead=True).config == engine
    with pytest.raises(LoweringError) as caught:
        lower(net, (4,), Q(4, 4), engine=replace(engine, host_writes=0), ahead=True)
    assert str(caught.value) == (
        "The next input is to be written while the engine computes, and this engine's host waits; give it "
        "host_writes=1."
    )


def test_an_output_that_is_the_input_is_refused() -> None:
    with pytest.raises(LoweringError) as caught:
        lower(lambda x: x.reshape(2, 2), (4,), Q(4, 4), 2, ahead=True)
    assert str(caught.value) == (
        "The output stands beside the input, and would be in another place in every second run, so that no input "
        "can be written ahead."
    )
