# SPDX-License-Identifier: MIT
"""A pack's engine in a simulator, with images that may have a bit flipped, and the checksums that guard them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack, verify_file
from fixedpoint_nn.hardware.sim.build import compiled
from fixedpoint_nn.hardware.sim.run import write_images, write_vectors
from tests.proof.flip import Flip


class Bench:
    """The pack's engine in a simulator with some inputs, and images that may have a bit flipped."""

    def __init__(
        self,
        pack: Pack,
        folder: Path,
        inputs: np.ndarray,  # type: ignore[type-arg]
        expected: np.ndarray,  # type: ignore[type-arg]
        simulator: str = "verilator",
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        config = pack.config
        self.images = pack.images.words(config)
        self.command = compiled(config, simulator)
        files = write_images(self.folder, config, pack.images)
        limit = 4 * max(pack.cycles) + 1000  # a flip may make the engine run for ever
        for name, ints in (("inputs", inputs), ("expected", expected)):
            write_vectors(self.folder / name, ints, config.activation_width)
        self.arguments = {
            **dict.fromkeys((*pack.input.plusargs("input"), *pack.output.plusargs("output")), ""),
            **{f"+{kind}_words={image.words}": "" for kind, image in files.items()},
            **{f"+{kind}=": str(image.path) for kind, image in files.items() if image.words},
            f"+vectors={len(inputs)}": "",
            f"+seed={pack.seed}": "",
            f"+limit={limit}": "",
            "+inputs=": str(self.folder / "inputs"),
            "+expected=": str(self.folder / "expected"),
        }
        # `verify` demands the predicted cycles too; they are those of every vector.
        cycles = pack.cycles[0] * len(inputs)
        self.wanted = f"PASS: {len(inputs)} vectors, {expected.size} words, {cycles} cycles"
        if self.notices(None):
            raise RuntimeError(f"{pack.name} does not pass without a flip")

    def noticed(self, chosen: Sequence[Flip], workers: int, label: str) -> dict[Flip, bool]:
        """Which flips does the comparison notice?"""
        with ThreadPoolExecutor(workers) as pool:
            answers = list(
                tqdm(pool.map(self.notices, chosen), total=len(chosen), desc=label, unit="bit", leave=False)
            )
        return dict(zip(chosen, answers, strict=True))

    def notices(self, flip: Flip | None) -> bool:
        """Does the run end in anything but PASS?"""
        arguments = dict(self.arguments)
        path = None
        if flip is not None:
            bits, words = self.images[flip.kind]
            changed = list(words)
            changed[flip.word] ^= 1 << flip.bit
            path = self.folder / str(flip)
            path.write_text(memory_files.write_mem(changed, bits))
            arguments[f"+{flip.kind}="] = str(path)
        command = [*self.command, *(name + value for name, value in arguments.items())]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
        if path is not None:
            path.unlink()
        return done.returncode != 0 or self.wanted not in done.stdout.splitlines()


def caught_by_checksum(pack: Pack, chosen: Sequence[Flip]) -> int:
    """How many flips, in both forms of their image, are refused by the manifest as it stands."""
    images, entries, caught = pack.images.words(pack.config), pack.manifest["files"], 0
    lines = {
        name: (pack.directory / name).read_text().splitlines(keepends=True)
        for kind, (_, words) in images.items()
        for name in (manifest.file_name(kind, ".coe"), manifest.file_name(kind, ".mem"))
        if words
    }
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        for flip in tqdm(chosen, desc=f"{pack.name}: checksums", unit="bit", leave=False):
            bits, words = images[flip.kind]
            caught += all(
                _refused(
                    Path(folder) / Path(name).name,
                    _flipped_text(lines[name], words, flip, bits),
                    entries[name],
                )
                for name in (manifest.file_name(flip.kind, ".coe"), manifest.file_name(flip.kind, ".mem"))
            )
    return caught


def _flipped_text(lines: list[str], words: list[int], flip: Flip, bits: int) -> str:
    """The file with that bit changed; every word has a line of its own, the last lines of the file."""
    place = len(lines) - len(words) + flip.word
    digits = bit_packing.digits(bits)
    old, new = (f"{word:0{digits}x}" for word in (words[flip.word], words[flip.word] ^ 1 << flip.bit))
    if not lines[place].startswith(old):
        raise RuntimeError(f"line {place + 1} of {flip.kind} is {lines[place]!r} and not word {old}")
    changed = list(lines)
    changed[place] = new + lines[place][digits:]
    return "".join(changed)


def _refused(path: Path, text: str, entry: Mapping[str, Any]) -> bool:
    path.write_text(text)
    try:
        verify_file(path, entry)
    except PackError:
        return True
    return False
