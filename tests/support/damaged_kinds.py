# SPDX-License-Identifier: MIT
"""Every kind of file that the project reads: a good one, how it is read, and how it is damaged."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors

from fixedpoint_nn import Q, emit, layers
from fixedpoint_nn.data import DataError, read_idx
from fixedpoint_nn.data.lines import read_lines, read_tagged_names
from fixedpoint_nn.hardware.isa.bit_packing import ImageError
from fixedpoint_nn.hardware.pack import memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import load_pack
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.serialization import FileError, identity, load, load_metadata, save, with_checksum
from fixedpoint_nn.network.tree import parameters
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.precision.plan import Plan, PlanError
from fixedpoint_nn.precision.store import ResultStore, StoreError
from fixedpoint_nn.report.record import Record, RecordError
from fixedpoint_nn.report.shapes import RESULTS
from fixedpoint_nn.training import Adam
from fixedpoint_nn.training.checkpoint import Checkpoint, CheckpointError
from fixedpoint_nn.training.history import History
from fixedpoint_nn.zoo.search import Real, search
from fixedpoint_nn.zoo.search_storage import SearchError
from tests.support.damage import BINARY, changed, flipped, lie

Damage = Callable[[bytes, random.Random], bytes]
ERRORS = (
    PackError, ImageError, PlanError, FileError, DataError, CheckpointError, StoreError, RecordError, SearchError
)  # fmt: skip
WORD = Q(2, 6)


@dataclass(frozen=True)
class Kind:
    """`make` writes a good file into a folder and gives its path; `read` gives what can be compared."""

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    damages: tuple[Damage, ...] = BINARY
    by_hand: bool = False  # has no checksum: another valid file is no damage


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


# ---- networks --------------------------------------------------------------------------------------------


def small_network(folder: Path) -> Path:
    init = Initialiser(0)
    net = layers.Sequential(
        conv=init.conv(1, 2, 3),
        relu=layers.ReLU(),
        flat=layers.Flatten(),
        lstm=init.lstm(3, 2),
        drop=layers.Dropout(0.25),
        fc=init.dense(3, 2),
    )
    save(net, folder / "net.safetensors", {"network": "lenet", "seed": 0})
    return folder / "net.safetensors"


def fixed_network(folder: Path) -> Path:
    ints = FixedArray.from_ints(np.arange(6).reshape(3, 2), WORD)
    quantizer = Quantizer(WORD)
    net = layers.Sequential(fc=layers.Dense(ints, None, out=Quantizer(WORD, name="fc.out")))
    save(Quantized(net, quantizer), folder / "fixed.safetensors", {})
    return folder / "fixed.safetensors"


def read_network(path: Path) -> object:
    return identity(load(path)), load_metadata(path)


def matching(notes: Mapping[str, Any], content: bytes) -> object:
    """The checksum that a checkpoint of these notes would have."""
    try:
        return with_checksum(notes, load_tensors(content))["sha256"]
    except (TypeError, ValueError):
        return None


def sealed_again(content: bytes, rng: random.Random) -> bytes:
    """A liar who knows the format: header and structure are changed, lengths and checksum left out or made to fit."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    key = next(iter(header["__metadata__"]))
    if rng.random() < 0.7:
        notes = json.loads(header["__metadata__"][key])
        sealed = notes.pop("sha256", None) if "history" in notes else None
        if "net" in notes and rng.random() < 0.9:
            notes["net"] = changed(notes["net"], rng)
        else:
            notes = changed(notes, rng)
        if sealed and isinstance(notes, dict):
            notes["sha256"] = matching(notes, content)
        header["__metadata__"][key] = json.dumps(notes)
    else:
        header = changed(header, rng)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


# ---- packs -----------------------------------------------------------------------------------------------


def small_pack(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    weight = FixedArray.from_ints(rng.integers(-128, 128, (3, 5)), WORD)
    bias = FixedArray.from_ints(rng.integers(-128, 128, 5), WORD)
    net = Quantized(layers.Dense(weight, bias, out=Quantizer(WORD, name="out")), Quantizer(WORD))
    samples = FixedArray.from_ints(rng.integers(-128, 128, (4, 3)), WORD)
    return emit(net, samples, folder / "pack", corner_vectors=2, weights="ab" * 32)


def file_of_pack(name: str) -> Callable[[Path], Path]:
    return lambda folder: small_pack(folder) / name


def read_pack(path: Path) -> object:
    pack = load_pack(path.parents[len(path.parents) - 1 - path.parts.index("pack")])
    arrays = (pack.images.weights, pack.images.parameters, pack.images.tables, pack.images.activations)
    numbers = [array.tobytes() for array in (*arrays, pack.vectors, pack.expected)]
    return pack.config, pack.images.program, numbers, pack.input, pack.output


def read_pack_with_matching_checksum(path: Path) -> object:
    """The manifest agrees with the damaged file: the words themselves must be refused, or be words."""
    manifest = path.parents[1] / "manifest.json"
    before = manifest.read_text()
    about = json.loads(before)
    entry = about["files"][f"{path.parent.name}/{path.name}"]
    entry |= {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(about))
    try:
        return read_pack(path)
    finally:
        manifest.write_text(before)


# ---- everything else ---------------------------------------------------------------------------------------


def plan(folder: Path) -> Path:
    Plan({"input": Quantizer(WORD), "weight": None, "fc.out": Quantizer(WORD)}).save(folder / "plan.json")
    return folder / "plan.json"


def read_plan(path: Path) -> object:
    found = Plan.load(path)
    assert Plan.from_json(found.to_json()) == found
    return found.to_json()


def training(path: Path) -> Checkpoint:
    return Checkpoint(path, parameters(Initialiser(3).dense(3, 2)), Adam())


def checkpoint(folder: Path) -> Path:
    found = training(folder / "checkpoint.safetensors")
    for parameter in found.parameters.values():
        parameter.grad = np.ones_like(parameter.data)
    found.optimiser.step(found.parameters)
    history = History({"loss": [0.5, 0.25], "train_loss": [0.5, 0.2]}, best_epoch=1)
    found.save(history, {path: value.data for path, value in found.parameters.items()}, seed=1)
    return found.path


def read_checkpoint(path: Path) -> object:
    found, history, best = training(path), History(), {}  # type: ignore[var-annotated]
    found.resume(history, best, seed=1)
    weights = {name: value.data.tobytes() for name, value in found.parameters.items()}
    moments = {
        name: {key: a.tobytes() for key, a in state.items()} for name, state in found.optimiser.state.items()
    }
    return weights, moments, {name: a.tobytes() for name, a in best.items()}, history, found.optimiser.steps


RESULTS_OF: Mapping[str, dict[str, Any]] = {
    "train": {
        "network": "moons",
        "epochs": 3,
        "seed": 0,
        "seconds": 1.5,
        "result": {"loss": 0.5},
        "source": "moons",
    },
    "verify": {"network": "moons", "passed": True, "text": "PASS: 4 vectors", "simulator": "Icarus Verilog"},
}


def record(command: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        line = f"fixedpoint-nn {command} moons"
        return Record(
            command, line, "2026-01-01 12:00 UTC", 1.5, RESULTS_OF[command], {"cores": "2"}, folder
        ).save()

    return make


def read_record(path: Path) -> object:
    found = Record.load(path)
    if found.command in RESULTS:
        found.demand_complete()
    return found


def unsealed_lie(content: bytes, rng: random.Random) -> bytes:
    """A lie in a record that carries no checksum."""
    try:
        code = json.loads(content)
        code.pop("sha256", None)
        return lie(json.dumps(code).encode(), rng)
    except (ValueError, AttributeError):
        return flipped(content, rng)


def point(number: int) -> dict[str, Any]:
    return {"accuracy": number / 40, "saturated": {"fc": number}}


def store(folder: Path) -> Path:
    path = folder / "results.sqlite"
    with ResultStore(path) as results:
        for number in range(12):
            results.put(f"point {number}", point(number))
    return path


def read_store(path: Path) -> object:
    """Every result is the one that was kept, or is not there and will be computed again."""
    with ResultStore(path) as results:
        len(results)
        found = {number: results.get(f"point {number}") for number in range(12)}
        results.put("another point", {"accuracy": 0.5})
        return [number for number, result in found.items() if result not in (None, point(number))]


def lying_row(content: bytes, rng: random.Random) -> bytes:
    """A whole store in which somebody wrote something else into a row, or made another table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store")
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as connection:
            if rng.random() < 0.8:
                old = connection.execute("SELECT result FROM results WHERE key = 'point 3'").fetchone()[0]
                text = str(old).partition(" ")[2]  # without its checksum, as 0.1.0 kept it
                new: Any = lie(text.encode(), rng).decode("utf-8", "replace")
                new = rng.choice((new, new, new, new.encode(), 17, 0.5))
                connection.execute("UPDATE results SET result = ? WHERE key = 'point 3'", (new,))
            else:
                connection.execute("DROP TABLE results")
                table = rng.choice(
                    ("results (key TEXT)", "results (result)", "other (key)", "results (a, b, c)")
                )
                connection.execute(f"CREATE TABLE {table}")
            connection.commit()
        return path.read_bytes()


def study(folder: Path) -> Path:
    """The storage of a hyperparameter search with a few trials."""
    path = folder / "search.db"
    search("moons", {"rate": Real(1e-3, 1e-1)}, 2, path, epochs=1, limit=40)
    return path


def read_study(path: Path) -> object:
    found = search("moons", {"rate": Real(1e-3, 1e-1)}, 2, path, epochs=1, limit=40)
    return found.best, found.loss


IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 3]) + bytes(range(18))
CSV = "01_prenom;02_genre;03_langage;04_frequence\r\nanna;f;french;1\r\nchloé;f;french, greek;0\r\n"
MIF = memory_files.write_mif(list(range(9)), 64).encode()


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def words_of(read: Callable[..., list[int]]) -> Callable[[Path], object]:
    return lambda path: read(text_of(path), 64, str(path))


def array_of(path: Path) -> object:
    array = read_idx(path)
    return array.shape, array.dtype.str, array.tobytes()


JSON = (lie, lie, lie, *BINARY)
KINDS: dict[str, Kind] = {
    "network": Kind(small_network, read_network),
    "network, a lie": Kind(small_network, read_network, (sealed_again,), by_hand=True),
    "fixed network": Kind(fixed_network, read_network),
    "fixed network, a lie": Kind(fixed_network, read_network, (sealed_again,), by_hand=True),
    "manifest": Kind(file_of_pack("manifest.json"), read_pack, JSON, by_hand=True),
    **{
        f"pack, {name}": Kind(file_of_pack(name), read_pack)
        for name in (
            "images/program.coe", "images/weights.coe", "images/parameters.coe", "images/weights.mem",
            "vectors/input.coe", "vectors/expected.mem",
        )
    },
    **{
        f"pack with its checksum, {name}": Kind(
            file_of_pack(name), read_pack_with_matching_checksum, by_hand=True
        )
        for name in ("images/program.coe", "images/weights.coe", "images/parameters.coe", "vectors/input.coe")
    },
    "coe": Kind(file_of_pack("images/weights.coe"), words_of(memory_files.read_coe), by_hand=True),
    "mem": Kind(file_of_pack("images/weights.mem"), words_of(memory_files.read_mem), by_hand=True),
    "mif": Kind(written("a.mif", MIF), words_of(memory_files.read_mif), by_hand=True),
    "plan": Kind(plan, read_plan, JSON, by_hand=True),
    "checkpoint": Kind(checkpoint, read_checkpoint),
    "checkpoint, a lie": Kind(checkpoint, read_checkpoint, (sealed_again,), by_hand=True),
    "record of a training": Kind(record("train"), read_record),
    "record of a training, a lie": Kind(record("train"), read_record, (unsealed_lie,), by_hand=True),
    "record of a verification, a lie": Kind(record("verify"), read_record, (unsealed_lie,), by_hand=True),
    "sweep's store": Kind(store, read_store),
    "sweep's store, a lie": Kind(store, read_store, (lying_row,), by_hand=True),
    "search's store": Kind(study, read_study, by_hand=True),
    "idx": Kind(written("a.idx", IMAGES), array_of, by_hand=True),
    "gz": Kind(written("a.gz", gzip.compress(IMAGES, mtime=0)), array_of, by_hand=True),
    "csv": Kind(written("a.csv", CSV.encode("iso-8859-1")), read_tagged_names, by_hand=True),
    "txt": Kind(written("a.txt", "anna\nchloé\njérôme\n".encode()), read_lines, by_hand=True),
}  # fmt: skip
