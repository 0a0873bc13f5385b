# SPDX-License-Identifier: MIT
"""The contents of a pack, and writing them to a folder atomically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fixedpoint_nn.files.replace import heal, replaced
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.isa.port import Halves, Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.numerics.arrays import Ints

VECTORS = ("input", "expected")
STATUS = ("cycles", "mac_cycles", "saturations", "accumulator_overflow", "argmax")
STATUS_BITS = 32
LISTING = "listing.txt"


@dataclass(frozen=True)
class PackContents:
    """A program with its images, vectors and expected outputs, and all that the manifest says of them."""

    name: str
    config: EngineConfig
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, *shape of a sample), of a batch (vectors, batch, *shape of a sample)
    expected: Ints
    origins: Sequence[str]
    cycles: Sequence[int]
    mac_cycles: Sequence[int]
    listing: str
    runs: Sequence[Mapping[str, Any]]
    corners: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    status: Ints | None = None  # (vectors, status registers), if they are compared, too
    memory: WeightMemory | None = None  # of streamed weights, and the stalls for them
    stalls: Sequence[int] = ()
    weights: str | None = None  # the hash of the float network, if known
    batch: int = 1  # samples of a vector
    halves: Halves | None = None  # a second place of the input, for every second vector

    def words(self) -> dict[str, tuple[int, list[int], list[int]]]:
        """For each kind of file (bits of a word, words as bit patterns, shape)."""
        bits = self.config.activation_width
        contents: dict[str, tuple[int, list[int], list[int]]] = {
            kind: (width, words, [len(words)])
            for kind, (width, words) in self.images.words(self.config).items()
            if words
        }
        for kind, value in zip(VECTORS, (self.vectors, self.expected), strict=True):
            contents[kind] = bits, bit_packing.unsigned(value.reshape(-1).tolist(), bits), list(value.shape)
        if self.status is not None:
            contents["status"] = STATUS_BITS, self.status.reshape(-1).tolist(), list(self.status.shape)
        return contents

    def _outside(self) -> dict[str, Any]:
        """The manifest's entries about streamed weights."""
        if self.memory is None:
            return {}
        return {"weight_memory": asdict(self.memory), "stalls": list(self.stalls)}

    def write_into(self, folder: Path, radix: int = 16, mif: bool = False) -> None:
        """Write every file of the pack into an existing folder."""
        files = {}
        for kind, (width, words, shape) in self.words().items():
            texts = {
                ".coe": memory_files.write_coe(words, width, radix, f"{self.name}: {kind}"),
                ".mem": memory_files.write_mem(words, width),
            }
            if mif:
                texts[".mif"] = memory_files.write_mif(words, width)
            for suffix, text in texts.items():
                name = manifest.file_name(kind, suffix)
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                files[name] = manifest.describe_file(path, width, len(words), kind, shape)
                if kind == "parameters" and self.config.multiplier_width:
                    files[name]["order"] = manifest.MULTIPLIED
        (folder / LISTING).write_text(self.listing)
        cycles, macs = list(self.cycles), list(self.mac_cycles)
        about: dict[str, Any] = {
            "version": manifest.VERSION,
            "network": self.name,
            **({} if self.weights is None else {"weights": self.weights}),
            "engine": manifest.describe_engine(self.config),
            "input": manifest.describe_port(self.input),
            "output": manifest.describe_port(self.output),
            **({} if self.batch == 1 else {"batch": self.batch}),
            **({} if self.halves is None else {"ahead": manifest.describe_halves(self.halves)}),
            "vectors": len(self.vectors),
            "origins": list(self.origins),
            "seed": self.seed,
            "cycles": cycles,
            "mac_cycles": macs,
            **self._outside(),
            "utilisation": round(sum(macs) / sum(cycles), 4),
            "corners": dict(self.corners),
            "runs": list(self.runs),
            "files": files,
        }
        manifest.write(folder, about)


def write_pack(directory: Path, contents: PackContents, radix: int = 16, mif: bool = False) -> Path:
    """Write a pack beside `directory`, then rename it; an existing pack is replaced."""
    check_replaceable(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with replaced(directory) as new:
            contents.write_into(new, radix, mif)
    except OSError as error:  # name the requested path, not the temporary one
        raise OSError(error.errno, error.strerror, str(directory)) from error
    return directory


def check_replaceable(directory: Path) -> None:
    """Raise unless `directory` does not exist or is a pack."""
    heal(directory)
    if not directory.exists() or (directory / manifest.NAME).exists():
        return
    with suppress(FileNotFoundError):  # another process has just removed it
        if not directory.is_dir() or any(directory.iterdir()):
            raise PackError(f"{directory} exists and is no pack; choose another folder, or remove it")
