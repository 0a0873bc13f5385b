# SPDX-License-Identifier: MIT
"""The engine reads its memories back: equal to the images, and no flipped bit goes unseen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.hardware import verify_readback
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.sim import build
from fixedpoint_nn.hardware.sim import run as simulation
from fixedpoint_nn.hardware.verify.readback_program import Readback, readback_program
from tests.proof.conformance.__main__ import HERE, NETWORKS, PACKS
from tests.proof.files import shows
from tests.proof.flip import every_flip


def differences(readback: Readback, most: int = 40) -> list[str]:
    """What the engine's twin reads back otherwise than expected."""
    found = []
    for section in readback.sections:
        for number, (vector, expected) in enumerate(zip(section.vectors[:most], section.expected)):
            twin = Twin(readback.config, section.images, section.input, vector)
            twin.run()
            got = twin.memory[section.output.addresses()]
            found += [
                f"{section.memory} {section.name(number, place)}" for place in np.flatnonzero(got != expected)
            ]
    return found


@pytest.mark.parametrize("name", PACKS)
def test_what_is_read_back_is_the_image_of_every_golden_pack(name: str) -> None:
    pack = load_pack(HERE / name)
    readback = readback_program(pack.config, pack.images)
    assert differences(readback) == []
    assert (readback.in_part == ()) == (name in NETWORKS)
    there = {kind for kind, (_, words) in pack.images.words(pack.config).items() if words} - {"program"}
    assert {section.memory for section in readback.sections} == there


def test_every_weight_and_every_parameter_is_asked_about() -> None:
    pack = load_pack(HERE / "nplm")
    weights, parameters, *_ = readback_program(pack.config, pack.images).sections
    rows = weights.expected.reshape(-1, pack.config.lanes)
    assert np.array_equal(rows[: len(pack.images.weights)], pack.images.weights)
    assert list(parameters.firsts) == list(range(0, 36 * 8, 8))


@pytest.mark.parametrize("name", ["moons", "bigram"])
@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
def test_small_packs_are_read_back_in_the_verilog(name: str, simulator: str) -> None:
    verdict = verify_readback(HERE / name, simulator)
    assert verdict.passed, verdict.text
    pack = load_pack(HERE / name)
    assert verdict.words == sum(s.expected.size for s in readback_program(pack.config, pack.images).sections)


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKS)
def test_every_pack_is_read_back_in_the_verilog(name: str) -> None:
    verdict = verify_readback(HERE / name, "verilator")
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("kind", ["parameters", "activations"])
def test_every_flipped_bit_of_moons_and_of_the_rows_of_bigram_is_seen(kind: str) -> None:
    pack = load_pack(HERE / ("moons" if kind == "parameters" else "bigram"))
    readback = readback_program(pack.config, pack.images)
    flips = [flip for flip in every_flip(pack.config, pack.images) if flip.kind == kind]
    assert len(flips) > 400
    assert [
        flip for flip in flips[:: 1 if kind == "parameters" else 11] if not shows(pack, readback, flip)
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moons", "bigram", "nplm"])
def test_every_flipped_bit_of_a_small_pack_is_seen(name: str) -> None:
    pack = load_pack(HERE / name)
    readback = readback_program(pack.config, pack.images)
    step = 1 if name == "moons" else 7
    flips = [flip for flip in every_flip(pack.config, pack.images) if flip.kind != "program"][::step]
    assert [flip for flip in flips if not shows(pack, readback, flip)] == []


@st.composite
def engines(draw: st.DrawFn) -> tuple[EngineConfig, Images]:
    """Engines of many widths, with images that a network could have."""
    activation, weight = draw(st.integers(3, 20)), draw(st.integers(2, 20))
    lanes, bias = draw(st.sampled_from([1, 2, 8, 16])), draw(st.integers(4, 30))
    drain = min(lanes, draw(st.sampled_from([1, 1, 2, 4, 16])))
    read = min(lanes, draw(st.sampled_from([1, 1, 2, 4, 16])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, words = draw(st.integers(1, 150)), draw(st.integers(1, 150))
    most_shift = min(2 * activation - 2, bias)
    config = EngineConfig(
        lanes=lanes, drain=drain, words=read, activation_width=activation, weight_width=weight, bias_width=bias,
        activation_depth=4096,
        accumulator_width=max(2 * activation, activation + weight) + 12, table_depth=4096,
    )  # fmt: skip
    shifts = rng.integers(0, most_shift + 1, words)
    largest = np.minimum(1 << bias - 1, 1 << np.minimum(shifts + activation - 1, 40)) - 1
    images = Images(
        [0],
        rng.integers(-(1 << weight - 1), 1 << weight - 1, (rows, lanes)),
        np.stack([shifts, rng.integers(-largest, largest + 1)], axis=1),
        rng.integers(-(1 << activation - 1), 1 << activation - 1, draw(st.integers(0, 300))),
        rng.integers(-(1 << activation - 1), 1 << activation - 1, draw(st.integers(0, 5)) * lanes),
    )
    return config, images


@given(engine=engines(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_memories_of_any_engine_are_read_back_and_a_flipped_bit_is_seen(engine, seed: int) -> None:
    config, images = engine
    readback = readback_program(config, images)
    assert differences(readback, 3) == []
    pack = Pack(Path(), {"network": "any"}, config, images, readback.sections[0].input, readback.sections[0].output,
                np.zeros((1, 1)), np.zeros((1, 1)))  # fmt: skip
    in_part = {word // config.drain for word in readback.in_part}
    flips = [f for f in every_flip(config, images) if f.kind != "program" and f.word not in in_part]
    rng = np.random.default_rng(seed)
    for flip in (flips[int(place)] for place in rng.integers(0, len(flips), 5)):
        padding = flip.kind == "activations" and flip.word * config.lanes >= len(images.activations)
        assert shows(pack, readback, flip) or padding, flip


def test_a_parameter_beyond_the_accumulator_is_counted_as_seen_in_part() -> None:
    config = EngineConfig(activation_width=8, weight_width=8, accumulator_width=20, bias_width=32)
    images = Images([0], np.ones((1, 8), np.int64), np.array([[0, 1 << 30], [3, 5]]))
    readback = readback_program(config, images)
    assert readback.in_part == (0,)
    assert differences(readback) == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HERE / "moons", tmp_path / "moons"))


def test_an_engine_whose_memory_differs_is_named_with_the_word(copy: Path, monkeypatch) -> None:
    """As after a bad load: the engine holds other weights than the image that it is compared with."""
    right = simulation.write_images

    def one_weight_off(folder, config, images):
        weights = images.weights.copy()
        weights[5, 2] ^= 4
        return right(folder, config, replace(images, weights=weights))

    monkeypatch.setattr(
        import_module("fixedpoint_nn.hardware.verify.readback"), "write_images", one_weight_off
    )
    pack = load_pack(copy)
    weight, bits = int(pack.images.weights[5, 2]), pack.config.activation_width
    was, is_ = (f"{word & (1 << bits) - 1:0{-(-bits // 4)}x}" for word in (weight, weight ^ 4))
    assert str(verify_readback(copy)) == (
        f"FAIL: weights, row 0 + 5, lane 2: the engine reads back {is_}, and the image gives {was} (hexadecimal)"
    )


def test_a_pack_whose_images_and_checksums_were_changed_together_reads_back_as_what_it_is_now(
    copy: Path,
) -> None:
    """Reading back compares with the images of the pack; whose images they are the manifest's checksum says."""
    pack = load_pack(copy)
    name = manifest.file_name("weights", ".coe")
    bits, words = pack.images.words(pack.config)["weights"]
    for suffix, text in (
        (".coe", memory_files.write_coe([words[0] ^ 1, *words[1:]], bits)),
        (".mem", memory_files.write_mem([words[0] ^ 1, *words[1:]], bits)),
    ):
        (copy / manifest.file_name("weights", suffix)).write_text(text)
    assert str(verify_readback(copy)).startswith(f"FAIL: {copy / name} ")
    about = json.loads((copy / "manifest.json").read_text())
    for file in about["files"]:
        entry = about["files"][file]
        about["files"][file] |= manifest.describe_file(
            copy / file, bits_of(entry), entry["words"], entry["kind"], entry["shape"]
        )
    (copy / "manifest.json").write_text(json.dumps(about))
    assert verify_readback(copy).passed
    assert bit_packing.digits(bits)


def bits_of(entry: dict[str, int]) -> int:
    return entry["bits"]


def test_a_missing_simulator_is_no_failure_of_the_pack(copy: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "find_tool", missing)
    verdict = verify_readback(copy)
    assert (verdict.passed, verdict.ran) == (False, False)
    assert str(verdict) == "NOT RUN: there is no simulator"


def missing(name: str) -> None:
    raise build.ToolError("there is no simulator")
