# SPDX-License-Identifier: MIT
"""An estimate of an engine's LUTs: a small linear model, fitted to the results of yosys for several engines.

`python -m fixedpoint_nn.hardware.tools.lut_estimate` measures them again and prints the lines of MEASURED; with numbers
of lines, only those. Memories are assumed to be block memories; small ones in LUTs are extra.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.sim import guard
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.hardware.tools.synthesis import SMALL_MEMORIES, counted

Vector = NDArray[np.float64]


class Measured(NamedTuple):
    """The size of one engine by yosys: `synth_xilinx` (LUTs of 6 inputs) or `synth_ecp5` (4 inputs)."""

    inputs: int
    lanes: int
    drain: int
    words: int
    bits: int  # of words; WIDTHS has the engine's own
    multiplier: int
    luts: int
    multipliers: int
    blocks: int  # block memories of 18 kbit
    pack: int = 1  # lanes that share a multiplier

    @property
    def config(self) -> EngineConfig:
        """The engine's configuration."""
        activation, weight, accumulator, bias = WIDTHS[self.bits]
        return EngineConfig(
            lanes=self.lanes,
            drain=self.drain,
            words=self.words,
            activation_width=activation,
            weight_width=weight,
            accumulator_width=accumulator,
            bias_width=bias,
            multiplier_width=self.multiplier,
            pack=self.pack,
            **SMALL_MEMORIES,
        )


WIDTHS = {8: (9, 8, 32, 24), 16: (16, 16, 48, 32)}  # activations, weights, sums, biases
# By yosys 0.70.
MEASURED: tuple[Measured, ...] = (
    Measured(6, 1, 1, 1, 8, 0, 856, 1, 9),
    Measured(6, 8, 1, 1, 8, 0, 1192, 8, 23),
    Measured(6, 8, 1, 1, 8, 16, 1289, 10, 24),
    Measured(6, 8, 1, 8, 8, 0, 1905, 8, 29),
    Measured(6, 8, 8, 1, 8, 0, 3267, 8, 49),
    Measured(6, 8, 8, 1, 8, 32, 4343, 40, 56),
    Measured(6, 8, 8, 8, 8, 0, 3994, 8, 49),
    Measured(6, 32, 1, 1, 8, 0, 2254, 32, 71),
    Measured(6, 32, 1, 4, 8, 0, 3508, 32, 71),
    Measured(6, 32, 8, 1, 8, 0, 4296, 32, 91),
    Measured(6, 32, 8, 8, 8, 0, 6147, 32, 91),
    Measured(6, 32, 16, 32, 8, 0, 11371, 32, 106),
    Measured(6, 64, 1, 1, 8, 0, 3612, 64, 135),
    Measured(6, 64, 8, 1, 8, 0, 5574, 64, 155),
    Measured(6, 64, 8, 8, 8, 0, 8885, 64, 155),
    Measured(6, 8, 1, 1, 8, 0, 1665, 4, 23, 2),
    Measured(6, 64, 8, 1, 8, 0, 9404, 32, 155, 2),
    Measured(6, 8, 1, 1, 16, 0, 1535, 8, 42),
    Measured(6, 8, 8, 1, 16, 0, 4430, 8, 81),
    Measured(6, 32, 1, 1, 16, 0, 3273, 32, 138),
    Measured(4, 1, 1, 1, 8, 0, 1905, 1, 9),
    Measured(4, 8, 1, 1, 8, 0, 3066, 8, 23),
    Measured(4, 8, 1, 8, 8, 0, 4054, 8, 29),
    Measured(4, 8, 1, 1, 8, 0, 3323, 8, 23, 2),
    Measured(4, 8, 2, 1, 8, 16, 4157, 12, 28),
    Measured(4, 8, 4, 1, 8, 0, 4344, 8, 32),
    Measured(4, 8, 4, 4, 8, 0, 5044, 8, 32),
    Measured(4, 32, 1, 1, 8, 0, 7192, 32, 71),
    Measured(4, 8, 1, 1, 16, 0, 4095, 8, 42),
)
MARGINS = {6: 0.10, 4: 0.15}  # the relative error of an estimate, by the inputs of a LUT
ROUNDED = 10  # LUTs


def estimate(config: EngineConfig, inputs: int = 6) -> int:
    """The estimated number of LUTs with `inputs` inputs, without memories."""
    return ROUNDED * round(float(_parts(config) @ _of_parts(inputs)) / ROUNDED)


def _parts(config: EngineConfig) -> Vector:
    """The regressors of the model."""
    lanes, drain, words = config.lanes, config.drain, config.words
    word, sums = config.activation_width, config.accumulator_width
    turned = drain * (drain.bit_length() - 1) + words * (words.bit_length() - 1)
    joined = lanes - lanes // words  # adders
    return np.array(
        [
            1,
            lanes * (word + sums),  # selectors of operands and of sums
            drain * (word + sums),  # requantisers
            turned * word,  # rotation of words within a row
            joined * sums,
            drain * config.multiplier_width,
            (config.pack - 1) * lanes * (word + sums),  # sums of shared products
        ],
        float,
    )


@cache
def _of_parts(inputs: int) -> Vector:
    """The coefficients for LUTs with `inputs` inputs, by least squares of the relative errors."""
    measured = [one for one in MEASURED if one.inputs == inputs]
    luts = np.array([one.luts for one in measured], float)
    parts = np.array([_parts(one.config) for one in measured])
    return np.asarray(np.linalg.lstsq(parts / luts[:, None], np.ones(len(luts)), rcond=None)[0])


def main(lines: Sequence[str]) -> int:
    """Measure again, and print the lines of MEASURED; returns the exit status."""
    if any(not text.isdigit() or int(text) >= len(MEASURED) for text in lines):
        print(f"lines of MEASURED are 0 to {len(MEASURED) - 1}, not {' '.join(lines)}", file=sys.stderr)
        return 2
    try:
        for one in [MEASURED[int(text)] for text in lines] or MEASURED:
            luts, multipliers, blocks = counted(one.config, one.inputs)
            again = one._replace(luts=luts, multipliers=multipliers, blocks=blocks)
            print(f"    Measured{tuple(again)},", flush=True)
    except (ToolError, PlaceError) as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    guard.end_with_make()
    sys.exit(main(sys.argv[1:]))
