# SPDX-License-Identifier: MIT
"""Utilisation of the engine's multipliers by the zoo's networks, with 8-bit words.

`python -m fixedpoint_nn.report.efficiency` prints the table of docs/engine.md: useful products over cycles times lanes,
with the best numbers of words drained and read per clock. With `--simulate` each figure is simulated, too: the words
must be the model's and the cycles those of the schedule. With `--batch N` a run computes N samples, and the table has
the cycles of one of them, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.hardware.isa.config import DRAINS, LANES, WORDS
from fixedpoint_nn.hardware.isa.reference_tables import markdown_table
from fixedpoint_nn.hardware.isa.schedule import Schedule, schedule
from fixedpoint_nn.hardware.sim import guard
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.rtl_model import RtlModel
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.calibrate import calibrate
from fixedpoint_nn.precision.quantize import quantize

COLUMNS = (8, 32, 64, 128, 256)
# Targets of utilisation, in percent of all slots.
AIMS = {
    "fashion_mlp": (99, 99, 99, 98, 95),
    "lenet": (99, 98, 98, 96, 93),
    "resnet8": (99, 98, 98, 96, 92),
    "mnist_lstm": (98, 96, 93, 88, 75),
    "names_lstm": (97, 94, 90, 84, 72),
}
# Every network with shipped weights.
NETWORKS = tuple(name for name in zoo.names() if name != "resnet50")
CALIBRATION = 100  # samples


@dataclass(frozen=True)
class Use:
    """One network on one engine, with the drain and words per clock of the fewest cycles, and its utilisation."""

    network: str
    lanes: int
    drain: int
    words: int
    cycles: int  # of a run
    share: float
    batch: int = 1

    def __str__(self) -> str:
        how = f"{self.share:.1%} ({self.drain}, {self.words})"
        return how if self.batch == 1 else f"{how}: {self.cycles / self.batch:,.0f}"


def quantised(name: str, batch: int = 1) -> tuple[Quantized, Array]:
    """(shipped network quantised to 8 bits, the samples of one run)."""
    net, x = zoo.load(name), zoo.samples(name, CALIBRATION)
    return quantize(net, calibrate(net, x, word=8)), x[:batch]


def use(name: str, fixed: Quantized, x: Array, lanes: int) -> Use:
    """The best drain and words for `lanes` lanes; of equally good ones the cheapest."""

    batch = len(x)

    def plan(lanes: int, drain: int, words: int, batch: int = batch) -> Schedule:
        lowered = lower(
            fixed.net, x.shape[1:], fixed.input.format, lanes, drain=drain, words=words, batch=batch
        )
        found = schedule(lowered.instructions, lanes, drain, lowered.config.latency)
        assert found is not None
        return found

    products = batch * plan(1, 1, 1, batch=1).mac_cycles
    engines = [(words, drain) for words in WORDS for drain in DRAINS if max(words, drain) <= lanes]
    cycles, words, drain = min((plan(lanes, drain, words).cycles, words, drain) for words, drain in engines)
    return Use(name, lanes, drain, words, cycles, products / (cycles * lanes), batch)


def simulated(found: Use, fixed: Quantized, x: Array, simulator: str) -> bool:
    """Whether the Verilog yields the model's words in the predicted cycles."""
    rtl = RtlModel(fixed, found.lanes, simulator, drain=found.drain, words=found.words, batch=found.batch)
    same = np.array_equal(rtl(x).ints, fixed(x).ints)
    return same and list(rtl.outcome.cycles) == [found.cycles]


def rows(
    names: Sequence[str], lanes: Sequence[int], simulator: str | None, batch: int = 1
) -> Iterator[tuple[str, ...]]:
    """A row per network, followed by its targets; a figure that simulation contradicts is marked FAIL."""
    for name in names:
        fixed, x = quantised(name, batch)
        cells = []
        for count in lanes:
            found = use(name, fixed, x, count)
            holds = simulator is None or simulated(found, fixed, x, simulator)
            cells.append(str(found) if holds else f"FAIL ({found.drain}, {found.words})")
        yield (name, *cells)
        if name in AIMS and batch == 1:
            aims = dict(zip(COLUMNS, AIMS[name], strict=True))
            yield ("aim", *(f"{aims[count]}%" if count in aims else "" for count in lanes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status, 1 if a simulation differs."""
    parser = argparse.ArgumentParser(
        prog="python -m fixedpoint_nn.report.efficiency",
        description="The share of all multipliers' clocks with a useful product, by network and lanes; in brackets "
        "the words that leave a tile, and those that are read, per clock. With --batch, then the cycles of a sample.",
    )
    parser.add_argument("networks", nargs="*", metavar="NET", help=f"of {', '.join(NETWORKS)} (default: all)")
    parser.add_argument(
        "--lanes", type=int, choices=LANES, action="append", help="only so many (may be repeated)"
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=1,
        choices=range(1, CALIBRATION + 1),
        metavar="N",
        help="samples of a run (default: 1)",
    )
    parser.add_argument("--simulate", choices=SIMULATORS, help="run each figure on the Verilog as well")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.networks if name not in NETWORKS]
    if unknown:
        parser.error(f"there is no network {unknown[0]!r} in this table; use {', '.join(NETWORKS)}")
    lanes = tuple(options.lanes or COLUMNS)
    try:
        found = list(rows(options.networks or NETWORKS, lanes, options.simulate, options.batch))
    except ToolError as error:
        print(error, file=sys.stderr)
        return 3
    print(markdown_table(("network", *(f"{count} lanes" for count in lanes)), found), end="")
    return int(any("FAIL" in cell for row in found for cell in row))


if __name__ == "__main__":
    guard.end_with_make()
    sys.exit(main())
