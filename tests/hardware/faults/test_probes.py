# SPDX-License-Identifier: MIT
"""Probes: runs alone show every bit of the images that they read, and `verify` compares them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixedpoint_nn import Q, Quantizer, layers
from fixedpoint_nn.hardware import emit
from fixedpoint_nn.hardware.faults.dont_care import idle
from fixedpoint_nn.hardware.faults.fault import every_flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.faults.untestable import Silent
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from tests.proof.conformance.__main__ import HERE

PROBED = ("fashion_mlp", "lenet", "names_lstm", "mnist_gru")


def network() -> Quantized:
    rng = np.random.default_rng(4)

    def dense(inputs: int, outputs: int) -> layers.Dense:
        return layers.Dense(
            FixedArray.from_ints(rng.integers(-128, 128, (inputs, outputs)), Q(1, 7)),
            FixedArray.from_ints(rng.integers(-128, 128, outputs), Q(1, 7)),
            Quantizer(Q(4, 4)),
        )

    net = layers.Sequential(fc1=dense(20, 12), relu=layers.ReLU(), fc2=dense(12, 3))
    return Quantized(net, Quantizer(Q(2, 6)))


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Pack:
    samples = FixedArray.from_ints(np.random.default_rng(1).integers(-128, 128, (2, 20)), Q(2, 6))
    folder = tmp_path_factory.mktemp("packs") / "small"
    emit(network(), samples, folder, corner_vectors=2, probing_vectors=60)
    return load_pack(folder)


def seen_by(pack, flips):
    return Shown(pack.config, pack.images, pack.input, pack.output, pack.vectors).shows(flips).any(axis=1)


def test_the_probes_show_every_bit_of_weights_and_parameters_that_is_not_proven_silent(pack):
    flips = [flip for flip in every_flip(pack.config, pack.images) if flip.kind != "program"]
    spare = set(idle(pack.config, pack.images))
    proven = set(Silent(pack.config, pack.images, pack.input, pack.output, range(-128, 128)).proven(flips))
    flips = [flip for flip in flips if flip not in spare | proven]
    shown = np.logical_or.reduce([seen_by(pack.alone(probe), flips) for probe in pack.probes])
    assert len(flips) > 2000
    assert [flip for flip, seen in zip(flips, shown, strict=True) if not seen] == []
    assert not seen_by(pack, flips).all()  # the network's own vectors do not


@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_a_pack_with_probes_passes_and_says_how_many(pack, simulator):
    count = sum(len(probe.vectors) for probe in pack.probes)
    assert str(verify(pack.directory, simulator)).endswith(
        f"cycles; {len(pack.probes)} probes with {count} vectors"
    )
    assert "probes" not in str(verify(pack.directory, simulator, vectors=1))


def test_a_lowest_bit_that_only_a_probe_shows_is_noticed(pack, tmp_path):
    flips = [flip for flip in every_flip(pack.config, pack.images) if flip.kind == "weights"]
    hidden = [flip for flip, seen in zip(flips, seen_by(pack, flips), strict=True) if not seen]
    spare = set(idle(pack.config, pack.images))
    flip = next(flip for flip in hidden if flip not in spare)
    bits, words = pack.images.words(pack.config)["weights"]
    words = list(words)
    words[flip.word] ^= 1 << flip.bit
    copy = _copy(
        pack,
        tmp_path,
        {
            "weights.coe": memory_files.write_coe(words, bits),
            "weights.mem": memory_files.write_mem(words, bits),
        },
    )
    verdict = verify(copy)
    assert not verdict
    assert "the Verilog did what the images say, so the images or the expected words are wrong" in str(
        verdict
    )
    assert str(verdict).splitlines()[-1].strip().startswith("in probe")


def test_a_probe_that_lacks_a_count_is_refused(pack, tmp_path):
    copy = _copy(pack, tmp_path, {})
    about = json.loads((copy / manifest.NAME).read_text())
    about["probes"][0]["cycles"] = -1
    (copy / manifest.NAME).write_text(json.dumps(about))
    assert "a count, as -1" in str(verify(copy))


def _copy(pack, folder, texts):
    """The pack with other texts in some files, and checksums that agree."""
    copy = folder / "copy"
    copy.mkdir()
    for path in pack.directory.iterdir():
        (copy / path.name).write_text(texts.get(path.name, path.read_text()))
    about = json.loads((copy / manifest.NAME).read_text())
    for name, entry in about["files"].items():
        entry |= manifest.describe_file(
            copy / name, entry["bits"], entry["words"], entry["kind"], entry["shape"]
        )
    (copy / manifest.NAME).write_text(json.dumps(about))
    return copy


@pytest.mark.parametrize("name", PROBED)
def test_the_twin_gives_what_the_probes_of_a_golden_pack_expect(name):
    pack = load_pack(HERE / name)
    assert pack.probes
    for probe in pack.probes:
        alone = pack.alone(probe)
        shown = Shown(alone.config, alone.images, alone.input, alone.output, alone.vectors)
        assert np.array_equal(shown.outputs, alone.expected)
        assert shown.cycles == probe.cycles
