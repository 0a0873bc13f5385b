# SPDX-License-Identifier: MIT
"""Reading packs, with every checksum verified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.files.replace import heal
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import SHIFT_BITS, EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.instructions import AssemblyError
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.manifest_shape import (
    demand_halves,
    demand_manifest,
    demand_port,
    depth,
    word_bits,
)
from fixedpoint_nn.hardware.pack.memory_files import MemoryImage
from fixedpoint_nn.hardware.pack.writer import (
    STATUS,
    VECTORS,
)
from fixedpoint_nn.network.json_shapes import ShapeError
from fixedpoint_nn.numerics.arrays import Ints

STATUS_FILE = manifest.file_name("status", ".coe")
IMAGES = ("program", "weights", "parameters", "tables", "activations")
STREAM = "stream"  # the image of streamed weights


@dataclass(frozen=True)
class Pack:
    """A pack in memory: engine, images and vectors, from its .coe files."""

    directory: Path
    manifest: Mapping[str, Any]
    config: EngineConfig
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints
    status: Ints | None = None  # (vectors, status registers), of packs that state them
    halves: Halves | None = None  # of a pack whose next input may be written while the engine computes

    @property
    def name(self) -> str:
        """The network's name in the manifest."""
        return str(self.manifest["network"])

    @property
    def weights(self) -> str | None:
        """The hash of the float network that was quantised; None if the manifest has none."""
        return self.manifest.get("weights")

    @property
    def cycles(self) -> list[int]:
        """The predicted cycles of each vector."""
        return [int(cycles) for cycles in self.manifest["cycles"]]

    @property
    def batch(self) -> int:
        """The samples of each vector, which one run of the program computes."""
        return int(self.manifest.get("batch", 1))

    @property
    def memory(self) -> WeightMemory | None:
        """The memory of streamed weights, if any."""
        about = self.manifest.get("weight_memory")
        return None if about is None else WeightMemory(about["clocks"], about["latency"])

    @property
    def stalls(self) -> list[int] | None:
        """The predicted stalls for streamed weights of each vector, in cycles, if any are streamed."""
        return self.manifest.get("stalls")

    @property
    def seed(self) -> int:
        """The seed of the noise generator for the first vector; vector n has seed + n."""
        return int(self.manifest["seed"])

    def mem_files(self) -> dict[str, MemoryImage]:
        """The image files for `$readmemh`, by memory."""
        files = self.manifest["files"]
        kinds = (*IMAGES, STREAM) if self.config.weight_window else IMAGES
        names = {kind: manifest.file_name(kind, ".mem") for kind in kinds}
        return {
            kind: MemoryImage(self.directory / name, files[name]["words"] if name in files else 0)
            for kind, name in names.items()
        }


def load_pack(directory: str | Path) -> Pack:
    """Read a pack from its folder; the integers come from the .coe files alone.

    Every checksum is verified; a damaged or incomplete pack raises PackError. A pack that is replaced during the call
    is read again, so the result is the old pack or the new one.

    >>> pack = load_pack("golden_vectors/moons")  # doctest: +SKIP
    >>> pack.config.lanes, pack.vectors.shape, pack.cycles[0]  # doctest: +SKIP
    """
    directory = Path(directory)
    while True:
        heal(directory)
        before = pack_identity(directory)
        try:
            return _load(directory)
        except (PackError, OSError):
            if pack_identity(directory) == before:
                raise


def pack_identity(directory: Path) -> tuple[int, ...]:
    """A value that changes as soon as another pack replaces this one, even if it gets the same inode number."""
    try:
        about = directory.stat()
    except OSError:
        return ()
    return about.st_dev, about.st_ino, about.st_ctime_ns


def _load(directory: Path) -> Pack:
    """The pack in this folder; every file is checked against the manifest. Raises PackError."""
    about = manifest.read(directory)
    path = directory / manifest.NAME
    try:
        config, ports = _stated(about)
    except (ShapeError, AssemblyError) as error:
        raise PackError(f"{path} cannot be right: {error}; emit the pack again") from None
    files = about["files"]
    try:
        for name, entry in files.items():
            verify_file(directory / name, entry)
        words = {
            kind: _from_coe(directory, kind, files, config) for kind in (*IMAGES, STREAM, *VECTORS, "status")
        }
        images = _images(words, config)
        bits, vectors = config.activation_width, about["vectors"]
        rows = [
            _vectors(words[kind], bits, vectors, port, directory / manifest.file_name(kind, ".coe"))
            for kind, port in zip(VECTORS, ports, strict=True)
        ]
        status = _status(words["status"], vectors, directory) if STATUS_FILE in files else None
    except bit_packing.ImageError as error:
        raise PackError(f"{error}; emit the pack again") from None
    except MemoryError:
        raise PackError(f"{directory} does not fit into the memory; emit it with fewer vectors") from None
    halves = manifest.read_halves(about.get("ahead"), ports[0])
    return Pack(directory, about, config, images, ports[0], ports[1], rows[0], rows[1], status, halves)


def _stated(about: Mapping[str, Any]) -> tuple[EngineConfig, tuple[Port, Port]]:
    """(engine, (input port, output port)) of the manifest; raises PackError."""
    demand_manifest(about)
    config = EngineConfig(**about["engine"])
    ports = manifest.read_port(about["input"]), manifest.read_port(about["output"])
    for port, name in zip(ports, ("input", "output"), strict=True):
        demand_port(port, config.activation_depth, name)
    demand_halves(manifest.read_halves(about.get("ahead"), ports[0]), config)
    return config, ports


def _vectors(words: list[int], bits: int, vectors: int, port: Port, path: Path) -> Ints:
    if len(words) != vectors * port.words:
        raise PackError(
            f"{path} holds {len(words)} words, and {vectors} vectors of {port.words} are stated; "
            "emit the pack again"
        )
    return np.array(bit_packing.signed(words, bits), np.int64).reshape(vectors, port.words)


def _status(words: list[int], vectors: int, directory: Path) -> Ints:
    if len(words) != vectors * len(STATUS):
        raise PackError(
            f"{directory / STATUS_FILE} holds {len(words)} words, and {vectors} vectors of {len(STATUS)} registers "
            "are stated; emit the pack again"
        )
    return np.array(words, np.int64).reshape(vectors, len(STATUS))


def verify_file(path: Path, entry: Mapping[str, Any]) -> None:
    """Raise PackError unless the file has the size and checksum of its manifest entry."""
    if not path.is_file():
        raise PackError(f"{path} is missing; emit the pack again")
    size = path.stat().st_size  # before reading, because it may be huge
    if size != entry["bytes"]:
        raise PackError(f"{path} has {size} bytes and {entry['bytes']} were written; emit the pack again")
    with path.open("rb") as file:
        found = hashlib.sha256()
        while block := file.read(1 << 20):
            found.update(block)
    if found.hexdigest() != entry["sha256"]:
        raise PackError(f"{path} does not have the checksum that the manifest states; emit the pack again")


def _from_coe(directory: Path, kind: str, files: Mapping[str, Any], config: EngineConfig) -> list[int]:
    """The words of one kind of file, with width and number as the manifest and the engine state."""
    name = manifest.file_name(kind, ".coe")
    if name not in files:
        return []
    path, entry, bits = directory / name, files[name], word_bits(config, kind)
    if entry["bits"] != bits:
        raise PackError(
            f"{path} has words of {entry['bits']} bits by the manifest, and of {bits} by its engine; "
            "emit the pack again"
        )
    words = memory_files.read_coe(path.read_bytes().decode("ascii", "replace"), bits, str(path))
    if len(words) != entry["words"]:
        raise PackError(
            f"{path} holds {len(words)} words and {entry['words']} are stated; emit the pack again"
        )
    room = depth(config, kind)
    if room is not None and len(words) > room:
        raise PackError(
            f"{path} holds {len(words)} words, and the engine has room for {room}; emit the pack again"
        )
    return words


def _images(words: Mapping[str, list[int]], config: EngineConfig) -> Images:
    """The images from bit patterns."""
    lanes = config.lanes
    rows = bit_packing.unpack(words["activations"], lanes, config.activation_width)
    return Images(
        list(words["program"]),
        _rows(words["weights"], config),
        _parameters(bit_packing.unpack(words["parameters"], config.drain, config.channel_width), config),
        np.array(bit_packing.signed(words["tables"], config.activation_width), np.int64),
        np.array([bit_packing.signed(row, config.activation_width) for row in rows], np.int64).reshape(-1),
        _rows(words[STREAM], config),
    )


def _rows(words: list[int], config: EngineConfig) -> Ints:
    """Weights (rows, lanes) from wide words."""
    rows = bit_packing.unpack(words, config.lanes, config.weight_width)
    table: Ints = np.array([bit_packing.signed(row, config.weight_width) for row in rows], np.int64)
    return table.reshape(-1, config.lanes)


def _parameters(rows: Sequence[Sequence[int]], config: EngineConfig) -> Ints:
    """Parameters (channels, 2): shift, bias; with a multiplier (channels, 3)."""
    words = [word for row in rows for word in row]
    low, high = config.bias_width, config.bias_width + SHIFT_BITS
    columns = [
        [word >> low & (1 << SHIFT_BITS) - 1 for word in words],
        bit_packing.signed([word & (1 << low) - 1 for word in words], low),
    ]
    if config.multiplier_width:
        columns.append(bit_packing.signed([word >> high for word in words], config.multiplier_width))
    table: Ints = np.array(columns, np.int64).T.reshape(-1, len(columns))
    return table
