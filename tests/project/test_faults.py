# SPDX-License-Identifier: MIT
"""Faults in use: full disks, read-only folders, two runs at once, a killed simulator, damaged, hostile files.

Whatever happens is one sentence; nothing is half-written, and nothing that was there is lost.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixedpoint_nn import Q, emit, layers
from fixedpoint_nn.data import DataError, read_idx
from fixedpoint_nn.data.lines import read_lines, read_tagged_names
from fixedpoint_nn.files import replace
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.hardware.sim.run import Job, SimulationError, simulate
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.serialization import FileError, load, save
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.precision.plan import Plan, PlanError
from fixedpoint_nn.precision.store import ResultStore, StoreError
from fixedpoint_nn.report.record import Record, RecordError
from fixedpoint_nn.training import Adam
from fixedpoint_nn.training.checkpoint import Checkpoint, CheckpointError
from fixedpoint_nn.training.history import History
from tests.proof.faults import survey

WORD = Q(2, 6)
ERRORS = (
    PackError,
    bit_packing.ImageError,
    PlanError,
    FileError,
    DataError,
    CheckpointError,
    StoreError,
    RecordError,
)
damage = settings(
    max_examples=int(os.environ.get("FIXEDPOINT_NN_DAMAGES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def small_pack(folder: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    weight = FixedArray.from_ints(rng.integers(-128, 128, (3, 5)), WORD)
    bias = FixedArray.from_ints(rng.integers(-128, 128, 5), WORD)
    net = Quantized(layers.Dense(weight, bias, out=Quantizer(WORD, name="out")), Quantizer(WORD))
    return emit(
        net, FixedArray.from_ints(rng.integers(-128, 128, (4, 3)), WORD), folder / "pack", corner_vectors=2
    )


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good file of every kind that the project reads."""
    folder = tmp_path_factory.mktemp("originals")
    pack = small_pack(folder)
    Plan({"input": Quantizer(WORD), "weight": None}).save(folder / "plan.json")
    save(Initialiser(0).dense(3, 2), folder / "net.safetensors", {"seed": 0})
    images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + bytes(range(18))
    (folder / "images.idx").write_bytes(images)
    (folder / "images.gz").write_bytes(gzip.compress(images))
    (folder / "names.csv").write_bytes(b"01_prenom;02_genre;03_langage;04_frequence\r\nanna;f;french;1\r\n")
    (folder / "names.txt").write_text("anna\nchloé\njérôme\n", encoding="utf-8")
    for name in ("images/weights.coe", "images/weights.mem", "manifest.json"):
        shutil.copy(pack / name, folder)
    training(folder / "training").save(History({"loss": [0.5]}), {}, seed=1)
    with ResultStore(folder / "results.sqlite") as store:
        for number in range(40):
            store.put(f"point {number}", {"accuracy": number / 40})
    Record(
        "train", "fixedpoint-nn train", "2026-01-01 12:00 UTC", 1.5, {"loss": 0.5}, {"cores": "2"}, folder
    ).save()
    return folder


def training(path: Path) -> Checkpoint:
    return Checkpoint(path, parameters(Initialiser(3).dense(3, 2)), Adam())


def every_result(path: Path) -> list[object]:
    with ResultStore(path) as store:
        return [len(store), *(store.get(f"point {number}") for number in range(40))]


def in_pack(path: Path) -> None:
    """Read a pack in which one file has been replaced by this one."""
    pack = path.parent / "copy"
    shutil.rmtree(pack, ignore_errors=True)
    shutil.copytree(path.parent / "pack", pack)
    inside = pack / path.name if path.name == "manifest.json" else pack / "images" / path.name
    shutil.copy(path, inside)
    load_pack(pack)


READERS: dict[str, Callable[[Path], object]] = {
    "weights.coe": lambda path: memory_files.read_coe(path.read_text(errors="replace"), 64),
    "weights.mem": lambda path: memory_files.read_mem(path.read_text(errors="replace"), 64),
    "manifest.json": in_pack,
    "plan.json": Plan.load,
    "net.safetensors": load,
    "images.idx": read_idx,
    "images.gz": read_idx,
    "names.csv": read_tagged_names,
    "names.txt": read_lines,
    "training": lambda path: training(path).resume(History(), {}, seed=1),
    "results.sqlite": every_result,
    "run-train.json": Record.load,
}


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return 10 < len(text) < 2000 and "\n" not in text and "Traceback" not in text


@pytest.mark.parametrize("name", READERS)
@damage
@given(data=st.data())
def test_a_damaged_file_of_any_kind_is_one_sentence_or_still_a_good_one(name, originals, tmp_path, data):
    content = bytearray((originals / name).read_bytes())
    if data.draw(st.booleans(), label="truncated"):
        del content[data.draw(st.integers(0, len(content) - 1), label="length") :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            bit = data.draw(st.integers(0, 8 * len(content) - 1), label="bit")
            content[bit // 8] ^= 1 << bit % 8
    path = tmp_path / name
    path.write_bytes(content)
    if name == "manifest.json" and not (tmp_path / "pack").exists():
        shutil.copytree(originals / "pack", tmp_path / "pack")
    try:
        READERS[name](path)
    except ERRORS as error:
        assert one_sentence(error)


@pytest.mark.parametrize(
    ("count", "total"),
    [
        pytest.param(9, 290, id="hundreds"),
        pytest.param(345, 10_000, id="ten_thousand", marks=pytest.mark.slow),
    ],
)
def test_damaged_files_of_every_kind_are_read_as_they_were_or_refused_in_a_sentence(count, total):
    """In a process with little memory: flipped, cut, repeated, enormous, and files that lie."""
    lines, whole = survey(count, seed=count)
    assert whole, "\n".join(lines)
    assert int(re.search(r"[\d,]+$", lines[-1])[0].replace(",", "")) >= total  # type: ignore[index]


def content(net: Any) -> list[object]:
    return [repr(net), *(array.data.tobytes() for array in parameters(net).values())]


def test_no_flipped_bit_of_a_saved_network_is_another_network(originals, tmp_path):
    path, blob = tmp_path / "net.safetensors", (originals / "net.safetensors").read_bytes()
    whole, refused = content(load(originals / "net.safetensors")), 0
    for bit in range(8 * len(blob)):
        path.write_bytes(blob[: bit // 8] + bytes([blob[bit // 8] ^ 1 << bit % 8]) + blob[bit // 8 + 1 :])
        try:
            assert content(load(path)) == whole
        except FileError as error:
            assert one_sentence(error)
            refused += 1
    assert refused > 7 * len(blob)


def test_no_flipped_bit_of_a_checkpoint_continues_another_training(originals, tmp_path):
    blob = (originals / "training").read_bytes()
    for bit in range(8 * len(blob)):
        path = tmp_path / "training"
        path.write_bytes(blob[: bit // 8] + bytes([blob[bit // 8] ^ 1 << bit % 8]) + blob[bit // 8 + 1 :])
        found, history = training(path), History()
        try:
            found.resume(history, {}, seed=1)
        except CheckpointError as error:
            assert one_sentence(error)
        else:
            whole = training(originals / "training")
            assert history.curves == {"loss": [0.5]}
            assert all(
                np.array_equal(found.parameters[name].data, whole.parameters[name].data)
                for name in whole.parameters
            )


HOSTILE = {
    "deep nesting": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "a huge number": '{"version": 1, "vectors": ' + "9" * 5000 + "}",
    "no object": "17",
    "nothing": "",
    "not text": "\x00\xff",
    "constants that are not JSON": '{"version": 1, "vectors": NaN}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", ["manifest.json", "plan.json"])
def test_hostile_json_is_one_sentence(name, text, originals, tmp_path):
    shutil.copytree(originals / "pack", tmp_path / "pack")
    (tmp_path / name).write_text(text)
    with pytest.raises((PackError, PlanError)) as caught:
        READERS[name](tmp_path / name)
    assert one_sentence(caught.value)


def stated(folder: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    about = json.loads((folder / "manifest.json").read_text())
    change(about)
    (folder / "manifest.json").write_text(json.dumps(about))


LIES = {
    "a file above the pack": lambda m: m["files"].update({"../secret": m["files"]["images/weights.coe"]}),
    "an absolute file": lambda m: m["files"].update({"/etc/passwd": m["files"]["images/weights.coe"]}),
    "a folder": lambda m: m["files"].update({"..": m["files"]["images/weights.coe"]}),
    "a name with a NUL": lambda m: m["files"].update({"a\0b": m["files"]["images/weights.coe"]}),
    "huge vectors": lambda m: m.update(vectors=10**18),
    "huge words": lambda m: m["files"]["images/weights.coe"].update(words=10**18),
    "a huge memory": lambda m: m["engine"].update(activation_depth=10**12),
    "a word of no bits": lambda m: m["files"]["images/weights.coe"].update(bits=0),
    "a negative word": lambda m: m["files"]["images/weights.coe"].update(bits=-5),
    "lanes as text": lambda m: m["engine"].update(lanes="8"),
    "an unknown parameter": lambda m: m["engine"].update(volume=11),
    "a huge shape": lambda m: m["input"].update(shape=[10**9, 10**9]),
    "a negative shape": lambda m: m["input"].update(shape=[-3]),
    "a format that is code": lambda m: m["input"].update(format="__import__('os')"),
    "files as a list": lambda m: m.update(files=[]),
    "cycles as text": lambda m: m.update(cycles=["many"]),
    "runs without places": lambda m: m.update(runs=[{}]),
    "weights that are no hash": lambda m: m.update(weights="mine"),
    "an input beyond the memory": lambda m: m["input"].update(address=10**6),
    "words of other bits": lambda m: m["files"]["images/weights.coe"].update(bits=63),
    "a seed that is no number": lambda m: m.update(seed=None),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_manifest_that_lies_is_one_sentence(lie, originals, tmp_path):
    (tmp_path / "secret").write_text("not yours")
    pack = Path(shutil.copytree(originals / "pack", tmp_path / "pack"))
    stated(pack, lie)
    with pytest.raises(PackError) as caught:
        load_pack(pack)
    assert one_sentence(caught.value)
    assert "not yours" not in str(caught.value)
    assert str(verify(pack)) == f"FAIL: {caught.value}"


def test_a_huge_file_is_refused_before_it_is_read(originals, tmp_path):
    pack = Path(shutil.copytree(originals / "pack", tmp_path / "pack"))
    for name in ("images/weights.coe", "manifest.json"):
        with (pack / name).open("r+b") as file:
            file.truncate(1 << 40)  # a file with a hole: a terabyte that takes no place
        with pytest.raises(PackError) as caught:
            load_pack(pack)
        assert one_sentence(caught.value)


@pytest.mark.parametrize("header", [1 << 62, (1 << 64) - 1, 1 << 31, 0])
def test_a_safetensors_header_of_impossible_size_is_one_sentence(header, tmp_path):
    (tmp_path / "net").write_bytes(header.to_bytes(8, "little") + b"{}")
    with pytest.raises(FileError) as caught:
        load(tmp_path / "net")
    assert one_sentence(caught.value)


def test_an_idx_header_of_impossible_size_needs_no_memory(tmp_path):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 4]) + b"\xff" * 16 + b"abc")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError) as caught:
        read_idx(tmp_path / "a")
    assert one_sentence(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64_000  # KiB


# ---- disk and folders --------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_pack_and_no_half_of_a_new_one(tmp_path, monkeypatch):
    pack = small_pack(tmp_path)
    before = {str(path.relative_to(pack)): path.read_bytes() for path in pack.rglob("*") if path.is_file()}
    written = Path.write_text

    def full(path: Path, text: str, *rest: object, **named: object) -> int:
        if path.name == "weights.mem":
            written(path, text[: len(text) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return written(path, text, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        small_pack(tmp_path, seed=1)
    assert {
        str(path.relative_to(pack)): path.read_bytes() for path in pack.rglob("*") if path.is_file()
    } == before
    assert list(tmp_path.iterdir()) == [pack]


def test_a_plan_that_meets_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    Plan({"input": Quantizer(WORD)}).save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        Plan({"input": None}).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").is_dir(), reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    # /proc refuses new files even to root.
    place = Path("/proc/fixedpoint_nn") if os.geteuid() == 0 else tmp_path
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    with pytest.raises(OSError) as caught:
        small_pack(place)
    assert caught.value.filename in (str(place), str(place / "pack"))  # no name that nobody asked for
    assert not (place / "pack").exists()


@pytest.mark.parametrize("exchanges", [True, False])
def test_runs_in_one_folder_at_once_leave_one_whole_pack(exchanges, tmp_path, monkeypatch):
    """Each takes the place of what it finds, as if they had come one after the other."""
    place = tmp_path / "here" / "pack"
    packs = [small_pack(tmp_path / f"of {seed}", seed) for seed in range(6)]
    place.parent.mkdir()
    monkeypatch.setattr(
        os, "fsync", lambda handle: None
    )  # which takes most of the time, and decides nothing here
    if not exchanges:
        monkeypatch.setattr(replace, "exchange", lambda *_: False)

    def again(pack: Path) -> None:
        for _ in range(100):
            with replace.replaced(place) as new:
                shutil.copytree(pack, new, dirs_exist_ok=True)

    with ThreadPoolExecutor(len(packs)) as pool:
        for done in [pool.submit(again, pack) for pack in packs] + [pool.submit(small_pack, place.parent)]:
            done.result()
    load_pack(place)
    assert list(place.parent.iterdir()) == [place]


def test_a_pack_whose_place_cannot_be_taken_is_there_again(tmp_path, monkeypatch):
    pack, renamed = small_pack(tmp_path), Path.rename
    before = (pack / "manifest.json").read_bytes()
    monkeypatch.setattr(replace, "exchange", lambda *_: False)

    def refused(path: Path, target: Path) -> Path:
        if target == pack and not pack.exists() and path.name != "old":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return renamed(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="Input/output error"):
        small_pack(tmp_path, seed=1)
    assert (pack / "manifest.json").read_bytes() == before
    assert list(tmp_path.iterdir()) == [pack]


def test_a_simulator_killed_half_way_is_one_sentence(originals, tmp_path, monkeypatch):
    pack = load_pack(originals / "pack")
    killed = tmp_path / "killed"
    killed.write_text(
        "#!/bin/sh\nfor word; do case $word in +results=*) "
        "echo '# 0 70 9 0 0 0' >\"${word#+results=}\";; esac; done\n"
        "echo 'PASS: 1'\nkill -9 $$\n"
    )
    killed.chmod(0o755)
    monkeypatch.setattr("fixedpoint_nn.hardware.sim.run.compiled", lambda *_, **__: [str(killed)])
    job = Job(pack.config, pack.mem_files(), pack.input, pack.output)
    with pytest.raises(SimulationError, match=r"^iverilog was killed by signal 9 before it had finished$"):
        simulate(job, pack.vectors)
