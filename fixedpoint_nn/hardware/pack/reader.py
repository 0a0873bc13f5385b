# SPDX-License-Identifier: MIT
"""Packs: a network for the engine as files, written all at once and read back checksum by checksum."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.files.replace import heal
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import SHIFT_BITS, Images
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.memory_files import Image
from fixedpoint_nn.hardware.pack.writer import (
    STATUS,
    VECTORS,
)
from fixedpoint_nn.hardware.vectors import reachability
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.qformat import QFormat

IMAGES = ("program", "weights", "parameters", "tables", "activations")


@dataclass(frozen=True)
class Pack:
    """A pack in memory: its engine, its images, and its vectors, all from the .coe files."""

    directory: Path
    manifest: Mapping[str, Any]
    config: EngineConfig
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints
    status: Ints | None = None  # (vectors, status registers), of packs that state them

    @property
    def name(self) -> str:
        """The name of the network, as the manifest gives it."""
        return str(self.manifest["network"])

    @property
    def weights(self) -> str | None:
        """The hash of the float network that was quantised; None where the pack does not tell it."""
        return self.manifest.get("weights")

    @property
    def cycles(self) -> list[int]:
        """Predicted cycles of each vector."""
        return [int(cycles) for cycles in self.manifest["cycles"]]

    @property
    def seed(self) -> int:
        """Of the noise generator for the first vector; each further one has the next seed."""
        return int(self.manifest["seed"])

    def mem_files(self) -> dict[str, Image]:
        """The images for `$readmemh`."""
        files = self.manifest["files"]
        names = {kind: manifest.file_name(kind, ".mem") for kind in IMAGES}
        return {
            kind: Image(self.directory / name, files[name]["words"] if name in files else 0)
            for kind, name in names.items()
        }


def load_pack(directory: str | Path) -> Pack:
    """Read a pack: every file's checksum is verified, and the integers come from the .coe files alone.

    One that is replaced meanwhile is read again, so that what is read is the old pack or the new one.
    """
    directory = Path(directory)
    while True:
        heal(directory)
        before = identity(directory)
        try:
            return _load(directory)
        except (PackError, OSError):
            if identity(directory) == before:
                raise


def identity(directory: Path) -> tuple[int, ...]:
    """Another one as soon as another pack has taken the place of this one (which may get its inode's number)."""
    try:
        about = directory.stat()
    except OSError:
        return ()
    return about.st_dev, about.st_ino, about.st_ctime_ns


def _load(directory: Path) -> Pack:
    about = manifest.read(directory)
    try:
        files = about["files"]
        config = EngineConfig(**about["engine"])
        ports = manifest.read_port(about["input"]), manifest.read_port(about["output"])
        for name, entry in files.items():
            if not manifest.FILE.fullmatch(name):
                raise PackError(f"{name!r} is no file of a pack, such as 'images/weights.coe'; emit it again")
            verify_file(directory / name, entry)
        _check_statements(about)
        words = {kind: _from_coe(directory, kind, files) for kind in (*IMAGES, *VECTORS, "status")}
        images = _images(words, config)
        bits, vectors = config.activation_width, about["vectors"]
        rows = [
            _vectors(words[kind], bits, vectors, port, kind)
            for kind, port in zip(VECTORS, ports, strict=True)
        ]
        status = _status(words["status"], vectors) if manifest.file_name("status", ".coe") in files else None
    except PackError:
        raise
    except bit_packing.ImageError as error:
        raise PackError(f"{directory}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise PackError(
            f"{directory / manifest.NAME} lacks or misstates {_short(error)}; emit the pack again"
        ) from None
    return Pack(directory, about, config, images, ports[0], ports[1], rows[0], rows[1], status)


def _vectors(words: list[int], bits: int, vectors: int, port: Port, kind: str) -> Ints:
    if len(words) != vectors * port.words:
        raise PackError(
            f"{kind} holds {len(words)} words, and {vectors} vectors of {port.words} are stated; emit "
            f"it again"
        )
    return np.array(bit_packing.signed(words, bits), np.int64).reshape(vectors, port.words)


def _status(words: list[int], vectors: int) -> Ints:
    if len(words) != vectors * len(STATUS):
        raise PackError(
            f"status holds {len(words)} words, and {vectors} vectors of {len(STATUS)} registers are stated; "
            f"emit it again"
        )
    return np.array(words, np.int64).reshape(vectors, len(STATUS))


def _check_statements(about: Mapping[str, Any]) -> None:
    """What is used after loading; a statement of the wrong kind is an error here already."""
    for count in (about["vectors"], about["seed"], *about["cycles"]):
        if type(count) is not int or count < 0:
            raise ValueError(f"a count, as {count!r}")
    weights = about.get("weights")
    if weights is not None and not (isinstance(weights, str) and re.fullmatch("[0-9a-f]{64}", weights)):
        raise ValueError(f"the hash of the float network, as {weights!r}")
    for run in about["runs"]:
        QFormat.parse(run["format"])
        if type(run["place"]) is not int or type(run["channels"]) is not int or run["channels"] < 1:
            raise ValueError(f"a run, as {run!r}")
        str(run["layer"])
    for layer in about["corners"].values():
        for hits in layer.values():
            reason = isinstance(hits, str) and hits.startswith(reachability.UNREACHABLE)
            if not reason and (type(hits) is not int or hits < 0):
                raise ValueError(f"hits of a corner, as {hits!r}")


def _short(error: Exception) -> str:
    """The key that is missing, or what was said, on one line of some length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def verify_file(path: Path, entry: Mapping[str, Any]) -> None:
    """Does the file have the size and the checksum of its entry in the manifest?"""
    if not path.is_file():
        raise PackError(f"{path} is missing; emit the pack again")
    size = path.stat().st_size  # before the file is read: it may be of any size
    if size != entry["bytes"]:
        raise PackError(f"{path} has {size} bytes and {entry['bytes']} were written; emit the pack again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise PackError(f"{path} does not have the checksum that the manifest states; emit the pack again")


def _from_coe(directory: Path, kind: str, files: Mapping[str, Any]) -> list[int]:
    name = manifest.file_name(kind, ".coe")
    if name not in files:
        return []
    words = memory_files.read_coe((directory / name).read_text(), files[name]["bits"], str(directory / name))
    if len(words) != files[name]["words"]:
        raise PackError(f"{directory / name} holds {len(words)} words and {files[name]['words']} are stated")
    return words


def _images(words: Mapping[str, list[int]], config: EngineConfig) -> Images:
    """Integers from bit patterns."""
    lanes = config.lanes
    weights = bit_packing.unpack(words["weights"], lanes, config.weight_width)
    mask = (1 << config.bias_width) - 1
    assert SHIFT_BITS == 6
    parameters = [
        (word >> config.bias_width, bit_packing.signed([word & mask], config.bias_width)[0])
        for word in words["parameters"]
    ]
    rows = bit_packing.unpack(words["activations"], lanes, config.activation_width)
    return Images(
        list(words["program"]),
        np.array([bit_packing.signed(row, config.weight_width) for row in weights], np.int64).reshape(
            -1, lanes
        ),
        np.array(parameters, np.int64).reshape(-1, 2),
        np.array(bit_packing.signed(words["tables"], config.activation_width), np.int64),
        np.array([bit_packing.signed(row, config.activation_width) for row in rows], np.int64).reshape(-1),
    )
