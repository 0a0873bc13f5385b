# SPDX-License-Identifier: MIT
"""Faults in use, as `tests/project/test_faults.py` makes them, with more damage to each kind of file than usual."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "project" / "test_faults.py"
DAMAGES, SURVEYED, SEED = 1000, 100, 7  # of each kind of file; the slow suite surveys 10,000 in all
CASE = re.compile(r"::test_(\w+)(?:\[.*\])? (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")


def report(workers: int) -> tuple[list[str], bool]:
    """How many cases of each test pass; what pytest says, if one does not."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(TESTS),
        "-v",
        "-p",
        "no:cacheprovider",
        f"--hypothesis-seed={SEED}",
    ]
    environment = os.environ | {"FIXEDPOINT_NN_DAMAGES": str(DAMAGES), "COLUMNS": "120"}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    cases = CASE.findall(done.stdout)
    tried = Counter(name for name, _ in cases)
    passed = Counter(name for name, fate in cases if fate == "PASSED")
    lines = [f"{name.replace('_', ' ')}: {passed[name]} of {tried[name]}" for name in tried]
    holds = done.returncode == 0 and bool(cases) and passed == tried
    lines += [] if holds else [(done.stdout + done.stderr)[-3000:]]
    read, whole = survey(SURVEYED, SEED)
    return lines + read, holds and whole


def survey(count: int, seed: int, *kinds: str) -> tuple[list[str], bool]:
    """Damaged files of every kind, read in a process with little memory and time: what came of them, and whether each
    was read as it was, or refused in one sentence."""
    command = [sys.executable, "-m", "tests.support.damaged_survey", str(count), str(seed), *kinds]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3600,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode:
        return [
            f"the process that reads damaged files ended with {done.returncode}: {done.stderr[-2000:]}"
        ], False
    found = json.loads(done.stdout)
    lines, whole = [], True
    for kind, about in found.items():
        outcomes = ", ".join(f"{word} {number:,}" for word, number in sorted(about["counts"].items()))
        lines.append(f"damaged {kind}: {outcomes}")
        lines += [f"  number {fault['number']}: {fault['fault']}" for fault in about["faults"]]
        whole &= not about["faults"] and (about["counts"].get("refused", 0) > 0 or count < 20)
    total = sum(number for about in found.values() for number in about["counts"].values())
    return [*lines, f"damaged files of {len(found)} kinds: {total:,}"], whole
