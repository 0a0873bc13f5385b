# SPDX-License-Identifier: MIT
"""The compiler gives the programs of the committed packs, which run bit for bit in two simulators, word by word.

`tests/hardware/rtl/test_golden.py` writes the whole packs again; this is their program without their vectors.
"""

from __future__ import annotations

import numpy as np
import pytest

from fixedpoint_nn.hardware.compiler.pipeline import CompiledNetwork, lower
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.pack.manifest import listing
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.textgen.compile import lower_writer
from tests.proof.conformance.__main__ import HERE, NETWORKS, quantized


def compiled(name: str, pack: Pack) -> CompiledNetwork:
    fixed, _ = quantized(name, HERE / name)
    writing = NETWORKS[name].writing
    if writing is not None:
        return lower_writer(fixed, writing, pack.config.lanes)
    return lower(fixed.net, pack.input.shape, fixed.input.format, pack.config.lanes)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_compiled_to_the_program_and_memories_of_its_pack(name: str) -> None:
    pack = load_pack(HERE / name)
    made = compiled(name, pack)
    cycles = schedule(made.instructions, made.config.lanes, made.config.drain, made.config.latency)
    assert listing(made, cycles) == (HERE / name / "listing.txt").read_text()
    assert (made.config, made.input, made.output) == (pack.config, pack.input, pack.output)
    assert made.images.program == pack.images.program
    assert np.array_equal(made.images.weights, pack.images.weights)
    assert np.array_equal(made.images.parameters, pack.images.parameters)
    assert np.array_equal(made.images.tables, pack.images.tables)
    words = len(made.images.activations)
    assert np.array_equal(made.images.activations, pack.images.activations[:words])
    assert not pack.images.activations[words:].any(), "rows are filled with zeros"
