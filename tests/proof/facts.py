# SPDX-License-Identifier: MIT
"""What holds in every state that a legal program reaches, for the proofs that a mutant is the same engine."""

from __future__ import annotations

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Run
from tests.proof.equivalence import Facts, Literal

BUSY, VALID, LOADING = r"(u_sequencer\.)?busy\[0\]", r"u_sequencer\.valid\[0\]", r"u_sequencer\.loading\[0\]"
OFFERED = r"u_sequencer\.offered\[0\]"
DRAINING, SELECTED, SUM = r"u_drain\.draining\[0\]", r"u_drain\.valid_1\[0\]", r"u_drain\.out_valid\[0\]"
BIASED, FLOOR, ROUNDED, WORD = (
    rf"requantizers\[0\]\.u_requantize\.{name}\[0\]"
    for name in ("valid_1", "valid_2", "valid_3", "out_valid")
)
# Of the multiplier: its two stages, and the first of two roundings.
MULTIPLIED = tuple(
    rf"requantizers\[0\]\.u_requantize\.scaled\.{name}\[0\]"
    for name in (r"u_multiply\.valid_1", r"(u_multiply\.out_valid|valid_b)", "valid_c")
)
LOW = r"requantizers\[0\]\.u_requantize\.low"
LOOKED_UP, ANSWERED, RESULT = (
    rf"u_write_back\.{name}\[0\]" for name in ("valid_1", "valid_2", "result_valid")
)


def zeros(config: EngineConfig) -> list[int]:
    """Bits of a run's description that are 0 in every program that the assembler lets pass."""
    named = {32 * field.word + field.low + bit for field in Run.layout for bit in range(field.bits)}
    (last,) = (field for field in Run.layout if field.name == "last_channels")
    above = range((config.lanes - 1).bit_length(), last.bits)
    opcode = range(28, 31)
    return sorted(
        set(range(32 * Run.words)) - named - set(opcode) | {32 * last.word + last.low + bit for bit in above}
    )


def facts(config: EngineConfig) -> Facts:
    """Of an engine with these parameters."""
    zero = "|".join(map(str, zeros(config)))
    clauses: list[tuple[Literal, ...]] = [
        ((rf"u_loop_nest\.run\[({zero})\]", 0),),
    ]
    # The words of an instruction follow each other without a gap; only a run has more than two.
    clauses += [
        ((VALID, 0), (r"u_sequencer\.fetched\[0\]", 1)),
        *(((r"u_sequencer\.left\[\d\]", 0), literal) for literal in ((VALID, 1), (BUSY, 1), (LOADING, 0))),
        *(
            ((r"u_sequencer\.left\[[1-4]\]", 0), (rf"u_sequencer\.operation\[{bit}\]", int(bit == 0)))
            for bit in range(3)
        ),
        # Of Run, JumpEqual, Load and Store words are to come: 001, 101, 110 and 111.
        (
            (r"u_sequencer\.left\[\d\]", 0),
            (r"u_sequencer\.operation\[0\]", 1),
            (r"u_sequencer\.operation\[1\]", 1),
        ),
        (
            (r"u_sequencer\.left\[\d\]", 0),
            (r"u_sequencer\.operation\[1\]", 0),
            (r"u_sequencer\.operation\[2\]", 1),
        ),
        ((r"u_sequencer\.wait_load\[2\]", 0), (LOADING, 0)),
        ((r"(u_sequencer\.)?done\[0\]", 0), (BUSY, 0)),
    ]
    clauses += [((r"u_loop_nest\.state\[0\]", 0), (r"u_loop_nest\.state\[1\]", 0))]
    # The second wait does not begin before the first has ended.
    clauses += [
        ((r"u_loop_nest\.spacing\[\d\]", 0), (rf"u_loop_nest\.settle\[{bit}\]", config.latency >> bit & 1))
        for bit in range(5)
        if config.lanes > config.drain
    ]
    if config.latency < 16:
        clauses += [((r"u_loop_nest\.settle\[4\]", 0),)]
    clauses += [  # as many ones as the format has bits
        ((rf"{LOW}\[{bit}\]", 1), (rf"{LOW}\[{bit + 1}\]", 0)) for bit in range(config.activation_width - 1)
    ]
    if not config.model_width:  # no accumulator can lose bits
        clauses.append(((r"(u_status\.)?accumulator_overflow\[0\]", 0),))
    if config.lanes // config.drain <= 4:  # all in the lower half
        clauses.append(((r"u_drain\.words\[\d+\]\.upper_sum\[\d+\]", 0), (SUM, 0)))
    multiplier = MULTIPLIED if config.multiplier_width else ()
    stages = (BIASED, *multiplier, FLOOR, ROUNDED, WORD)
    return Facts(
        # Unnamed bits are 0, and there are no more channels than lanes: the description, once it is whole.
        assumed=(((rf"u_sequencer\.description\[({zero})\]", 0), (OFFERED, 0)),),
        clauses=tuple(clauses),
        idle={
            # Before it is whole, the first word of a description is of no use, but for its length.
            rf"u_sequencer\.description\[([12]?\d|3[{'01' if config.words == 1 else '0'}])\]": (OFFERED,),
            r"u_sequencer\.(doublings|wait_load)\[\d+\]": (r"u_sequencer\.loading\[0\]",),
            # Data beside a flag that says whether there is any.
            r"u_drain\.(left|index|last_tile)\[\d+\]": (DRAINING,),
            r"u_drain\.(words\[\d+\]\.groups\[\d+\]\.picked|pixel_end_1)\[\d+\]": (SELECTED,),
            r"u_drain\.words\[\d+\]\.(lower_sum|upper_sum)\[\d+\]": (SUM,),
            r"u_parameter_memory\.fetched\[\d+\]": (SELECTED,),
            r"u_parameter_memory\.read_data\[\d+\]": (SUM,),
            r"lanes\[\d+\]\.u_lane\.larger_4\[0\]": (r"(u_loop_nest\.)?maximum_4\[0\]",),
            r"u_drain\.out_pixel_end\[0\]": (SUM,),
            **{rf"pixel_ends\[{stage}\]": (flag,) for stage, flag in enumerate(stages)},
            r"requantizers\[\d+\]\.u_requantize\.biased\[\d+\]": (BIASED,),
            r"requantizers\[\d+\]\.u_requantize\.(distance|leaky_distance)\[\d+\]": (stages[-4],),
            r"requantizers\[\d+\]\.u_requantize\.(floor|half|sticky|excess|negative)\[\d+\]": (FLOOR,),
            r"requantizers\[\d+\]\.u_requantize\.(rounded|excess_3|negative_3)\[\d+\]": (ROUNDED,),
            r"requantizers\[\d+\]\.u_requantize\.(word|overflowed)\[\d+\]": (WORD,),
            r"u_sequencer\.access_address\[\d+\]": (
                r"u_sequencer\.loading\[0\]",
                r"u_sequencer\.access_write\[0\]",
                r"u_sequencer\.left\[0\]",  # the word that ends a JumpEqual asks whether it is 0
            ),
            r"u_write_back\.(words|pixel_end)_1\[\d+\]": (LOOKED_UP,),
            r"tables\[\d+\]\.u_table_memory\.fetched\[\d+\]": (LOOKED_UP,),
            r"u_write_back\.(words|pixel_end)_2\[\d+\]": (ANSWERED,),
            r"tables\[\d+\]\.u_table_memory\.read_data\[\d+\]": (ANSWERED,),
            r"u_write_back\.(results|result_address)\[\d+\]": (RESULT,),
        },
        unread={r"tables\[\d+\]\.u_table_memory\.words": (WORD,), r"u_parameter_memory\.words": (DRAINING,)},
    )
