# SPDX-License-Identifier: MIT
"""Every single bit of a pack's images flipped: caught by the checksum, and without it by the comparison.

A flip that the comparison lets pass is sorted: a bit that the engine does not use (of no field of its
instruction, or of a lane that has no channel), or, for a network with a small input, one that other inputs
would show, or one that none of many inputs shows.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fixedpoint_nn.hardware import coe, manifest
from fixedpoint_nn.hardware.isa import INSTRUCTIONS, OPCODE, AssemblyError, Instruction, Run
from fixedpoint_nn.hardware.manifest import PackError
from fixedpoint_nn.hardware.pack import Pack, load_pack, verify_file
from fixedpoint_nn.hardware.simulate import Job, attempt, compiled, write_images, write_vectors
from fixedpoint_nn.hardware.verify import verify
from tests.proof.judges import GOLDEN

SEED = 7
SAMPLES = (("moons", 1000), ("bigram", 200), ("nplm", 200))  # packs, and how many flips of each
SPREAD = 1024  # inputs, spread over all that there are, on which a flip that passes is tried again
TRIED_ON_ALL = 12  # of the flips that still pass, drawn with the seed: tried on every input


@dataclass(frozen=True)
class Flip:
    """One bit of one word of one image."""

    kind: str
    word: int
    bit: int

    def __str__(self) -> str:
        return f"{self.kind}[{self.word}].{self.bit}"


@dataclass(frozen=True)
class Result:
    """How the flips of one pack were noticed."""

    pack: str
    flips: int
    by_checksum: int
    by_comparison: int
    idle: int  # by the instruction set, no output depends on the bit
    missed: tuple[Flip, ...]  # the golden vectors do not show these, another input does
    silent: int  # no input that was tried shows these
    inputs: int  # tried with each flip that passed; none for a network with too many inputs
    tried_on_all: int

    def __str__(self) -> str:
        text = (
            f"{self.pack}: {self.flips} flips, {self.by_checksum} caught by the checksum; with new checksums "
            f"{self.by_comparison} caught by the comparison, "
            f"{self.idle} in bits that the engine does not use, "
        )
        if not self.inputs:
            return text + f"{self.silent} change no output of the golden vectors"
        return (
            f"{text}{len(self.missed)} change outputs of other inputs only, {self.silent} change none of "
            f"{self.inputs} "
            f"inputs; {self.tried_on_all} of those, drawn at random, were tried on every possible input"
        )


def flips(pack: Pack, count: int | None = None) -> list[Flip]:
    """All of them, or a fixed sample."""
    every = [
        Flip(kind, word, bit)
        for kind, (bits, words) in pack.images.words(pack.config).items()
        for word, bit in product(range(len(words)), range(bits))
    ]
    return every if count is None or count >= len(every) else random.Random(SEED).sample(every, count)


def run(name: str, count: int | None, workers: int, tried_on_all: int = TRIED_ON_ALL) -> Result:
    """Flip bits of one pack's images; what passes is tried on more inputs, where there are few."""
    pack = load_pack(GOLDEN / name)
    chosen = flips(pack, count)
    idle_bits = set(idle(pack))
    missed: list[Flip] = []
    inputs, drawn = np.zeros((0, pack.input.words), np.int64), 0
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        bench = Bench(pack, Path(folder), pack.vectors, pack.expected)
        passed = bench.passing(chosen, workers, f"{name}: comparison")
        silent = [flip for flip in passed if flip not in idle_bits]
        if few_inputs(pack) and silent:
            every = every_input(pack)
            inputs = every[:: -(-len(every) // SPREAD) | 1]  # an odd step, so that every column varies
            silent = Bench(pack, Path(folder), inputs, None).passing(
                left := silent, workers, f"{name}: more inputs"
            )
            missed += [flip for flip in left if flip not in set(silent)]
            drawn = min(tried_on_all, len(silent))
            if drawn:
                few = random.Random(SEED).sample(silent, drawn)
                same = set(
                    Bench(pack, Path(folder), every, None).passing(few, workers, f"{name}: every input")
                )
                missed += [flip for flip in few if flip not in same]
                silent = [flip for flip in silent if flip not in few or flip in same]
    return Result(
        name,
        len(chosen),
        caught_by_checksum(pack, chosen),
        len(chosen) - len(passed),
        len(passed) - len(missed) - len(silent),
        tuple(missed),
        len(silent),
        len(inputs),
        drawn,
    )


def idle(pack: Pack) -> Iterator[Flip]:
    """Bits that no output can depend on, by the instruction set: spare bits, and lanes without a channel."""
    config, program = pack.config, pack.images.program
    place = 0
    weight_used = np.zeros((len(pack.images.weights), config.lanes), bool)
    computed = False
    while place < len(program):
        kind = INSTRUCTIONS[program[place] >> OPCODE.start & 7]
        words = program[place : place + kind.words]
        meaning = kind.decode(words)
        for offset, bit in product(range(kind.words), range(32)):
            changed = list(words)
            changed[offset] ^= 1 << bit
            if INSTRUCTIONS[changed[0] >> OPCODE.start & 7] is kind and _same(kind, changed, meaning):
                yield Flip("program", place + offset, bit)
        if isinstance(meaning, Run):
            computed |= meaning.weight.register != 0
            _mark(weight_used, meaning, config.lanes)
        place += kind.words
    if not computed:  # where an address comes from a register, no claim is made
        for row, lane in np.argwhere(~weight_used).tolist():
            for bit in range(config.weight_width):
                yield Flip("weights", row, lane * config.weight_width + bit)


def _same(kind: type[Instruction], words: list[int], meaning: Instruction) -> bool:
    try:
        return kind.decode(words) == meaning
    except AssemblyError:
        return False


def _mark(used: np.ndarray, run: Run, lanes: int) -> None:  # type: ignore[type-arg]
    """The weights that a run may read, lane by lane; a tile's lanes beyond its channels are not used."""
    channel, kx, ky, tiles, _, _ = run.counts
    taps, base = channel * kx * ky, run.weight.base
    for tile in range(tiles):
        row = base + (0 if run.per_tile else tile * taps)
        used[row : row + taps, : run.last_channels if tile == tiles - 1 else lanes] = True


def few_inputs(pack: Pack) -> bool:
    """Can all inputs be tried? Not of a network that reads tokens: not every code is one."""
    return pack.input.format.frac_bits > 0 and pack.input.format.bits * pack.input.words <= 18


def every_input(pack: Pack) -> np.ndarray:  # type: ignore[type-arg]
    """All inputs of a small network."""
    codes = range(pack.input.format.int_min, pack.input.format.int_max + 1)
    return np.array(list(product(codes, repeat=pack.input.words)), np.int64)


class Bench:
    """The pack's engine in Verilator with some inputs, and images that may have a bit flipped.

    Where nothing is expected yet, the unchanged engine says what to expect.
    """

    def __init__(self, pack: Pack, folder: Path, inputs: np.ndarray, expected: np.ndarray | None) -> None:  # type: ignore[type-arg]
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        config = pack.config
        self.images = pack.images.words(config)
        self.command = compiled(config, "verilator")
        files = write_images(self.folder, config, pack.images)
        limit = 4 * max(pack.cycles) + 1000  # a flip may make the engine run for ever
        if expected is None:
            job = Job(config, files, pack.input, pack.output, "verilator", pack.seed, limit)
            expected = attempt(self.command, job, self.folder, inputs, 0, False)[0].ints(
                config.activation_width
            )
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
        self.wanted = f"PASS: {len(inputs)} vectors, {expected.size} words"
        if self.notices(None):
            raise RuntimeError(f"{pack.name} does not pass without a flip")

    def passing(self, chosen: Sequence[Flip], workers: int, label: str) -> list[Flip]:
        """The flips that the comparison does not notice."""
        with ThreadPoolExecutor(workers) as pool:
            noticed = list(
                tqdm(pool.map(self.notices, chosen), total=len(chosen), desc=label, unit="bit", leave=False)
            )
        return [flip for flip, found in zip(chosen, noticed, strict=True) if not found]

    def notices(self, flip: Flip | None) -> bool:
        """Does the run end in anything but PASS?"""
        arguments = dict(self.arguments)
        path = None
        if flip is not None:
            bits, words = self.images[flip.kind]
            changed = list(words)
            changed[flip.word] ^= 1 << flip.bit
            path = self.folder / str(flip)
            path.write_text(coe.write_mem(changed, bits))
            arguments[f"+{flip.kind}="] = str(path)
        command = [*self.command, *(name + value for name, value in arguments.items())]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
        if path is not None:
            path.unlink()
        return done.returncode != 0 or self.wanted not in done.stdout


def caught_by_checksum(pack: Pack, chosen: Sequence[Flip]) -> int:
    """How many flips, in both forms of their image, are refused by the manifest as it stands."""
    images, entries, caught = pack.images.words(pack.config), pack.manifest["files"], 0
    heads = {
        kind: (pack.directory / f"{kind}.coe").read_text().partition("memory_initialization_radix")[0]
        for kind, (_, words) in images.items()
        if words
    }
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        for flip in tqdm(chosen, desc=f"{pack.name}: checksums", unit="bit", leave=False):
            bits, words = images[flip.kind]
            changed = list(words)
            changed[flip.word] ^= 1 << flip.bit
            texts = {
                ".coe": heads[flip.kind] + coe.write_coe(changed, bits),
                ".mem": coe.write_mem(changed, bits),
            }
            caught += all(
                _refused(Path(folder) / f"{flip.kind}{suffix}", text, entries[f"{flip.kind}{suffix}"])
                for suffix, text in texts.items()
            )
    return caught


def _refused(path: Path, text: str, entry: Mapping[str, Any]) -> bool:
    path.write_text(text)
    try:
        verify_file(path, entry)
    except PackError:
        return True
    return False


def changed_expectation(name: str, vector: int, element: int, folder: Path) -> str:
    """Change one expected word in both forms, refresh the checksums, and return what `verify` says."""
    copy = folder / name
    shutil.copytree(GOLDEN / name, copy)
    pack = load_pack(copy)
    bits = pack.config.activation_width
    words = coe.unsigned(pack.expected.reshape(-1).tolist(), bits)
    words[vector * pack.output.words + element] ^= 1
    (copy / "expected.coe").write_text(coe.write_coe(words, bits))
    (copy / "expected.mem").write_text(coe.write_mem(words, bits))
    refresh_checksums(copy)
    verdict = str(verify(copy))
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
    """All packs of SAMPLES, and one changed expected word of each."""
    lines, holds = [], True
    for name, count in SAMPLES:
        result = run(name, count, workers)
        lines += [str(result), *(f"  a new golden vector would show {flip}" for flip in result.missed)]
        holds &= result.by_checksum == result.flips and result.by_comparison > 0
        with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
            pack = load_pack(GOLDEN / name)
            vector, element = len(pack.vectors) - 1, pack.output.words // 2
            verdict = changed_expectation(name, vector, element, Path(folder))
        named = verdict.startswith(f"FAIL: vector {vector}, output element {element}: ")
        lines.append(f"{name}: one changed expected word: {verdict if named else 'NOT NAMED: ' + verdict}")
        holds &= named
    return lines, holds
