# SPDX-License-Identifier: MIT
"""`python -m tests.proof [PART ...]`: the parts of the proof, and a summary.

The exit status is 0 only if all of it holds.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Quick ones first: a broken claim is seen soon.
PARTS = {
    "formal": "requantiser, loop nest and control, for all inputs and all time (yosys and ABC)",
    "exhaustive": "the requantiser and the tables at every input",
    "model": "a mistake in the model is found in the layer where it was made",
    "faults": "full disks, killed simulators, damaged and hostile files: one sentence, nothing lost",
    "files": "flipped bits of a pack's images are noticed",
    "coverage": "what of the engine the golden packs reach",
    "mutation": "a mutated engine is noticed by the golden packs",
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; without any: all of them"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {sorted(unknown)[0]!r}; the parts are {', '.join(PARTS)}")
    summary, everything_holds = [], True
    for part in given.parts or PARTS:
        print(f"== {part}: {PARTS[part]}", flush=True)
        begin = time.monotonic()
        try:
            lines, holds = report(part, given.workers)
        except Exception as error:  # one part that breaks must not hide the others
            lines, holds = [f"{type(error).__name__}: {error}"], False
        print(*lines, sep="\n", flush=True)
        everything_holds &= holds
        summary.append(
            f"{part:12} {'holds' if holds else 'FAILS':6} {time.monotonic() - begin:7.0f} s   {PARTS[part]}"
        )
    print("\n== summary", *summary, sep="\n")
    return 0 if everything_holds else 1


def report(part: str, workers: int) -> tuple[list[str], bool]:
    """The part's lines, and whether what it claims holds."""
    lines, holds = importlib.import_module(f"tests.proof.{part}").report(workers)
    return list(lines), bool(holds)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main(sys.argv[1:]))
