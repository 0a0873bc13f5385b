# SPDX-License-Identifier: MIT
"""`python -m tests.proof.mutation_python [ROOM...]`: which mutants of the rooms does no test notice?

Exit status 0 if at least 97 % are killed and every survivor stands in survivors.txt, with a reason.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path

from tqdm import tqdm

from tests.proof.mutation_python.judge import Case, judged
from tests.proof.mutation_python.mutants import Mutant, mutants
from tests.proof.mutation_python.quick import Answer, Verdict, prepare, quick_answers
from tests.proof.mutation_python.reach import is_own
from tests.proof.mutation_python.results import RESULTS, Results
from tests.proof.mutation_python.rooms import JUDGES, PACKAGE, ROOMS, ROOT, modules
from tests.proof.mutation_python.survivors import SURVIVORS, read_survivors, reason_of

LEAST = 0.97
BUDGET, LISTED_BUDGET = 20.0, 1.0  # seconds of tests that a mutant is given, and one that is listed

Found = Sequence[tuple[Path, Mutant]]


def main() -> int:
    """Judge the mutants, print a line for each survivor and the sums; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutation_python", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"{', '.join(ROOMS)}; all if none is named")
    parser.add_argument("--module", action="append", default=[], help="only this file, such as rounding.py")
    parser.add_argument("--match", default="", help="only mutants whose name holds this text, such as ldexp")
    parser.add_argument(
        "--since", metavar="COMMIT", help="only mutants that the code of this commit did not have"
    )
    parser.add_argument("--sample", type=int, help="only so many mutants of each room, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of tests for each mutant")
    parser.add_argument(
        "--judges", nargs="+", default=JUDGES, metavar="FOLDER", help="only the tests of these folders"
    )
    parser.add_argument("--jobs", type=int, default=1, help="tests that run at a time")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="file of verdicts, with which a run goes on"
    )
    parser.add_argument("--anew", action="store_true", help="forget the verdicts of earlier runs")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    prepare()
    chosen = [
        path
        for room in arguments.rooms or ROOMS
        for path in modules(room)
        if not arguments.module or path.name in arguments.module
    ]
    every = [(path, mutant) for path in chosen for mutant in mutants(_name(path), path.read_text())]
    old = _names_at(arguments.since, chosen) if arguments.since else frozenset()
    found = [
        (path, mutant) for path, mutant in every if arguments.match in mutant.name and mutant.name not in old
    ]
    if arguments.sample is not None:
        found = _drawn(found, arguments.sample, arguments.seed)
    print(f"{len(found)} of {len(every)} mutants of {len(chosen)} modules", flush=True)
    whole = len(found) == len(every) and not arguments.module
    results = Results(arguments.results, arguments.judges, arguments.anew)
    verdicts = _verdicts(found, arguments.judges, arguments.jobs, arguments.budget, results)
    return _report(found, verdicts, whole)


def _drawn(found: Found, count: int, seed: int) -> list[tuple[Path, Mutant]]:
    """A sample of each room; a larger one begins with the smaller one."""
    rooms: dict[str, list[tuple[Path, Mutant]]] = {}
    for path, mutant in found:
        rooms.setdefault(_room(mutant), []).append((path, mutant))
    return [pair for of in rooms.values() for pair in random.Random(seed).sample(of, len(of))[:count]]


def _names_at(commit: str, files: Sequence[Path]) -> frozenset[str]:
    """The names of the mutants that these files had in a commit."""
    names: set[str] = set()
    for path in files:
        shown = ["git", "show", f"{commit}:{path.relative_to(ROOT).as_posix()}"]
        source = subprocess.run(shown, cwd=ROOT, capture_output=True, text=True, check=False).stdout
        names.update(mutant.name for mutant in mutants(_name(path), source))
    return frozenset(names)


def _room(mutant: Mutant) -> str:
    return mutant.name.split(":")[0].split("/")[0]


def _name(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix()


def _report(found: Found, verdicts: Iterator[tuple[Mutant, Verdict]], everything: bool) -> int:
    known, used, began = read_survivors(), set(), time.monotonic()
    by_module: dict[str, Counter[str]] = {}
    progress = tqdm(verdicts, total=len(found), disable=None)
    for mutant, verdict in progress:
        kind = "killed"
        if verdict is Verdict.SURVIVED:
            pattern, reason = reason_of(mutant.name, known)
            if pattern is None:
                kind = "unlisted"
                progress.write(f"SURVIVED  line {mutant.line}: {mutant.name}")
            else:
                used.add(pattern)
                kind = "equivalent" if reason.startswith("equivalent") else "listed"
        by_module.setdefault(mutant.name.split(":")[0], Counter())[kind] += 1
    for module, kinds in sorted(by_module.items()):
        print(f"{module:42} " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    for room in sorted({module.split("/")[0] for module in by_module}):
        print(_summary(room, sum((by_module[m] for m in by_module if m.split("/")[0] == room), Counter())))
    sums = sum(by_module.values(), Counter())
    print(f"{_summary('all', sums)}; {time.monotonic() - began:.0f} s")
    judged_ones, unlisted = sum(sums.values()) - sums["equivalent"], sums["unlisted"]
    share = sums["killed"] / judged_ones if judged_ones else 1.0
    rooms = {mutant.name.split(":")[0].split("/")[0] for _, mutant in found}
    stale = [p for p in known if everything and p not in used and p.split("/")[0] in rooms]
    for pattern in stale:
        print(f"STALE  {SURVIVORS.name} lists {pattern}, and nothing of that name survives")
    return 0 if share >= LEAST and not unlisted and not stale else 1


def _summary(what: str, sums: Counter[str]) -> str:
    """Killed of all that are not listed as equivalent; the interval is for a sample, which these may be."""
    count = sum(sums.values()) - sums["equivalent"]
    low, high = wilson(sums["killed"], count)
    return (
        f"{what}: {sums['killed']} of {count} killed ({sums['killed'] / max(count, 1):.1%}; as a sample, "
        f"95 % confidence: {low:.1%} to {high:.1%}); {sums['listed']} survivors listed, "
        f"{sums['unlisted']} not listed; {sums['equivalent']} equivalent mutants, listed, are not counted"
    )


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % confidence for a share."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle, width = (
        share + z * z / (2 * count),
        z * sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2),
    )
    scale = 1 + z * z / count
    return (middle - width) / scale, (middle + width) / scale


def _verdicts(
    found: Found, judges: Sequence[str], jobs: int, budget: float, results: Results
) -> Iterator[tuple[Mutant, Verdict]]:
    """Each mutant's verdict: of before, or in place, or by importing it where nothing was noticed in place."""
    paths, listed = {mutant.name: path for path, mutant in found}, read_survivors()
    budgets: dict[str, float] = {}
    to_judge = []

    def add(name: str, verdict: Verdict, test: str) -> None:
        results.add(name, paths[name], verdict, test, budgets[name])

    for path, mutant in found:
        is_listed = reason_of(mutant.name, listed)[0] is not None
        budgets[mutant.name] = min(budget, LISTED_BUDGET) if is_listed else budget
        before = results.known(mutant.name, path, budgets[mutant.name])
        if before is None:
            to_judge.append((path, mutant, budgets[mutant.name]))
        else:
            yield mutant, before
    to_import: dict[str, tuple[Mutant, Answer]] = {}
    every_file = [path for room in ROOMS for path in modules(room)]
    for mutant, answer in quick_answers(to_judge, judges, every_file, jobs) if to_judge else ():
        is_listed = reason_of(mutant.name, listed)[0] is not None
        if answer.tests and not (is_listed and answer.verdict is Verdict.SURVIVED):
            to_import[mutant.name] = mutant, answer
            continue
        verdict = Verdict.SURVIVED if answer.verdict is Verdict.UNTRIED else answer.verdict
        add(mutant.name, verdict, answer.test)
        yield mutant, verdict
    cases = [
        Case(name, _module(paths[name]), mutant.source, answer.tests, answer.seconds)
        for name, (mutant, answer) in to_import.items()
    ]
    # The tests of the module itself are quickly imported, and notice most; only what they miss is asked of all,
    # unless it is listed.
    own = [(case, tuple(test for test in case.tests if is_own(test, paths[case.name]))) for case in cases]
    missed = [case for case, tests in own if not tests]
    for case, verdict, test in judged((replace(case, tests=tests) for case, tests in own if tests), jobs):
        if verdict is Verdict.SURVIVED and reason_of(case.name, listed)[0] is None:
            missed.append(replace(case, tests=to_import[case.name][1].tests))
            continue
        add(case.name, verdict, test)
        yield to_import[case.name][0], verdict
    for case, verdict, test in judged(missed, jobs):
        add(case.name, verdict, test)
        yield to_import[case.name][0], verdict


def _module(path: Path) -> str:
    return f"{PACKAGE}.{_name(path).replace('/', '.')}"


if __name__ == "__main__":
    raise SystemExit(main())
