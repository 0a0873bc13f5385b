# SPDX-License-Identifier: MIT
"""Faults in use, as `tests/project/test_faults.py` makes them, with more damage to each kind of file than usual."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1] / "test_faults.py"
DAMAGES, SEED = 1000, 7  # of each kind of file
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
    done = subprocess.run(command, env=environment, cwd=TESTS.parents[1], capture_output=True, text=True)
    cases = CASE.findall(done.stdout)
    tried = Counter(name for name, _ in cases)
    passed = Counter(name for name, fate in cases if fate == "PASSED")
    lines = [f"{name.replace('_', ' ')}: {passed[name]} of {tried[name]}" for name in tried]
    holds = done.returncode == 0 and bool(cases) and passed == tried
    return lines + ([] if holds else [(done.stdout + done.stderr)[-3000:]]), holds
