# SPDX-License-Identifier: MIT
"""Single bits of a pack's images flipped: caught by the checksum, and, with new checksums, by reading back.

The checksums guard the files. Whoever writes new ones beside a flipped bit is caught by the readback program: it shows
every bit of weights, parameters, tables and activation image (`verify --readback`; its docstring proves it). Here a
flip is made and the words of the readback that concern it are computed from the flipped image by the engine's Python
twin: they must differ from those of the image that was meant.

The readback does not reach the program. Which of its flipped bits the golden vectors show is counted, and claimed of
none: some bits mean nothing to some instructions.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.images import Images
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.verify.readback_program import Readback, readback_program
from fixedpoint_nn.hardware.verify.readback_section import ReadbackSection
from fixedpoint_nn.hardware.verify.verify import verify
from tests.proof.bench import Bench, caught_by_checksum
from tests.proof.flip import Flip, every_flip, flipped
from tests.proof.judges import GOLDEN

SEED = 7


@dataclass(frozen=True)
class Plan:
    """How many flips of a pack are made."""

    pack: str
    flips: int  # of each image
    program: int  # of those of the program, how many run on the Verilog


PLANS = (
    Plan("moons", 800, 400),
    Plan("bigram", 400, 60),
    Plan("nplm", 300, 40),
    Plan("fashion_mlp", 150, 12),
    Plan("lenet", 150, 8),
    Plan("names_lstm", 150, 8),
    Plan("mnist_gru", 150, 6),
)


@dataclass(frozen=True)
class Result:
    """How the flips of one pack were noticed."""

    pack: str
    flips: int
    by_checksum: int
    read: int  # of weights, parameters, tables and activations
    missed: tuple[Flip, ...]  # of those, what the readback does not show
    program: int  # flips of program bits that ran on the Verilog
    by_vectors: int  # and how many of them the golden vectors show

    @property
    def holds(self) -> bool:
        return self.by_checksum == self.flips and not self.missed and self.read > 0

    def __str__(self) -> str:
        return (
            f"{self.pack}: {self.flips} flips, {self.by_checksum} caught by the checksum; with new checksums "
            f"{self.read - len(self.missed)} of {self.read} in weights, parameters, tables and activations caught by "
            f"reading back; of {self.program} in the program the golden vectors show {self.by_vectors}"
        )


def chosen_flips(pack: Pack, count: int) -> list[Flip]:
    """A fixed sample of each image; all of it, if it has no more bits."""
    every = list(every_flip(pack.config, pack.images))
    chooser, sample = random.Random(SEED), []
    for kind in pack.images.words(pack.config):
        of_kind = [flip for flip in every if flip.kind == kind]
        sample += chooser.sample(of_kind, min(count, len(of_kind)))
    return sorted(sample)


def run(plan: Plan, workers: int) -> Result:
    """Flip bits of one pack's images."""
    pack = load_pack(GOLDEN / plan.pack)
    chosen = chosen_flips(pack, plan.flips)
    read = [flip for flip in chosen if flip.kind != "program"]
    readback = readback_program(pack.config, pack.images)
    bar = tqdm(read, desc=f"{plan.pack}: reading back", unit="bit", leave=False)
    missed = tuple(flip for flip in bar if not shows(pack, readback, flip))
    program = [flip for flip in chosen if flip.kind == "program"]
    tried = random.Random(SEED).sample(program, min(plan.program, len(program)))
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        bench = Bench(pack, Path(folder), pack.vectors, pack.expected)
        noticed = bench.noticed(tried, workers, f"{plan.pack}: program")
    return Result(
        plan.pack,
        len(chosen),
        caught_by_checksum(pack, chosen),
        len(read),
        missed,
        len(tried),
        sum(noticed.values()),
    )


def shows(pack: Pack, readback: Readback, flip: Flip) -> bool:
    """Does the readback of the flipped image differ from that of the image that was meant?"""
    changed = flipped(pack.images, pack.config, flip)
    sections = [section for section in readback.sections if section.memory == flip.kind]
    return any(
        _differs(readback, section, _with(section.images, changed, flip.kind), vector)
        for section in sections
        for vector in _concerned(pack, section, flip)
    )


def _with(images: Images, changed: Images, kind: str) -> Images:
    """The section's images with the changed one in front of the section's own words."""
    longer, own = getattr(images, kind).copy(), getattr(changed, kind)
    longer[: len(own)] = own[: len(longer)]
    return replace(images, **{kind: longer})


def _concerned(pack: Pack, section: ReadbackSection, flip: Flip) -> list[int]:
    """The vectors that ask about the flipped word."""
    starts = np.array(section.firsts)
    word = flip.word * (pack.config.drain if flip.kind == "parameters" else 1)
    at = int(np.searchsorted(starts, word, side="right")) - 1
    return list(range(len(starts))) if flip.kind in ("tables", "activations") else [at]


def _differs(readback: Readback, section: ReadbackSection, images: Images, vector: int) -> bool:
    twin = Twin(readback.config, images, section.input, section.vectors[vector])
    twin.run()
    return not np.array_equal(twin.memory[section.output.addresses()], section.expected[vector])


def changed_expectation(name: str, vector: int, element: int, folder: Path) -> str:
    """Change one expected word in both forms, refresh the checksums, and return what `verify` says."""
    copy = folder / name
    shutil.copytree(GOLDEN / name, copy)
    pack = load_pack(copy)
    bits = pack.config.activation_width
    words = bit_packing.unsigned(pack.expected.reshape(-1).tolist(), bits)
    words[vector * pack.expected.shape[1] + element] ^= 1
    (copy / manifest.file_name("expected", ".coe")).write_text(memory_files.write_coe(words, bits))
    (copy / manifest.file_name("expected", ".mem")).write_text(memory_files.write_mem(words, bits))
    refresh_checksums(copy)
    verdict = str(verify(copy, "verilator"))
    shutil.rmtree(copy)
    return verdict


def refresh_checksums(folder: Path) -> None:
    """Make the manifest agree with the files as they are now."""
    path = folder / manifest.NAME
    about = json.loads(path.read_text())
    for name, entry in about["files"].items():
        entry |= manifest.describe_file(
            folder / name, entry["bits"], entry["words"], entry["kind"], entry["shape"]
        )
    path.write_text(json.dumps(about))


def report(workers: int) -> tuple[list[str], bool]:
    """All packs of PLANS, and one changed expected word of each."""
    lines, holds = [], True
    for plan in PLANS:
        result = run(plan, workers)
        lines += [str(result), *(f"  MISSED: {flip}" for flip in result.missed)]
        pack = load_pack(GOLDEN / plan.pack)
        vector, element = len(pack.vectors) - 1, pack.output.words // 2
        with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
            verdict = changed_expectation(plan.pack, vector, element, Path(folder))
        named = verdict.startswith(f"FAIL: vector {vector}, output element {element}: ")
        lines.append(f"{plan.pack}: one changed expected word: {'' if named else 'NOT NAMED: '}{verdict}")
        holds &= result.holds and named
    return lines, holds
