# SPDX-License-Identifier: MIT
"""The script of a board's self-test, played on the emulator: equal on the pack's images, different on flipped ones."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn.hardware.emulator.emulator import Emulator
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.verify.selftest import (
    LOADED,
    Kind,
    SelfTest,
    load_width,
    main,
    selftest,
    write_selftest,
)
from fixedpoint_nn.numerics.qformat import QFormat
from tests.proof.conformance.__main__ import HERE
from tests.proof.flip import every_flip, flipped
from tests.support.random_programs import random_program


class Board:
    """An engine with images in its memories, and a host that plays a script; numbers of the steps that differ."""

    def __init__(self, test: SelfTest, images: Images) -> None:
        self.config = config = test.config
        self.memories = {name: dict(enumerate(words)) for name, (_, words) in images.words(config).items()}
        rows = bit_packing.unpack(
            self.memories["activations"].values(), config.lanes, config.activation_width
        )
        self.activations = dict(enumerate(word for row in rows for word in row))
        self.pushed: list[int] = []
        self.different: list[int] = []
        address = -1
        for number, (kind, argument) in enumerate(test.steps):
            match kind:
                case Kind.ADDRESS:
                    address = argument
                case Kind.PUSH:
                    self.pushed.append(argument)
                case Kind.LOAD:
                    self.load(LOADED[argument], address)
                    address += 1
                case Kind.WRITE:
                    self.activations[address] = argument
                    address += 1
                case Kind.START:
                    self.start(argument)
                case Kind.COMPARE:
                    if self.activations.get(address) != argument:
                        self.different.append(number)
                    address += 1
                case Kind.END:
                    assert number == len(test.steps) - 1

    def load(self, memory: str, address: int) -> None:
        assert len(self.pushed) == -(-load_width(self.config) // 32)
        if memory == "program" and address == 0:
            self.memories[memory] = {}  # a shorter program leaves words behind its Halt that are never read
        word = sum(part << 32 * place for place, part in enumerate(self.pushed))
        bits = {"program": 32, "weights": self.config.lanes * self.config.weight_width}
        bits |= {"parameters": 6 + self.config.bias_width, "tables": self.config.activation_width}
        assert word < 1 << bits[memory]
        self.memories[memory][address] = word
        self.pushed = []

    def start(self, seed: int) -> None:
        c, memories = (
            self.config,
            {name: [words[i] for i in range(len(words))] for name, words in self.memories.items()},
        )
        split = [(word >> c.bias_width, word & (1 << c.bias_width) - 1) for word in memories["parameters"]]
        shifts, biases = zip(*split, strict=True)
        weights = bit_packing.unpack(memories["weights"], c.lanes, c.weight_width)
        images = Images(
            memories["program"],
            np.array([bit_packing.signed(row, c.weight_width) for row in weights]),
            np.stack([shifts, bit_packing.signed(biases, c.bias_width)], 1),
            np.array(bit_packing.signed(memories["tables"], c.activation_width)),
        )
        emulator = Emulator(c, images)
        for address, word in self.activations.items():
            emulator.write(address, np.array(bit_packing.signed([word], c.activation_width)))
        emulator.run(seed)
        known = np.flatnonzero(emulator.activations.defined)
        words = bit_packing.unsigned(emulator.memory[known].tolist(), c.activation_width)
        self.activations = dict(zip(known.tolist(), words, strict=True))


@pytest.mark.parametrize("name", ["moons", "bigram"])
def test_the_self_test_of_a_pack_finds_nothing_and_leaves_the_engine_ready(name: str) -> None:
    pack = load_pack(HERE / name)
    test = selftest(pack)
    board = Board(test, pack.images)
    assert board.different == []
    for kind, (_, words) in pack.images.words(pack.config).items():
        if kind != "activations":
            assert [board.memories[kind][place] for place in range(len(words))] == words
    image = bit_packing.unsigned(pack.images.activations.tolist(), pack.config.activation_width)
    assert [board.activations[place] for place in range(len(image))] == image
    compared = sum(kind == Kind.COMPARE for kind, _ in test.steps)
    assert compared > pack.expected.size + pack.images.weights.size


def without_vectors(seed: int) -> Pack:
    """Random images, of which only the readback can notice a flipped bit."""
    config, images, _ = random_program(seed)
    images = replace(
        images,
        weights=images.weights[:40],
        parameters=images.parameters[:20],
        activations=images.activations[:30],
        tables=images.tables[:70],
    )
    port = Port((1,), QFormat(config.activation_width, 0), 100, 1, 1)
    nothing = np.zeros((0, 1), np.int64)
    return Pack(Path(), {"seed": 1, "network": "random"}, config, images, port, port, nothing, nothing)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("memory", ["weights", "parameters", "tables", "activations"])
def test_a_flipped_bit_of_any_image_is_noticed(seed: int, memory: str) -> None:
    pack = without_vectors(seed)
    test = selftest(pack)
    assert Board(test, pack.images).different == []
    flips = [flip for flip in every_flip(pack.config, pack.images) if flip.kind == memory]
    lost = 30 % pack.config.lanes if memory == "activations" else 0  # the last row holds words of no image
    flips = [flip for flip in flips if not (lost and flip.word == 30 // pack.config.lanes)]
    for flip in random.Random(seed).sample(flips, 6):
        assert Board(test, flipped(pack.images, pack.config, flip)).different, str(flip)


def test_the_files_hold_the_script_and_the_engine(tmp_path: Path) -> None:
    folder = tmp_path / "moons"
    folder.mkdir()
    for path in (HERE / "moons").rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(HERE / "moons")
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    script, header = write_selftest(folder)
    test = selftest(load_pack(folder))
    words = [int(line, 16) for line in script.read_text().split()]
    assert [(Kind(word >> 32), word & 0xFFFFFFFF) for word in words] == list(test.steps)
    text = header.read_text()
    assert f"`define SCRIPT_STEPS {len(test.steps)}\n" in text
    assert f".WEIGHT_DEPTH({test.config.weight_depth})" in text
    assert '.WEIGHT_IMAGE("images/weights.mem")' in text
    assert "TABLE_IMAGE" not in text  # this network has no table
    assert main([str(folder)]) == 0


def test_what_is_no_pack_is_refused_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "name a pack: python -m fixedpoint_nn.hardware.verify.selftest PACK"
    assert str(tmp_path) in said[1]
