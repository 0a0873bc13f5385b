# SPDX-License-Identifier: MIT
"""What a pack is made of, whoever made its program, and how its folder is written: whole or not at all."""

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
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.numerics.arrays import Ints

VECTORS = ("input", "expected")
STATUS = ("cycles", "mac_cycles", "saturations", "accumulator_overflow", "argmax")
STATUS_BITS = 32
LISTING = "listing.txt"


@dataclass(frozen=True)
class Contents:
    """A program with its images, its vectors, and what must come out."""

    name: str
    config: EngineConfig
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, *shape of a sample)
    expected: Ints
    origins: Sequence[str]
    cycles: Sequence[int]
    mac_cycles: Sequence[int]
    listing: str
    runs: Sequence[Mapping[str, Any]]
    corners: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 1
    status: Ints | None = None  # (vectors, status registers), if they are to be compared too
    memory: WeightMemory | None = (
        None  # that weights come from, if they do, and the cycles that were waited for them
    )
    stalls: Sequence[int] = ()
    weights: str | None = None  # the hash of the float network that was quantised, if it is known

    def words(self) -> dict[str, tuple[int, list[int], list[int]]]:
        """For each kind of file its word's bits, its words as bit patterns, and their shape."""
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
        """What a manifest says of weights from outside."""
        if self.memory is None:
            return {}
        return {"weight_memory": asdict(self.memory), "stalls": list(self.stalls)}

    def write_into(self, folder: Path, radix: int = 16, mif: bool = False) -> None:
        """Every file of a pack."""
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


def write(directory: Path, contents: Contents, radix: int = 16, mif: bool = False) -> Path:
    """Beside the place, then in one step into it; a pack that is there already is replaced."""
    check_replaceable(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with replaced(directory) as new:
            contents.write_into(new, radix, mif)
    except OSError as error:  # of the place that was asked for, not of a name that nobody knows
        raise OSError(error.errno, error.strerror, str(directory)) from error
    return directory


def check_replaceable(directory: Path) -> None:
    """Is there nothing yet, or a pack?"""
    heal(directory)
    if not directory.exists() or (directory / manifest.NAME).exists():
        return
    with suppress(FileNotFoundError):  # another run has just taken it away
        if not directory.is_dir() or any(directory.iterdir()):
            raise PackError(f"{directory} exists and is no pack; choose another folder, or remove it")
