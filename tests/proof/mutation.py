# SPDX-License-Identifier: MIT
"""Mutants of the engine, all of them in one netlist and chosen at run time, judged by programs.

yosys changes single bits of the netlist (inverted, stuck, or mixed with a neighbour); a mutant is killed when
the bench ends in anything but PASS, or says anything else. What survives is proven to be the same engine
(equivalence.py), or is listed with the reason why no program and no host can tell it from the engine (reasons.py), or
counts as survived.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from tests.proof.judges import JUDGES, Judge
from tests.proof.mutants import Mutant, choose
from tests.proof.reasons import reason, unused_reasons
from tests.proof.targets import OfPack, OfWrapper, Subject, of_hosts, of_streams
from tests.proof.yosys import SCRATCH

SUBJECTS: tuple[Subject, ...] = (
    OfPack("conformance", 400, quick=-3),
    OfPack("conformance_saturating", 100, quick=-3),
    OfPack("conformance_wrapping", 60, quick=-3),
    OfPack("conformance_groups", 80, quick=-3),
    OfPack("conformance_packed", 60, quick=-3),
    OfPack("conformance_drain", 60, quick=-3),
    OfPack("conformance_multiplied", 60, quick=-3),
    of_streams(60),
    of_hosts(40),
    OfWrapper(100),
)
# Those whose survivors nobody has looked at, which the command names and does not ask about.
UNJUDGED: tuple[Subject, ...] = (
    OfPack("conformance_16", 60),
    OfPack("conformance_64", 40),
)
SEED_VARIABLE = "FIXEDPOINT_NN_MUTANTS"  # names other mutants, for which no vector was made on purpose
SEED = int(os.environ.get(SEED_VARIABLE, "1"))


def said(simulator: Sequence[str], judge: Judge, mutant: int) -> str:
    """What the bench says, without the simulator's own lines; nothing if it does not end in PASS, with status 0."""
    command = [*simulator, f"+mutant={mutant}", *judge.arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300
        )
    except subprocess.TimeoutExpired:
        return ""
    passed = done.returncode == 0 and "PASS: " in done.stdout
    return "\n".join(line for line in done.stdout.splitlines() if line[:2] != "- ") if passed else ""


def survivors(
    simulator: Sequence[str], judges: Sequence[Judge], mutants: Sequence[Mutant], workers: int
) -> list[Mutant]:
    """The mutants that every judge lets pass; the engine itself must pass before all."""
    if not mutants:
        return []
    wanted = [said(simulator, judge, 0) for judge in judges]
    for judge, text in zip(judges, wanted, strict=True):
        if not text:
            raise RuntimeError(f"the engine without a mutation does not pass {judge.name}")

    def survives(mutant: Mutant) -> bool:
        return all(
            said(simulator, judge, mutant.number) == text for judge, text in zip(judges, wanted, strict=True)
        )

    with ThreadPoolExecutor(workers) as pool:
        verdicts = list(tqdm(pool.map(survives, mutants), total=len(mutants), desc="mutants", unit="mutant"))
    return [mutant for mutant, alive in zip(mutants, verdicts, strict=True) if alive]


@dataclass(frozen=True)
class Fate:
    """What became of a mutant: killed, equal, or the reason why it is known to be as good as the engine."""

    pack: str
    mutant: Mutant
    killed: bool
    equal: bool = False
    reason: str = ""


def judged(subject: Subject, workers: int, judges: Sequence[str] = JUDGES) -> list[Fate]:
    """The fates of all mutants of one engine.

    The first judge is the quickest. What it lets pass is compared with the engine, and only what is not proven equal
    is asked by the others; mutants of the noise generator also from more seeds.
    """
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as name:
        folder = Path(name)
        mutants = choose(subject.design(), subject.mutants, SEED, folder, subject.modules)
        asked = subject.judges(folder, judges)
        simulator = subject.build(mutants, folder) if asked else []
        alive = survivors(simulator, asked[:1], mutants, workers)
        equal = subject.equal(alive, workers)
        different = [mutant for mutant in alive if mutant.number not in equal]
        different = survivors(simulator, asked[1:], different, workers)
        noise = [mutant for mutant in different if mutant.module == "noise"]
        if asked and noise:
            lost = set(noise) - set(survivors(simulator, subject.seed_judges(folder), noise, workers))
            different = [mutant for mutant in different if mutant not in lost]
    left = {mutant.number for mutant in different}
    return [
        Fate(
            subject.name,
            mutant,
            mutant.number not in left | equal,
            mutant.number in equal,
            reason(subject.name, mutant.place) if mutant.number in left else "",
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
    if subjects is SUBJECTS:
        lines.append(f"  not mutated: {', '.join(subject.name for subject in UNJUDGED)}")
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
