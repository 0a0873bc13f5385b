# SPDX-License-Identifier: MIT
"""Speed, side by side: `python -m benchmarks [part ...]`, all parts if none is named.

Medians over rounds; every engine runs in each of them, with one BLAS thread. Engines whose package is missing
are left out. The exit status is 1 if a target is missed, or if a float baseline is too slow to be compared with.
The figures go to benchmarks/results.json with the machine, the date and the versions.

`python -m benchmarks precision` is about accuracy, not speed, and takes hours: see its --help. `python -m
benchmarks cluster` is about sweeps on Dask.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported

from benchmarks.results import RESULTS, write_part  # noqa: E402
from benchmarks.timing import CLOCKS, DirtyBaseline  # noqa: E402

PARTS = (
    "peaks", "mlp", "lstm", "networks", "quantising", "accumulators", "sweep", "training", "memory", "two_cores",
    "simulators",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] in (["precision"], ["cluster"]):
        return int(import_module(f"benchmarks.{given[0]}").main(given[1:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all if none")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu hardly notices other processes")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the figures are written (JSON)")
    options = parser.parse_args(given)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    missed = 0
    for name in options.parts or PARTS:
        try:
            part = import_module(f"benchmarks.{name}")
            comparisons = part.run(options.rounds, options.clock)
        except DirtyBaseline as refusal:
            print(f"\nREFUSED: {name}: {refusal}", flush=True)
            missed += 1
            continue
        for comparison in comparisons:
            print(
                f"\n{comparison.title}", *(f"  {line}" for line in comparison.lines()), sep="\n", flush=True
            )
            missed += comparison.missed
        write_part(options.out, name, getattr(part, "CLOCK", options.clock), comparisons)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
