# SPDX-License-Identifier: MIT
"""What holds in every state that a legal program reaches, for the proofs that a mutant is the same engine."""

from __future__ import annotations

from fixedpoint_nn.hardware.engine import EngineConfig
from tests.proof.equivalence import Facts, Literal


def facts(config: EngineConfig) -> Facts:
    """Of an engine with these parameters."""
    bits = (config.lanes - 1).bit_length()  # of a channel's number in its tile
    above = f"[{bits}-5]"
    clauses: list[tuple[Literal, ...]] = [
        # The last channel of a tile is below LANES, so whatever counts channels is.
        (rf"loop_nest\.spacing\[{above}\]", 0),
        *(((rf"loop_nest\.stage_{stage}\[{above}\]", 0),) for stage in range(1, 6)),
        *(
            ((rf"drain\.left\[{above}\]", 0), ("drain.draining[0]".replace("[", r"\[").replace("]", r"\]"), 0))
            for _ in range(1)
        ),
    ]
    if not config.model_width:  # no accumulator is modelled: none loses bits
        clauses += [((r"drain\.wrapped\[0\]", 0),), ((r"(status\.)?accumulator_overflow\[0\]", 0),)]
    return Facts(
        # The assembler refuses more channels than there are lanes.
        assumed={rf"(loop_nest\.run|sequencer\.description)\[{240 + n}\]": 0 for n in range(bits, 6)},
        clauses=tuple(clause if isinstance(clause[0], tuple) else (clause,) for clause in clauses),
        idle={
            # Data beside a flag that says whether there is any.
            r"drain\.left\[\d+\]": (r"drain\.draining\[0\]",),
            r"drain\.index\[\d+\]": (r"drain\.draining\[0\]",),
            r"drain\.last_tile\[0\]": (r"drain\.draining\[0\]",),
            r"drain\.(selected|pixel_end_1)\[\d+\]": (r"drain\.valid_1\[0\]",),
            r"drain\.sum\[\d+\]": (r"drain\.out_valid\[0\]",),
            r"parameter_memory\.fetched\[\d+\]": (r"drain\.valid_1\[0\]",),
            r"parameter_memory\.read_data\[\d+\]": (r"drain\.out_valid\[0\]",),
            r"requantize\.(biased|distance|leaky_distance)\[\d+\]": (r"requantize\.valid_1\[0\]",),
            r"requantize\.(floor|half|sticky|excess|negative)\[\d+\]": (r"requantize\.valid_2\[0\]",),
            r"requantize\.(rounded|excess_3|negative_3)\[\d+\]": (r"requantize\.valid_3\[0\]",),
            r"requantize\.(word|overflowed)\[\d+\]": (r"requantize\.out_valid\[0\]",),
            r"write_back\.word_1\[\d+\]": (r"write_back\.valid_1\[0\]",),
            r"table_memory\.fetched\[\d+\]": (r"write_back\.valid_1\[0\]",),
            r"write_back\.word_2\[\d+\]": (r"write_back\.valid_2\[0\]",),
            r"table_memory\.read_data\[\d+\]": (r"write_back\.valid_2\[0\]",),
            r"write_back\.(result|result_address)\[\d+\]": (r"write_back\.result_valid\[0\]",),
        },
    )
