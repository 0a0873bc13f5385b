# SPDX-License-Identifier: MIT
"""Few bits: every method of training for them, in one table: `python -m benchmarks precision`.

Slow: hours for all. Each cell is kept in an SQLite file as soon as it has ended, and one that was interrupted goes on
from its last minute. Weights and values between layers have so many bits, logits 8; of 1, the weights have one bit and
the values two. Figures are of the bit-accurate network, on held-out data, after the last epoch: no epoch and no
seed is picked by them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks import precision_after, precision_curves, precision_hgq, precision_widths
from benchmarks.precision_cells import AIMS, Cell, figure_of, measured
from fixedpoint_nn.files.whole import write_whole
from fixedpoint_nn.precision.few_bits import COURSES
from fixedpoint_nn.precision.store import ResultStore
from fixedpoint_nn.training.methods import joined

OUT = Path("runs") / "precision"
TABLE = Path(__file__).with_name("precision.json")
EVERY = (
    "straight-through",
    "stochastic",
    "pact",
    "lsq",
    "lsq+moments",
    "lsq+progressive",
    "lsq+stochastic",
    "lsq+distillation",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the cells, print and keep the table; 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks precision",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--network",
        action="append",
        choices=[*COURSES, precision_hgq.MNIST_MLP],
        help=f"all if none is named; {precision_hgq.MNIST_MLP} for --hgq only",
    )
    parser.add_argument("--bits", default="4,3,2,1", help="such as 4,2")
    parser.add_argument(
        "--method", action="append", help=f'the course\'s if none; "every" for {", ".join(EVERY)}'
    )
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--epochs", type=int, help="for all networks")
    parser.add_argument("--rate", type=float, help="of Adam, for all networks")
    parser.add_argument(
        "--held-back",
        action="store_true",
        help="train without the last tenth of the training data and judge on it: to choose a course; keeps no row",
    )
    parser.add_argument(
        "--after-training", action="store_true", help="train nothing: compare the efforts of calibrate"
    )
    parser.add_argument(
        "--widths",
        action="store_true",
        help="learn widths instead, beside the greedy search and one word length",
    )
    parser.add_argument(
        "--hgq", metavar="PYTHON", help="learned widths beside HGQ2's, which this interpreter has"
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help="measure nothing: write the kept rows into docs/precision.md, and their picture",
    )
    parser.add_argument("--no-progress", action="store_true", help="print the table's lines only")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder of the store, plans and weights")
    parser.add_argument(
        "--table", type=Path, help=f"where the figures are added (JSON), such as {TABLE.name}"
    )
    options = parser.parse_args(arguments)
    methods = [m for given in options.method or [None] for m in (EVERY if given == "every" else [given])]
    for method in filter(None, methods):
        joined(method)
    if options.page:
        precision_curves.write(options.table or TABLE)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    if options.after_training:
        return after_training(options.network or list(precision_after.AIMS), options.bits, options.out)
    if options.hgq:
        return beside_hgq2(options.network or precision_hgq.NETWORKS, options)
    if options.widths:
        with ResultStore(options.out / "results.sqlite") as store:
            for network in options.network or list(precision_widths.COURSES):
                print(
                    *precision_widths.lines(precision_widths.measured(network, store, options.out)), sep="\n"
                )
        return 0
    missed, rows = 0, []
    with ResultStore(options.out / "results.sqlite") as store:
        for network in options.network or COURSES:
            for bits in sorted({int(b) for b in options.bits.split(",")}, reverse=True):
                if bits not in AIMS[network]:
                    print(f"{network} has no cell of {bits} bits: {', '.join(map(str, AIMS[network]))}")
                    continue
                for method in methods:
                    changed = {"method": method, "epochs": options.epochs, "rate": options.rate}
                    course = replace(
                        COURSES[network][bits], **{k: v for k, v in changed.items() if v is not None}
                    )
                    cells = [
                        Cell(network, bits, course, seed, options.held_back) for seed in range(options.seeds)
                    ]
                    found = [measured(cell, store, options.out, not options.no_progress) for cell in cells]
                    rows.append(row(cells[0], found))
                    missed += not rows[-1]["reached"]
                    print(line(rows[-1]), flush=True)
    if options.table and not options.held_back:
        keep(options.table, rows)
    return 1 if missed else 0


def after_training(networks: Sequence[str], bits: str, out: Path) -> int:
    """Print what `calibrate` loses and how long it takes; 1 if an aim is missed."""
    missed = 0
    with ResultStore(out / "results.sqlite") as store:
        for network in networks:
            for length in (int(b) for b in bits.split(",")):
                for found in precision_after.rows(network, store, length):
                    missed += found["aim"] is not None and found["lost"] > found["aim"]
                    print(precision_after.line(found), flush=True)
    return 1 if missed else 0


def beside_hgq2(networks: Sequence[str], options: argparse.Namespace) -> int:
    """Print both fronts of each network; 1 if HGQ2's hypervolume is larger."""
    behind = 0
    for network in networks:
        both = precision_hgq.compare(network, options.hgq, options.out, options.epochs)
        print(*precision_hgq.lines(both), sep="\n", flush=True)
        behind += both["ours"]["hypervolume"] < both["HGQ2"]["hypervolume"]
    return int(behind > 0)


def row(cell: Cell, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One line of the table: mean and spread over the seeds."""
    lost = [result["lost"] for result in found]
    aim = AIMS[cell.network][cell.bits]
    return {
        "network": cell.network,
        "bits": cell.bits,
        **asdict(cell.course),
        "seeds": len(lost),
        "lost": round(mean(lost), 3),
        "spread": round(stdev(lost), 3) if len(lost) > 1 else None,
        "each": [round(value, 3) for value in lost],
        "rounded": round(found[0]["rounded"], 3),
        "aim": aim,
        "reached": mean(lost) <= aim,
        "minutes": round(sum(result["minutes"] for result in found), 1),
        "cpu_minutes": round(sum(result["cpu_minutes"] for result in found), 1),
        "curves": [result["curves"][figure_of(cell.network)] for result in found],
    }


def line(found: dict[str, Any]) -> str:
    """The row as text."""
    spread = "" if found["spread"] is None else f" +- {found['spread']:.2f}"
    verdict = "reached" if found["reached"] else "MISSED"
    return (
        f"{found['network']:12} {found['bits']} bits  {found['method']:22} lost {found['lost']:+.2f}{spread} "
        f"({found['seeds']} seeds, {found['epochs']} epochs, {found['minutes']:.1f} min; rounded alone "
        f"{found['rounded']:+.2f}; aim {found['aim']:g}: {verdict})"
    )


def keep(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Put the rows into the file; those of the same network, bits and method replace the old ones."""
    old = json.loads(path.read_text("utf-8")) if path.exists() else []
    new = {_place(found): found for found in [*old, *rows]}
    ordered = sorted(new.values(), key=lambda found: (found["network"], -found["bits"], found["method"]))
    write_whole(path, (json.dumps(ordered, indent=1) + "\n").encode())


def _place(found: dict[str, Any]) -> tuple[str, int, str]:
    return found["network"], found["bits"], found["method"]
