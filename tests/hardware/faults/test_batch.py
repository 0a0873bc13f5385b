# SPDX-License-Identifier: MIT
"""The engine's twin on many samples at once: the same words and cycles as sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.emulator.emulator import EmulationError
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.faults.batch_emulator import Batch
from fixedpoint_nn.hardware.pack.reader import load_pack
from tests.proof.conformance.__main__ import HERE
from tests.support.random_networks import random_network


@pytest.mark.parametrize("kind", ["dense", "image", "text"])
@pytest.mark.parametrize("seed", range(4))
def test_a_batch_gives_what_the_twin_gives_for_each_sample(kind, seed):
    case = random_network(kind, seed)
    lowered = lower(case.fixed.net, case.batch.shape[1:], case.batch.format, case.lanes)
    rows = case.batch.ints.reshape(len(case.batch), -1)
    batch = Batch(lowered.config, lowered.images, len(rows))
    batch.put(lowered.input, rows)
    cycles = batch.run().cycles
    for row, words in zip(rows, batch.get(lowered.output), strict=True):
        twin = Twin(lowered.config, lowered.images, lowered.input, row)
        assert twin.run().cycles == cycles
        assert np.array_equal(words, twin.memory[lowered.output.addresses()])
    assert np.array_equal(batch.get(lowered.output), case.fixed(case.batch).ints.reshape(len(rows), -1))


@pytest.mark.parametrize("name", ["moons", "bigram", "names_lstm", "mnist_gru", "lenet", "resnet8"])
def test_a_batch_gives_what_a_golden_pack_expects(name):
    pack = load_pack(HERE / name)
    batch = Batch(pack.config, pack.images, len(pack.vectors))
    batch.put(pack.input, pack.vectors)
    assert batch.run().cycles == pack.cycles[0]
    assert np.array_equal(batch.get(pack.output), pack.expected)


def test_a_program_that_jumps_on_its_data_is_refused():
    pack = load_pack(HERE / "names_writer")
    batch = Batch(pack.config, pack.images, 2)
    batch.put(pack.input, pack.vectors[:2])
    with pytest.raises(EmulationError, match="run sample by sample"):
        batch.run()


def test_an_output_that_was_never_written_is_an_error():
    pack = load_pack(HERE / "moons")
    batch = Batch(pack.config, pack.images, 1)
    with pytest.raises(EmulationError, match=r"the output at \d+ was never written"):
        batch.get(pack.output)
