# SPDX-License-Identifier: MIT
"""Packs: what is emitted is read back from the .coe files alone, and damage is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import emit, load_pack
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.vectors import cover_points
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from tests.support.battery import CASES, quantized_case
from tests.support.random_networks import random_network


def network(name: str) -> tuple[Quantized, FixedArray]:
    *_, net, format = quantized_case(name)
    quantizer = Quantizer(format)
    return Quantized(net, quantizer), FixedArray.from_float(CASES[name].floats(), quantizer)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    fixed, x = network("text model")
    return emit(fixed, x, tmp_path_factory.mktemp("packs") / "text", name="text", mif=True)


@pytest.fixture
def folder(original, tmp_path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "text"))


def test_the_integers_come_back_from_the_coe_files_alone(folder):
    fixed, x = network("text model")
    for path in folder.glob("*/*.mem"):
        path.write_bytes(path.read_bytes())
    loaded = load_pack(folder)
    lowered = lower(fixed.net, x.shape[1:], x.format)
    assert loaded.config == lowered.config
    assert loaded.images.program == lowered.images.program
    assert np.array_equal(loaded.images.weights, lowered.images.weights)
    assert np.array_equal(loaded.images.parameters, lowered.images.parameters)
    assert np.array_equal(loaded.images.tables, lowered.images.tables)
    assert np.array_equal(
        loaded.images.activations[: len(lowered.images.activations)], lowered.images.activations
    )
    assert np.array_equal(loaded.vectors[: len(x)], x.ints.reshape(len(x), -1))
    expected = fixed(FixedArray.from_ints(loaded.vectors.reshape(-1, *x.shape[1:]), x.format))
    assert np.array_equal(loaded.expected, expected.ints.reshape(len(loaded.vectors), -1))


@pytest.mark.parametrize(("lanes", "drain"), [(4, 4), (8, 2), pytest.param(128, 16, marks=pytest.mark.slow)])
def test_a_pack_of_a_wide_drain_comes_back_and_passes_with_its_cycles(lanes, drain, tmp_path):
    fixed, x = network("text model")
    folder = emit(fixed, x, tmp_path / "wide", lanes=lanes, drain=drain, corner_vectors=2)
    loaded, lowered = load_pack(folder), lower(fixed.net, x.shape[1:], x.format, lanes, drain=drain)
    assert loaded.config == lowered.config
    assert loaded.manifest["engine"]["drain"] == drain
    assert np.array_equal(loaded.images.parameters, lowered.images.parameters)
    assert len(loaded.images.parameters) % drain == 0
    assert verify(folder, trace=lanes < 128).passed


@pytest.mark.parametrize(
    ("lanes", "drain", "words"), [(4, 1, 4), (8, 2, 2), pytest.param(64, 16, 8, marks=pytest.mark.slow)]
)
def test_a_pack_whose_lanes_are_in_groups_comes_back_and_passes_with_its_cycles(
    lanes, drain, words, tmp_path
):
    fixed, x = network("text model")
    folder = emit(fixed, x, tmp_path / "words", lanes=lanes, drain=drain, words=words, corner_vectors=2)
    loaded = load_pack(folder)
    lowered = lower(fixed.net, x.shape[1:], x.format, lanes, drain=drain, words=words)
    assert loaded.config == lowered.config
    assert loaded.manifest["engine"]["words"] == words
    assert np.array_equal(loaded.images.parameters, lowered.images.parameters)
    assert verify(folder, trace=True).passed


def test_an_engine_that_reads_one_word_per_clock_is_stated_as_ever(folder):
    assert "words" not in json.loads((folder / "manifest.json").read_text())["engine"]
    assert load_pack(folder).config.words == 1


def test_an_engine_that_drains_one_word_per_clock_is_stated_as_ever(folder):
    assert "drain" not in json.loads((folder / "manifest.json").read_text())["engine"]
    assert load_pack(folder).config.drain == 1


@pytest.mark.parametrize("radix", memory_files.RADIXES)
def test_coe_mem_and_mif_hold_the_same_words(radix, tmp_path):
    fixed, x = network("Dense")
    folder = emit(fixed, x, tmp_path / "dense", radix=radix, mif=True)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    kinds = {entry["kind"] for entry in files.values()}
    assert {"program", "weights", "parameters", "input", "expected"} <= kinds
    for kind in kinds:
        bits = files[manifest.file_name(kind, ".coe")]["bits"]
        words = memory_files.read_coe((folder / manifest.file_name(kind, ".coe")).read_text(), bits)
        assert words == memory_files.read_mem((folder / manifest.file_name(kind, ".mem")).read_text(), bits)
        assert words == memory_files.read_mif((folder / manifest.file_name(kind, ".mif")).read_text(), bits)
        assert len(words) == files[manifest.file_name(kind, ".coe")]["words"]


def test_a_pack_is_emitted_identically_again(original, tmp_path):
    fixed, x = network("text model")
    again = emit(fixed, x, tmp_path / "text", name="text", mif=True)
    first, second = (content(folder) for folder in (original, again))
    assert first == second


def test_the_manifest_states_the_network_the_engine_and_the_cycles(original):
    about = json.loads((original / "manifest.json").read_text())
    assert about["network"] == "text"
    assert about["engine"]["lanes"] == 8
    assert about["cycles"][0] > about["mac_cycles"][0] > 0
    assert about["origins"].count("sample") == 3
    assert about["origins"].count("corner") == 8
    assert {run["layer"] for run in about["runs"]} >= {"lstm.cells.0.cell", "head.out"}
    assert all(name in (original / "listing.txt").read_text() for name in ("lstm.cells.0.cell", "head.out"))


def test_corner_vectors_meet_what_samples_do_not(original):
    fixed, x = network("text model")
    corners = json.loads((original / "manifest.json").read_text())["corners"]
    samples = cover_points.count(lower(fixed.net, x.shape[1:], x.format).program, x)
    missed = [(layer, corner) for layer in samples for corner, hits in samples[layer].items() if not hits]
    found = [corners[layer][corner] for layer, corner in missed]
    assert any(isinstance(hits, int) and hits > 0 for hits in found)
    assert all(
        corners[layer][corner] >= hits for layer in samples for corner, hits in samples[layer].items() if hits
    )


def test_a_corner_out_of_reach_has_its_reason_in_the_manifest(original):
    corners = json.loads((original / "manifest.json").read_text())["corners"]
    reasons = [hits for layer in corners.values() for hits in layer.values() if isinstance(hits, str)]
    assert reasons
    assert all(reason.startswith("unreachable: ") for reason in reasons)


@pytest.mark.parametrize("hits", [-1, 1.5, "never", None, [1]])
def test_a_manifest_that_misstates_corners_is_refused(folder, hits):
    about = json.loads((folder / "manifest.json").read_text())
    layer = next(iter(about["corners"].values()))
    layer["exactly the largest"] = hits
    (folder / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(
        PackError, match=r"cannot be right: corners\[.*\] is .*, not a whole number from 0 on; "
    ):
        load_pack(folder)


def test_ties_are_counted_by_sign_and_parity():
    from fixedpoint_nn.hardware.vectors.cover_points import count
    from fixedpoint_nn.numbers.traced.traced import trace
    from fixedpoint_nn.numerics.qformat import Q

    program = trace(lambda x: x.cast(Quantizer(Q(3, 0), name="here")), (1,), Q(4, 1))
    values = FixedArray.from_ints(np.array([[1], [3], [-1], [-3], [2], [-16], [15]]), Q(4, 1))
    found = count(program, values)["here"]
    assert found["tie, positive, even floor"] == 1  # 0.5
    assert found["tie, positive, odd floor"] == 2  # 1.5, 7.5
    assert found["tie, negative, odd floor"] == 1  # -0.5
    assert found["tie, negative, even floor"] == 1  # -1.5
    assert found["below the smallest"] == 1
    assert found["above the largest"] == 1


def test_an_interrupted_emit_leaves_nothing(tmp_path, monkeypatch):
    fixed, x = network("Dense")

    def dies(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "listing", dies)
    with pytest.raises(KeyboardInterrupt):
        emit(fixed, x, tmp_path / "dense")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_emit_leaves_the_old_pack(folder, monkeypatch):
    fixed, x = network("text model")
    before = content(folder)

    def dies(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "listing", dies)
    with pytest.raises(KeyboardInterrupt):
        emit(fixed, x, folder)
    assert content(folder) == before


def test_a_folder_that_is_no_pack_is_not_replaced(tmp_path):
    fixed, x = network("Dense")
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(PackError, match="exists and is no pack; choose another folder, or remove it"):
        emit(fixed, x, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_changed_file_is_noticed(folder):
    for path in sorted(folder.glob("*/*.coe")):
        text = path.read_text()
        path.write_text(text[:-3] + ("0" if text[-3] != "0" else "1") + text[-2:])
        with pytest.raises(
            PackError, match=f"{path.name} does not have the checksum that the manifest states"
        ):
            load_pack(folder)
        path.write_text(text)
    load_pack(folder)


def test_a_short_or_missing_file_is_noticed(folder):
    path = folder / "images/weights.coe"
    text = path.read_text()
    path.write_text(text[:-20])
    with pytest.raises(PackError, match=r"bytes and .* were written; emit the pack again"):
        load_pack(folder)
    path.unlink()
    with pytest.raises(PackError, match=r"images/weights\.coe is missing; emit the pack again"):
        load_pack(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "has version null and this program reads 2; emit the pack again"),
        ('{"version": 99}', "has version 99 and this program reads 2; emit the pack again"),
        (
            '{"version": 1}',
            "has version 1, which fixedpoint_nn 0.1 wrote, and this program reads 2; emit the pack again",
        ),
        ('{"version": 2}', "cannot be right: it has no 'network'; emit the pack again"),
    ],
)
def test_a_foreign_manifest_is_one_sentence(folder, content, sentence):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(PackError, match=sentence):
        load_pack(folder)


def test_a_folder_without_a_manifest_is_no_pack(tmp_path):
    with pytest.raises(PackError, match=r"holds no manifest\.json; is it a pack that `emit` wrote\?"):
        load_pack(tmp_path)


@pytest.mark.parametrize("kind", ["dense", "image", "text"])
def test_packs_of_random_networks_read_back(kind, tmp_path):
    case = random_network(kind, 3)
    folder = emit(case.fixed, case.batch, tmp_path / kind, lanes=case.lanes, corner_vectors=0)
    loaded = load_pack(folder)
    assert np.array_equal(loaded.expected, case.fixed(case.batch).ints.reshape(len(case.batch), -1))
