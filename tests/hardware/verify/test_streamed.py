# SPDX-License-Identifier: MIT
"""Packs whose weights come from outside: written, read back, verified at a fixed rate and with random pauses."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from fixedpoint_nn import calibrate, emit, quantize
from fixedpoint_nn.board.boards import find_board
from fixedpoint_nn.board.build import fitting_config
from fixedpoint_nn.board.export.export import export
from fixedpoint_nn.board.identity import Identity
from fixedpoint_nn.cli import main
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.tools.weight_rate import by_rate, layers, with_memory
from fixedpoint_nn.hardware.verify.readback import verify_readback
from fixedpoint_nn.hardware.verify.selftest import selftest
from fixedpoint_nn.hardware.verify.verify import verify
from tests.support.small_networks import small_network

WINDOW, MEMORY = 40, WeightMemory(6, 30)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net, inputs = small_network("cnn")
    fixed = quantize(net, calibrate(net, inputs, word=8))
    place = tmp_path_factory.mktemp("packs") / "cnn"
    return emit(
        fixed, inputs[:2], place, lanes=4, corner_vectors=0, weight_window=WINDOW, weight_memory=MEMORY
    )


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "cnn"))


def change(folder: Path, **entries: Any) -> None:
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(about | entries))


def test_the_pack_holds_the_stream_and_what_is_waited_for(original: Path) -> None:
    pack = load_pack(original)
    assert (pack.config.weight_window, pack.memory) == (WINDOW, MEMORY)
    bits = 4 * pack.config.weight_width
    words = memory_files.read_mem((original / "images/stream.mem").read_text(), bits)
    assert len(words) == len(pack.images.stream) == sum(run.get("rows", 0) for run in pack.manifest["runs"])
    assert pack.stalls == [sum(run.get("stalls", 0) for run in pack.manifest["runs"])] * 2
    assert pack.stalls[0] > 0


@pytest.mark.parametrize("pauses", [None, 1, 2])
def test_it_passes_at_its_rate_and_with_random_pauses(original: Path, pauses: int | None) -> None:
    verdict = verify(original, pauses=pauses, trace=pauses == 2)
    assert re.match(r"PASS: 2 vectors, 10 words, \d+ cycles, \d+ of them waiting for weights", verdict.text)


@pytest.mark.parametrize("name", ["cycles", "stalls"])
def test_one_cycle_more_or_less_fails(folder: Path, name: str) -> None:
    first, second = json.loads((folder / "manifest.json").read_text())[name]
    verb, rest = ("took", "") if name == "cycles" else ("waited", " for its weights")
    for by in (1, -1):
        change(folder, **{name: [first, second + by]})
        sentence = f"FAIL: vector 1 {verb} {second} cycles{rest} and {second + by} were predicted"
        assert verify(folder).text == sentence


def test_another_memory_than_the_one_predicted_for_fails(folder: Path) -> None:
    change(folder, weight_memory={"clocks": 7, "latency": 30})
    assert re.match(r"FAIL: vector 0 took \d+ cycles and \d+ were predicted", verify(folder).text)


def test_a_wrong_row_is_found(folder: Path) -> None:
    about = json.loads((folder / "manifest.json").read_text())
    bits = about["files"]["images/stream.mem"]["bits"]
    words = memory_files.read_mem((folder / "images/stream.mem").read_text(), bits)
    words[-1] ^= 0x01010101
    for suffix, write in ((".coe", memory_files.write_coe), (".mem", memory_files.write_mem)):
        name = f"images/stream{suffix}"
        (folder / name).write_text(write(words, bits))
        content = (folder / name).read_bytes()
        about["files"][name] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(about))
    assert "FAIL: vector 0, output element" in verify(folder).text


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"weight_memory": {"clocks": 0, "latency": 1}}, "clocks"),
        ({"stalls": [1]}, "stalls are stated of 1 vectors, and there are 2"),
    ],
    ids=str,
)
def test_a_manifest_that_contradicts_itself_is_refused(
    folder: Path, entries: dict[str, Any], sentence: str
) -> None:
    change(folder, **entries)
    with pytest.raises(PackError, match=sentence):
        load_pack(folder)


def test_a_manifest_without_the_memory_is_refused(folder: Path) -> None:
    about = json.loads((folder / "manifest.json").read_text())
    del about["weight_memory"]
    (folder / "manifest.json").write_text(json.dumps(about))
    with pytest.raises(PackError, match="the engine has a weight_window, and 'weight_memory' is missing"):
        load_pack(folder)


def test_pauses_of_a_pack_that_holds_its_weights_are_refused(tmp_path: Path) -> None:
    net, inputs = small_network("mlp")
    place = emit(
        quantize(net, calibrate(net, inputs, word=8)), inputs[:1], tmp_path / "mlp", corner_vectors=0
    )
    assert (
        verify(place, pauses=1).text
        == f"FAIL: {place} has all of its weights in the engine; leave the pauses out"
    )


def test_what_needs_all_weights_in_the_engine_says_so(original: Path, tmp_path: Path) -> None:
    pack = load_pack(original)
    rest = "needs all weights in the engine, and this pack streams them through a window of 40 rows; emit it without"
    assert verify_readback(original).text.startswith(f"FAIL: Readback {rest}")
    for what, refuse in (
        ("Readback", lambda: selftest(pack)),
        ("An export", lambda: export(pack, tmp_path / "export")),
        ("An engine on a board", lambda: fitting_config(pack, find_board("ulx3s"))),
        ("An engine on a board", lambda: Identity(pack.config, 1, 1).refuse(pack.config, "the pack")),
    ):
        with pytest.raises(PackError, match=f"{what} {rest} --weight-window"):
            refuse()


def test_faster_memories_are_waited_for_less(original: Path) -> None:
    pack = load_pack(original)
    plans = dict(by_rate(pack, (1, 12)))
    assert [memory.clocks for memory in plans] == [1, 6, 12]
    cycles = [plan.cycles for plan in plans.values()]
    assert cycles == sorted(cycles) and plans[MEMORY].cycles == pack.cycles[0]
    assert with_memory(pack, None).cycles < cycles[0] and with_memory(pack, None).stalls == 0
    assert sum(one.rows for one in layers(pack)) == len(pack.images.stream)
    assert sum(one.stalls for one in layers(pack)) == plans[MEMORY].stalls


def test_emit_prints_what_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = [
        "emit",
        "moons",
        "--word",
        "8",
        "--vectors",
        "1",
        "--corners",
        "0",
        "--out",
        str(tmp_path / "moons"),
    ]
    assert main([*quick, "--weight-window", "16", "--weight-clocks", "4", "--weight-latency", "9"]) == 0
    text = capsys.readouterr().out
    pack = load_pack(tmp_path / "moons")
    assert text.startswith(
        "52 rows of weights through a window of 16, 0 resident; a row every 4 clocks, the first after 9:"
    )
    assert f"   4: {pack.cycles[0]:>12,} clocks, {pack.stalls[0]:,} waiting" in text  # type: ignore[index]
    assert main(["verify", str(tmp_path / "moons"), "--pauses", "3"]) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--weight-clocks", "2"],
            "--weight-clocks and --weight-latency are of --weight-window; say its rows too",
        ),
        (
            ["--weight-window", "1"],
            "--weight-window 1 cannot be filled while it is read; use at least 2 rows",
        ),
        (
            ["--weight-window", "9", "--budget", "xc7a35t"],
            "a budget chooses an engine that holds all weights; use --lanes with --weight-window",
        ),
    ],
    ids=str,
)
def test_options_that_contradict_each_other_are_refused(
    options: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["emit", "moons", "--word", "8", "--out", str(tmp_path / "x"), *options]) == 2
    assert sentence in capsys.readouterr().err
