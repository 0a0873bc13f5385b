# SPDX-License-Identifier: MIT
"""The efficiency of layer shapes on the engine: multiply-accumulate steps against clocks.

`python -m fixedpoint_nn.hardware.tools.efficiency` prints the table of docs/engine.md; with folders of packs as
arguments, the steps and clocks of each of their runs. The clocks are exact, by `timing.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.reference_tables import markdown_table
from fixedpoint_nn.hardware.isa.schedule import mac_steps
from fixedpoint_nn.hardware.isa.timing import Timing
from fixedpoint_nn.hardware.pack.manifest import PackError
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack

# The overhead of any machine with registered memories and accumulators and one step per clock: a clock to read its
# first instruction, and, after the clock that reads the last step's operands, one to multiply and add, and one to
# write the rounded sum.
LEAST_BESIDE_STEPS = 3


@dataclass(frozen=True)
class LayerShape:
    """A layer's shape: `taps` products for each of `channels` channels at each of `pixels` pixels."""

    name: str
    taps: int
    channels: int
    pixels: int = 1
    paired: bool = False  # a product of two activations takes two steps and is one multiplication

    def run(self, lanes: int, barrier: bool) -> Run:
        """The Run of this shape on `lanes` lanes; with `barrier` it waits for earlier results."""
        tiles = -(-self.channels // lanes)
        return Run(
            counts=(self.taps * (1 + self.paired), 1, 1, tiles, self.pixels, 1),
            last_channels=self.channels - (tiles - 1) * lanes,
            vector=self.paired,
            paired=self.paired,
            barrier=barrier,
        )


SHAPES = (
    LayerShape("dense 2 to 16", 2, 16),
    LayerShape("dense 16 to 16", 16, 16),
    LayerShape("dense 64 to 64", 64, 64),
    LayerShape("dense 784 to 256", 784, 256),
    LayerShape("dense 128 to 10", 128, 10),
    LayerShape("convolution 3 x 3, 1 to 16 channels, 28 x 28 pixels", 9, 16, 784),
    LayerShape("convolution 3 x 3, 16 to 16 channels, 28 x 28 pixels", 144, 16, 784),
    LayerShape("convolution 1 x 1, 4 to 16 channels, 28 x 28 pixels", 4, 16, 784),
    LayerShape("convolution 3 x 3, 16 to 20 channels, 28 x 28 pixels", 144, 20, 784),
    LayerShape("depthwise or pooling 3 x 3, 16 channels, 14 x 14 pixels", 9, 16, 196),
    LayerShape("depthwise or pooling 2 x 2, 16 channels, 14 x 14 pixels", 4, 16, 196),
    LayerShape("sum of two values, 128 channels", 2, 128),
    LayerShape("f*c + i*g, 128 channels", 2, 128, paired=True),
    LayerShape("table of one value, 128 channels", 1, 128),
)


def clocks(shape: LayerShape, lanes: int, barrier: bool) -> int:
    """The clocks of one more run of this shape after another one."""
    timing = Timing(lanes)
    first, second = (timing.run(shape.run(lanes, barrier)) for _ in range(2))
    return second.last_step - first.last_step


def shapes(lanes: int = 8) -> str:
    """The table of shapes, without and with waiting for the run before, as Markdown."""
    rows = []
    for shape in SHAPES:
        steps = mac_steps(shape.run(lanes, False))
        slots = steps * lanes
        useful = shape.taps * shape.channels * shape.pixels / slots
        taken = [clocks(shape, lanes, barrier) for barrier in (False, True)]
        rows.append(
            (shape.name, f"{steps:,}", *(part for c in taken for part in (f"{c:,}", f"{steps / c:.1%}")))
            + (f"{useful:.1%}",)
        )
    head = ("layer", "steps", "clocks", "used", "clocks, waiting", "used, waiting", "lanes with a channel")
    return markdown_table(head, rows)


def runs(pack: Pack) -> str:
    """Steps, clocks and the lower bound of clocks for every run of a pack, as text."""
    steps, cycles = pack.manifest["mac_cycles"][0], pack.cycles[0]
    rows = [
        (run["layer"] or "copy", run["place"], f"{run['mac_cycles']:,}", f"{run['cycles']:,}")
        + (f"{run['mac_cycles'] / run['cycles']:.1%}",)
        for run in pack.manifest["runs"]
        if run.get("cycles")
    ]
    by_run = markdown_table(("layer", "program address", "steps", "clocks", "used"), rows)
    least = steps + LEAST_BESIDE_STEPS
    return (
        f"{pack.name}: {steps:,} steps in {cycles:,} clocks, {steps / cycles:.1%}; no machine with registered "
        f"memories and accumulators takes fewer than {least:,} ({steps / least:.1%})\n\n"
        + (by_run if rows else "Its program jumps on what it has written, so its runs have no schedule.\n")
    )


def main(folders: Sequence[str]) -> int:
    """Print the runs of these packs, or without any the table of shapes; the exit status."""
    try:
        print("\n".join(runs(load_pack(folder)) for folder in folders) if folders else shapes())
    except PackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
