# SPDX-License-Identifier: MIT
"""Single bits of a pack's images flipped: caught by the checksum, and without it by the comparison.

The comparison is of the network's golden vectors, and of the pack's probes: its runs alone, with inputs of their own.
What it lets pass is sorted: a bit that the instruction set leaves without effect (`idle`), one
that is proven to change no output by what can arrive where it is read (`silent`), one that none of all inputs
shows where all can be tried, and one that none of many inputs shows, without proof. A bit that the golden
vectors and probes miss, though another input shows it, breaks the claim.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from fixedpoint_nn.hardware.faults.dont_care import idle
from fixedpoint_nn.hardware.faults.fault import Flip, every_flip
from fixedpoint_nn.hardware.faults.fault_simulator import Shown
from fixedpoint_nn.hardware.faults.probe import Probe
from fixedpoint_nn.hardware.faults.untestable import Silent
from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.pack import manifest, memory_files
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.verify.verify import verify
from tests.proof.bench import Bench, caught_by_checksum
from tests.proof.judges import GOLDEN

SEED, CROSS_CHECKED = 7, 500
CHUNK, FEW = 8192, 64  # inputs that the twin is asked about at once; of a large network
MOST_INPUTS, MOST_CYCLES = 1 << 16, 60_000_000


@dataclass(frozen=True)
class Plan:
    """How many flips of a pack are made, and how many of those are run on the Verilog."""

    pack: str
    flips: int | None = None  # of each image; None: all
    simulated: int | None = None  # in all; None: every one
    other_inputs: int | None = None  # tried with what passes; None: all that there are


PLANS = (
    Plan("moons", None, 1500),
    Plan("bigram", None, 150),
    Plan("nplm", 2000, 60),
    Plan("fashion_mlp", 400, 12, 4096),
    Plan("lenet", 400, 8, 2048),
    Plan("names_lstm", 400, 8, 4096),
    Plan("mnist_gru", 400, 6, 1024),
)


# What no input shows, though not all were tried and `silent` does not prove it: flips, and why nothing can show them.
LISTED = (
    (
        "bigram",
        r"(weights|parameters)\[.*|program\[(5|28)\]\.(3|1[4-9]|2[0-3])|program\[(7|30)\]\.\d",
        "they change no address of a word, so that each output letter depends on its own input letter alone, which was "
        "every letter there is",
    ),
    (
        "mnist_gru",
        r"program\[122\]\.(16|23)",
        "they matter only to a state that leaves its format, and z h + (1 - z) n lies between h and n, which are in it",
    ),
)


@dataclass(frozen=True)
class Result:
    """How the flips of one pack were noticed."""

    pack: str
    flips: int
    every: bool  # all that there are
    by_checksum: int
    by_vectors: int
    by_probes: int  # and by no vector of the network
    simulated: int  # of the flips, how many ran on the Verilog
    idle: int  # by the instruction set, no output depends on the bit
    proven: int  # nor on these, by what can arrive
    missed: tuple[Flip, ...]  # neither vectors nor probes show these, another input does
    unshown: tuple[Flip, ...]  # no input that was tried shows these
    inputs: int  # tried with each flip that passed and is not proven silent
    exhaustive: bool  # these are all inputs that there are

    @property
    def listed(self) -> dict[Flip, str]:
        """Those of the unshown that have a reason, unless all inputs were tried."""
        return (
            {}
            if self.exhaustive
            else {flip: why for flip in self.unshown if (why := reason(self.pack, flip))}
        )

    @property
    def open(self) -> tuple[Flip, ...]:
        """Neither shown nor known to be silent."""
        return () if self.exhaustive else tuple(flip for flip in self.unshown if flip not in self.listed)

    @property
    def holds(self) -> bool:
        return self.by_checksum == self.flips and not self.missed and not self.open

    def __str__(self) -> str:
        rest = f"{len(self.unshown)} that none of all {self.inputs} inputs shows"
        if not self.exhaustive:
            rest = (
                f"{len(self.listed)} listed with a reason, {len(self.open)} open after {self.inputs} inputs"
            )
        return (
            f"{self.pack}: {'all ' if self.every else ''}{self.flips} flips, {self.by_checksum} caught by the "
            f"checksum; with new checksums {self.by_vectors} caught by the golden vectors and {self.by_probes} more "
            f"by the probes, {self.idle} in bits without effect by the instruction set, {self.proven} proven to "
            f"change no output, {rest}, "
            f"{len(self.missed)} missed ({self.simulated} flips ran on the Verilog, the others on its twin)"
        )


def reason(pack: str, flip: Flip) -> str:
    """Why no input shows this flip; empty if that is not known."""
    reasons = (why for name, pattern, why in LISTED if name == pack and re.fullmatch(pattern, str(flip)))
    return next(reasons, "")


def chosen_flips(pack: Pack, count: int | None) -> list[Flip]:
    """All of them, or a fixed sample of each image."""
    every = list(every_flip(pack.config, pack.images))
    if count is None:
        return every
    dice, sample = random.Random(SEED), []
    for kind in pack.images.words(pack.config):
        of_kind = [flip for flip in every if flip.kind == kind]
        sample += dice.sample(of_kind, min(count, len(of_kind)))
    return sorted(sample)


def run(plan: Plan, workers: int) -> Result:
    """Flip bits of one pack's images; what passes is tried on other inputs."""
    pack = load_pack(GOLDEN / plan.pack)
    chosen = chosen_flips(pack, plan.flips)
    dice = random.Random(SEED)
    simulated = (
        chosen if plan.simulated is None else sorted(dice.sample(chosen, min(plan.simulated, len(chosen))))
    )
    spare = set(idle(pack.config, pack.images))
    caught = _caught(pack, chosen, simulated, spare, workers)
    probed = _probed(pack, [flip for flip in chosen if flip not in caught], set(simulated), workers)
    # Some of those that are shown are asked about too: a proof must not claim any of them.
    known = dice.sample(sorted(caught), min(CROSS_CHECKED, len(caught)))
    passed = [flip for flip in chosen if flip not in caught | probed | spare]
    proven = _proven(pack, sorted({*passed, *known}))
    if contradicted := sorted(caught & (proven | spare)):
        raise RuntimeError(
            f"{pack.name}: the vectors show {contradicted[0]}, of which it is proven that nothing does"
        )
    left = [flip for flip in passed if flip not in proven]
    inputs, exhaustive = _inputs(pack, plan.other_inputs)
    missed = _shown_by(pack, inputs, left, workers)
    return Result(
        plan.pack,
        len(chosen),
        plan.flips is None,
        caught_by_checksum(pack, chosen),
        len(caught),
        len(probed),
        len(simulated),
        len(spare & set(chosen)),
        len(proven),
        tuple(missed),
        tuple(flip for flip in left if flip not in missed),
        len(inputs),
        exhaustive,
    )


def _codes(pack: Pack) -> range:
    """The words that an input may hold; those of tokens are the ones that the golden vectors hold."""
    format = pack.input.format
    tokens = format.frac_bits == 0
    return range(int(pack.vectors.max()) + 1) if tokens else range(format.int_min, format.int_max + 1)


def _proven(pack: Pack, flips: list[Flip]) -> set[Flip]:
    """Those that no output depends on, by what can arrive."""
    return set(Silent(pack.config, pack.images, pack.input, pack.output, _codes(pack)).proven(flips))


def _caught(
    pack: Pack, chosen: list[Flip], simulated: list[Flip], spare: set[Flip], workers: int
) -> set[Flip]:
    """The flips that the comparison notices; where both were asked, the Verilog and its twin must agree."""
    shown = Shown(pack.config, pack.images, pack.input, pack.output, pack.vectors)
    if not np.array_equal(shown.outputs, pack.expected):
        raise RuntimeError(f"the twin of the engine does not give what {pack.name} expects")
    asked = [flip for flip in chosen if flip not in spare or flip in simulated]
    by_twin = {flip: bool(seen.any()) for flip, seen in zip(asked, shown.shows(asked), strict=True)}
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        bench = Bench(pack, Path(folder), pack.vectors, pack.expected)
        noticed = bench.noticed(simulated, workers, f"{pack.name}: comparison")
        # Icarus knows undefined words, which Verilator does not; `verify` asks it unless told otherwise.
        unsure = [flip for flip in simulated if by_twin[flip] and not noticed[flip]]
        if unsure:
            again = Bench(pack, Path(folder), pack.vectors, pack.expected, "iverilog")
            noticed |= again.noticed(unsure, workers, f"{pack.name}: undefined words")
    for flip in simulated:
        refused = flip.kind == "program" and shown.from_start(flip) is None
        if noticed[flip] != by_twin[flip] and not refused:
            raise RuntimeError(f"{pack.name}, {flip}: the Verilog and its twin do not agree that it shows")
    by_twin |= noticed
    return {flip for flip, seen in by_twin.items() if seen}


def _probed(pack: Pack, flips: list[Flip], simulated: set[Flip], workers: int) -> set[Flip]:
    """The flips that a run alone notices; as above, the Verilog and its twin must agree."""
    flips = [flip for flip in flips if flip.kind != "program"]  # probes have programs of their own
    asked = [flip for flip in flips if flip in simulated]
    found: set[Flip] = set()
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
        for probe in pack.probes:
            alone = pack.alone(probe)
            shown = Shown(alone.config, alone.images, alone.input, alone.output, alone.vectors)
            if not np.array_equal(shown.outputs, alone.expected):
                raise RuntimeError(f"the twin of the engine does not give what {alone.name} expects")
            seen = {flip for flip, any_ in zip(flips, shown.shows(flips).any(axis=1), strict=True) if any_}
            noticed = Bench(alone, Path(folder), alone.vectors, alone.expected).noticed(
                asked, workers, alone.name
            )
            for flip in asked:
                if noticed[flip] != (flip in seen):
                    raise RuntimeError(
                        f"{alone.name}, {flip}: the Verilog and its twin do not agree that it shows"
                    )
            found |= seen
    return found


def _shown_by(pack: Pack, inputs: np.ndarray, left: list[Flip], workers: int) -> list[Flip]:  # type: ignore[type-arg]
    """Which of these flips do any of these inputs show? Programs that the twin refuses run on the Verilog."""
    missed: list[Flip] = []
    refused: list[Flip] = []
    chunk = CHUNK if pack.cycles[0] * len(inputs) < MOST_CYCLES else FEW
    for begin in range(0, len(inputs), chunk):
        if not left:
            break
        shown = Shown(pack.config, pack.images, pack.input, pack.output, inputs[begin : begin + chunk])
        if begin == 0:
            refused = [flip for flip in left if flip.kind == "program" and shown.from_start(flip) is None]
            left = [flip for flip in left if flip not in refused]
        found = [flip for flip, seen in zip(left, shown.shows(left).any(axis=1), strict=True) if seen]
        missed += found
        left = [flip for flip in left if flip not in found]
    if refused:
        expected = np.concatenate(
            [
                Shown(
                    pack.config, pack.images, pack.input, pack.output, inputs[begin : begin + chunk]
                ).outputs
                for begin in range(0, len(inputs), chunk)
            ]
        )
        with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
            bench = Bench(pack, Path(folder), inputs, expected)
            noticed = bench.noticed(refused, workers, f"{pack.name}: other inputs")
        missed += [flip for flip in refused if noticed[flip]]
    return sorted(missed)


def _inputs(pack: Pack, count: int | None) -> tuple[np.ndarray, bool]:  # type: ignore[type-arg]
    """All inputs if that is asked for, or drawn ones: full-range, and golden vectors that are disturbed.

    Of a network that reads tokens every token at every place, which is all where places do not meet.
    """
    words, codes = pack.input.words, _codes(pack)
    if count is None and len(codes) ** words <= MOST_INPUTS:
        return np.array(list(product(codes, repeat=words)), np.int64), True
    if count is None:
        return (np.arange(len(codes))[:, None] + np.arange(words)) % len(codes), False
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(codes.start, codes.stop, (count, words))
    real = pack.vectors[rng.integers(0, len(pack.vectors), count)]
    keep = rng.random((count, words)) < rng.choice([0, 0.5, 0.9, 0.99], (count, 1))
    return np.where(keep, real, drawn), False


def changed_expectation(
    name: str, vector: int, element: int, folder: Path, probe: Probe | None = None
) -> str:
    """Change one expected word in both forms, refresh the checksums, and return what `verify` says."""
    copy = folder / name
    shutil.copytree(GOLDEN / name, copy)
    pack = load_pack(copy)
    bits = pack.config.activation_width
    expected, file = (
        (pack.expected, "expected") if probe is None else (probe.expected, probe.file("expected"))
    )
    words = bit_packing.unsigned(expected.reshape(-1).tolist(), bits)
    words[vector * expected.shape[1] + element] ^= 1
    (copy / f"{file}.coe").write_text(memory_files.write_coe(words, bits))
    (copy / f"{file}.mem").write_text(memory_files.write_mem(words, bits))
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
        lines += [str(result), *_misses(result)]
        holds &= result.holds
        pack = load_pack(GOLDEN / plan.pack)
        for probe in (None, *pack.probes[-1:]):
            subject, about = (pack, "") if probe is None else (pack.alone(probe), f" of {probe.name}")
            vector, element = len(subject.vectors) - 1, subject.output.words // 2
            with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as folder:
                verdict = changed_expectation(plan.pack, vector, element, Path(folder), probe)
            named = verdict.startswith(f"FAIL: vector {vector}, output element {element}: ")
            lines.append(
                f"{plan.pack}: one changed expected word{about}: {'' if named else 'NOT NAMED: '}{verdict}"
            )
            holds &= named
    return lines, holds


def _misses(result: Result) -> Iterator[str]:
    for flip in result.missed:
        yield f"  MISSED: another input shows {flip}"
    for why in dict.fromkeys(result.listed.values()):
        flips = [str(flip) for flip, known in result.listed.items() if known == why]
        yield f"  listed: {', '.join(flips)}: {why}"
    if result.open:
        yield f"  OPEN, neither shown nor proven: {', '.join(map(str, result.open))}"
