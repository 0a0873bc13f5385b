# SPDX-License-Identifier: MIT
"""`python -m tests.proof.mutation_python [ROOM...]`: which mutants of the rooms does no test notice?

Exit status 0 if at least 97 % are killed and every survivor stands in survivors.txt, with a reason.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from tests.proof.mutation_python.judge import Case, judged
from tests.proof.mutation_python.mutants import Mutant, mutants
from tests.proof.mutation_python.quick import Answer, Verdict, prepare, quick_answers
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
    parser.add_argument("--sample", type=int, help="only so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of tests for each mutant")
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
    found = [(path, mutant) for path, mutant in every if arguments.match in mutant.name]
    if arguments.sample is not None and arguments.sample < len(found):
        found = sorted(
            random.Random(arguments.seed).sample(found, arguments.sample), key=lambda pair: pair[0]
        )
    print(f"{len(found)} of {len(every)} mutants of {len(chosen)} modules", flush=True)
    whole = len(found) == len(every) and not arguments.module
    results = Results(arguments.results, arguments.anew)
    return _report(found, _verdicts(found, arguments.jobs, arguments.budget, results), whole)


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
    sums = sum(by_module.values(), Counter())
    killed, listed, unlisted = sums["killed"], sums["listed"], sums["unlisted"]
    equivalent = sums["equivalent"]
    judged_ones = killed + listed + unlisted
    share = killed / judged_ones if judged_ones else 1.0
    print(
        f"{killed} of {judged_ones} killed ({share:.1%}); {listed} survivors listed, {unlisted} not listed; "
        f"{equivalent} equivalent mutants, listed, are not counted; {time.monotonic() - began:.0f} s"
    )
    rooms = {mutant.name.split(":")[0].split("/")[0] for _, mutant in found}
    stale = [p for p in known if everything and p not in used and p.split("/")[0] in rooms]
    for pattern in stale:
        print(f"STALE  {SURVIVORS.name} lists {pattern}, and nothing of that name survives")
    return 0 if share >= LEAST and not unlisted and not stale else 1


def _verdicts(found: Found, jobs: int, budget: float, results: Results) -> Iterator[tuple[Mutant, Verdict]]:
    """Each mutant's verdict: of before, or in place, or by importing it where nothing was noticed in place."""
    paths, listed = {mutant.name: path for path, mutant in found}, read_survivors()
    to_judge = []
    for path, mutant in found:
        before = results.known(mutant.name, path)
        if before is None:
            is_listed = reason_of(mutant.name, listed)[0] is not None
            to_judge.append((path, mutant, min(budget, LISTED_BUDGET) if is_listed else budget))
        else:
            yield mutant, before
    to_import: dict[str, tuple[Mutant, Answer]] = {}
    every_file = [path for room in ROOMS for path in modules(room)]
    for mutant, answer in quick_answers(to_judge, JUDGES, every_file, jobs) if to_judge else ():
        is_listed = reason_of(mutant.name, listed)[0] is not None
        if answer.tests and (
            answer.verdict is Verdict.UNTRIED or not is_listed
        ):  # it may show at import alone
            to_import[mutant.name] = mutant, answer
            continue
        verdict = Verdict.SURVIVED if answer.verdict is Verdict.UNTRIED else answer.verdict
        results.add(mutant.name, paths[mutant.name], verdict, answer.test)
        yield mutant, verdict
    cases = (
        Case(name, _module(paths[name]), mutant.source, answer.tests, answer.seconds)
        for name, (mutant, answer) in to_import.items()
    )
    for case, verdict, test in judged(cases, jobs):
        results.add(case.name, paths[case.name], verdict, test)
        yield to_import[case.name][0], verdict


def _module(path: Path) -> str:
    return f"{PACKAGE}.{_name(path).replace('/', '.')}"


if __name__ == "__main__":
    raise SystemExit(main())
