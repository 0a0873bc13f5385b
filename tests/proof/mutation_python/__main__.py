# SPDX-License-Identifier: MIT
"""`python -m tests.proof.mutation_python [ROOM...]`: which mutants of the rooms does no test notice?

Exit status 0 if at least 97 % are killed and every survivor stands in survivors.txt, with a reason.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from tests.proof.mutation_python.judge import Case, Verdict, judged, prepare
from tests.proof.mutation_python.mutants import Mutant, mutants
from tests.proof.mutation_python.rooms import PACKAGE, ROOMS, ROOT, judges_of, modules
from tests.proof.mutation_python.survivors import SURVIVORS, read_survivors, reason_of

LEAST = 0.97


def main() -> int:
    """Judge the mutants, print a line for each survivor and the sums; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.mutation_python", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"{', '.join(ROOMS)}; all if none is named")
    parser.add_argument("--module", action="append", default=[], help="only this file, such as rounding.py")
    parser.add_argument("--match", default="", help="only mutants whose name holds this text, such as ldexp")
    parser.add_argument("--sample", type=int, help="only so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="tests that run at a time")
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
    whole = len(every)
    found = [(path, mutant) for path, mutant in every if arguments.match in mutant.name]
    if arguments.sample is not None and arguments.sample < len(found):
        found = sorted(
            random.Random(arguments.seed).sample(found, arguments.sample), key=lambda pair: pair[0]
        )
    print(f"{len(found)} of {whole} mutants of {len(chosen)} modules", flush=True)
    return _report(found, arguments.jobs, len(found) == whole and not arguments.module)


def _name(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix()


def _report(found: list[tuple[Path, Mutant]], jobs: int, everything: bool) -> int:
    known, used = read_survivors(), set()
    killed = equivalent = listed = unlisted = 0
    limits = _time_limits(sorted({path for path, _ in found}))
    lines = {mutant.name: mutant.line for _, mutant in found}
    progress = tqdm(judged(_cases(found, limits), jobs), total=len(found), disable=None)
    for case, verdict, _ in progress:
        if verdict is not Verdict.SURVIVED:
            killed += 1
            continue
        pattern, reason = reason_of(case.name, known)
        if pattern is None:
            unlisted += 1
            progress.write(f"SURVIVED  line {lines[case.name]}: {case.name}")
            continue
        used.add(pattern)
        if reason.startswith("equivalent"):
            equivalent += 1
        else:
            listed += 1
    judged_ones = killed + listed + unlisted
    share = killed / judged_ones if judged_ones else 1.0
    print(
        f"{killed} of {judged_ones} killed ({share:.1%}); {listed} survivors listed, {unlisted} not listed; "
        f"{equivalent} equivalent mutants, listed, are not counted"
    )
    rooms = {mutant.name.split(":")[0].split("/")[0] for _, mutant in found}
    stale = [p for p in known if everything and p not in used and p.split("/")[0] in rooms]
    for pattern in stale:
        print(f"STALE  {SURVIVORS.name} lists {pattern}, and nothing of that name survives")
    return 0 if share >= LEAST and not unlisted and not stale else 1


def _time_limits(paths: list[Path]) -> dict[Path, float]:
    """Three times what the tests take on the module as it is, which they must pass, and 20 seconds."""
    limits: dict[Path, float] = {}
    taken: dict[tuple[str, ...], float] = {}
    for path in paths:
        tests = judges_of(path)
        if tests not in taken:
            case = Case(_name(path), "", None, tests, 900.0)
            ((_, verdict, seconds),) = judged([case], 1)
            if verdict is not Verdict.SURVIVED:
                raise SystemExit(f"{', '.join(tests)} fail without a mutant ({verdict.value})")
            taken[tests] = seconds
        limits[path] = 20 + 3 * taken[tests]
    return limits


def _cases(found: list[tuple[Path, Mutant]], limits: dict[Path, float]) -> Iterator[Case]:
    for path, mutant in found:
        module = f"{PACKAGE}.{_name(path).replace('/', '.')}"
        yield Case(mutant.name, module, mutant.source, judges_of(path), limits[path])


if __name__ == "__main__":
    raise SystemExit(main())
