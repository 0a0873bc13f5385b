# SPDX-License-Identifier: MIT
"""Speed, side by side: `python -m benchmarks [mlp lstm quantising accumulators sweep simulators]`.

Medians over rounds; every engine runs in each of them, with one BLAS thread. Engines whose package is missing
are left out. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

from benchmarks.timing import CLOCKS  # noqa: E402

PARTS = ("mlp", "lstm", "quantising", "accumulators", "sweep", "simulators")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu hardly notices other processes")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    missed = 0
    for name in options.parts or PARTS:
        part = import_module(f"benchmarks.{name}")
        print(f"\n{part.TITLE}", flush=True)
        lines = part.run(options.rounds, options.clock).lines(part.TARGETS)
        print("\n".join(f"  {line}" for line in lines), flush=True)
        missed += sum(line.startswith("MISSED") for line in lines)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
