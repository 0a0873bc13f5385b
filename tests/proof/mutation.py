# SPDX-License-Identifier: MIT
"""Mutants of the engine, all of them in one netlist and chosen at run time, judged by the golden packs.

yosys changes single bits of the netlist (inverted, stuck, or mixed with a neighbour); a mutant is killed when
the bench ends in anything but PASS. What survives is proven to be the same engine (equivalence.py), or is listed
with the reason why no program and no host can tell it from the engine (reasons.py), or counts as survived.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.pack.reader import Pack
from tests.proof.conformance import programs
from tests.proof.equivalence import Prover
from tests.proof.facts import facts
from tests.proof.judges import Judge, golden_pack, golden_packs
from tests.proof.judges import judge as judge_of
from tests.proof.machine import Machine, flattened
from tests.proof.mutants import Mutant, applied, build, choose, elaborate
from tests.proof.reasons import reason, unused_reasons
from tests.proof.yosys import SCRATCH


def passes(simulator: Path, judge: Judge, mutant: int) -> bool:
    """Does the bench end in PASS, and with status 0?"""
    command = [str(simulator), f"+mutant={mutant}", *judge.arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and "PASS: " in done.stdout


def survivors(
    simulator: Path, judges: Sequence[Judge], mutants: Sequence[Mutant], workers: int
) -> list[Mutant]:
    """The mutants that every judge lets pass; the engine itself must pass before all."""
    for judge in judges:
        if not passes(simulator, judge, 0):
            raise RuntimeError(f"the engine without a mutation does not pass {judge.name}")

    def survives(mutant: Mutant) -> bool:
        return all(passes(simulator, judge, mutant.number) for judge in judges)

    with ThreadPoolExecutor(workers) as pool:
        verdicts = list(tqdm(pool.map(survives, mutants), total=len(mutants), desc="mutants", unit="mutant"))
    return [mutant for mutant, alive in zip(mutants, verdicts, strict=True) if alive]


def proven_equal(config: EngineConfig, mutants: Sequence[Mutant], workers: int) -> set[int]:
    """Numbers of the mutants that are the engine itself, for every legal program and every host."""
    original = flattened(elaborate(config))
    prover = Prover(Machine(flattened([*elaborate(config), *applied(mutants)]), original), facts(config))
    if broken := prover.broken(workers):
        raise RuntimeError(f"facts that the proofs rest on do not hold: {', '.join(broken)}")
    return prover.equal([mutant.number for mutant in mutants], workers)


@dataclass(frozen=True)
class Subject:
    """An engine that is mutated: the pack that judges it, and how many mutants there are."""

    pack: str
    mutants: int
    quick: int | None = None  # vectors that judge first, if the rest takes long


SUBJECTS = (
    Subject("conformance", 700, quick=-3),
    Subject("conformance_saturating", 200, quick=-3),
    Subject("conformance_wrapping", 150, quick=-3),
)
# The pack itself, as much of it as is quick, and in the harsh mode; all of it; and others of the same engine.
JUDGES = ("quick", "harsh", "whole", "more")
SEED_VARIABLE = "FIXEDPOINT_NN_MUTANTS"  # names other mutants, for which no vector was made on purpose
SEED = int(os.environ.get(SEED_VARIABLE, "1"))


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: killed, equal, or the reason why it is known to be as good as the engine."""

    pack: str
    mutant: Mutant
    killed: bool
    equal: bool = False
    reason: str = ""


def judges_of(pack: Pack, quick: int | None, folder: Path, kinds: Sequence[str] = JUDGES) -> list[Judge]:
    """The judges of an engine's mutants in the order in which they are asked."""
    first = judge_of(pack, pack.config, folder / "quick", quick)
    asked = []
    if "quick" in kinds:
        asked.append(first)
    if "harsh" in kinds:
        asked.append(first.harsh())
    if "whole" in kinds and quick is not None:
        asked.append(judge_of(pack, pack.config, folder / "whole").asked("+load=reversed"))
    if "more" in kinds:
        more = judge_of(golden_pack(f"{pack.name}_more"), pack.config, folder / "more")
        asked += [more, more.harsh(interrupt=47)]
    return asked


def seed_judges(pack: Pack, folder: Path) -> list[Judge]:
    """A vector of noise, if the pack has one, from every seed of one bit; its own seeds follow each other."""
    program, vectors, origins = programs.assembled(pack.name)
    if "noise" not in origins:
        return []
    vector, judges = vectors[origins.index("noise")], []
    for bit in range(32):
        words, status = program.results(vector, 1 << bit)
        about = {**pack.manifest, "seed": 1 << bit, "cycles": [int(status[0])]}
        one = replace(pack, manifest=about, vectors=vector[None], expected=words[None], status=status[None])
        judges.append(judge_of(one, pack.config, folder / f"seed {bit}"))
    return judges


def judged(subject: Subject, workers: int, judges: Sequence[str] = JUDGES) -> list[Fate]:
    """The fates of all mutants of one engine.

    The first judge is the quickest. What it lets pass is compared with the engine, and only what is not proven equal
    is asked by the others; mutants of the noise generator also from more seeds.
    """
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as name:
        folder, (pack,) = Path(name), golden_packs([subject.pack])
        mutants = choose(pack.config, subject.mutants, SEED, folder)
        asked = judges_of(pack, subject.quick, folder, judges)
        simulator = build(pack.config, mutants, folder) if asked else folder
        alive = survivors(simulator, asked[:1], mutants, workers)
        equal = proven_equal(pack.config, alive, workers)
        different = [mutant for mutant in alive if mutant.number not in equal]
        different = survivors(simulator, asked[1:], different, workers)
        noise = [mutant for mutant in different if mutant.module == "noise"]
        if asked and noise:
            lost = set(noise) - set(survivors(simulator, seed_judges(pack, folder), noise, workers))
            different = [mutant for mutant in different if mutant not in lost]
    left = {mutant.number for mutant in different}
    return [
        Fate(
            subject.pack,
            mutant,
            mutant.number not in left | equal,
            mutant.number in equal,
            reason(subject.pack, mutant.place) if mutant.number in left else "",
        )
        for mutant in mutants
    ]


def report(
    workers: int, subjects: Sequence[Subject] = SUBJECTS, judges: Sequence[str] = JUDGES
) -> tuple[list[str], bool]:
    """Killed, equal, listed and surviving mutants of each module; those that are not proven one by one."""
    fates = [fate for subject in subjects for fate in judged(subject, workers, judges)]
    lines = [f"{'module':20} {'mutants':>8} {'killed':>8} {'equal':>8} {'listed':>8} {'survived':>9}"]
    for module in [*sorted({fate.mutant.module for fate in fates}), "all"]:
        here = [fate for fate in fates if module in (fate.mutant.module, "all")]
        counts = [sum(map(of, here)) for of in (is_killed, is_equal, is_listed, is_open)]
        lines.append(f"{module:20} {len(here):8} {counts[0]:8} {counts[1]:8} {counts[2]:8} {counts[3]:9}")
    killed = sum(map(is_killed, fates))
    different = sum(is_killed(fate) or is_open(fate) for fate in fates)
    lines.append(f"{100 * killed / different:.2f} % of {different} mutants that are not equal were killed")
    lines += [f"  listed: {_named(fate)}: {fate.reason}" for fate in fates if is_listed(fate)]
    lines += [f"  survived: {_named(fate)}" for fate in fates if is_open(fate)]
    listed = [(fate.pack, fate.mutant.place) for fate in fates if is_listed(fate)]
    stale = unused_reasons(listed) if subjects is SUBJECTS and SEED == 1 else []
    lines += [f"  no mutant is like this any more: {pattern}" for pattern in stale]
    return lines, 100 * killed >= 99 * different and not stale


def _named(fate: Fate) -> str:
    return f"{fate.pack} {fate.mutant.number}, {fate.mutant.place}"


def is_killed(fate: Fate) -> bool:
    return fate.killed


def is_equal(fate: Fate) -> bool:
    return fate.equal


def is_listed(fate: Fate) -> bool:
    return bool(fate.reason)


def is_open(fate: Fate) -> bool:
    return not (fate.killed or fate.equal or fate.reason)
