# SPDX-License-Identifier: MIT
"""What holds in every state that a legal program reaches, for the proofs that a mutant is the same engine."""

from __future__ import annotations

from fixedpoint_nn.hardware.isa.config import EngineConfig
from fixedpoint_nn.hardware.isa.instructions import Run
from tests.proof.equivalence import Facts, Guards, Literal

BUSY, VALID, LOADING = r"(u_sequencer\.)?busy\[0\]", r"u_sequencer\.valid\[0\]", r"u_sequencer\.loading\[0\]"
OFFERED, SHORT = r"u_sequencer\.offered\[0\]", r"u_sequencer\.short\[0\]"
DRAINING, SELECTED, SUM = r"u_drain\.draining\[0\]", r"u_drain\.valid_1\[0\]", r"u_drain\.out_valid\[0\]"
LOOKED_UP, ANSWERED, RESULT = (
    rf"u_write_back\.{name}\[0\]" for name in ("valid_1", "valid_2", "result_valid")
)


def stages(config: EngineConfig, number: int = 0) -> list[str]:
    """The flags of a requantiser's stages that say whether there is a word, with those of its multiplier."""
    multiplier = (
        r"scaled\.u_multiply\.valid_1",
        r"scaled\.(u_multiply\.out_valid|valid_b)",
        r"scaled\.valid_c",
    )
    names = ("valid_1", *(multiplier if config.multiplier_width else ()), "valid_2", "valid_3", "out_valid")
    return [rf"{_requantizer(number)}{name}\[0\]" for name in names]


def _requantizer(number: int) -> str:
    return rf"requantizers\[{number}\]\.u_requantize\."


def zeros(config: EngineConfig) -> list[int]:
    """Bits of a run's description that are 0 in every program that the assembler lets pass."""
    named = {32 * field.word + field.low + bit for field in Run.layout for bit in range(field.bits)}
    above = [
        *_high_bits("last_channels", (config.lanes - 1).bit_length()),
        *_high_bits("groups", (config.words.bit_length() - 1).bit_length()),
    ]
    opcode = range(28, 31)
    return sorted(set(range(32 * Run.words)) - named - set(opcode) | set(above))


def _high_bits(name: str, used: int) -> list[int]:
    """The bits of a description's field above so many low ones."""
    (field,) = (field for field in Run.layout if field.name == name)
    return [32 * field.word + field.low + bit for bit in range(used, field.bits)]


def _bits_of(word: int) -> str:
    """The bits of a description's word."""
    return rf"u_sequencer\.description\[({'|'.join(str(32 * word + bit) for bit in range(32))})\]"


def _arrived(config: EngineConfig, place: int) -> list[tuple[Literal, ...]]:
    """While a description is being read: this place of it holds one of its words already.

    The words come in at the end and move down. With short descriptions 13 places are filled before the other seven
    begin, which hold zeros in a run of 13 words.
    """
    if config.words == 1:
        return [_left(left) for left in range(1, place + 1)]
    if place < 13:
        return [_left(left) for left in range(1, min(place + 7, 19) + 1)]
    short = [((SHORT, 1), (rf"u_sequencer\.left\[{bit}\]", 1), *_left(0)[5:]) for bit in range(5)]
    return [*(_left(left) for left in range(1, place - 13 + 1)), *short]


def _left(words: int) -> tuple[Literal, ...]:
    """So many words of a run (001) are still to come."""
    run = ((BUSY, 1), (r"u_sequencer\.operation\[1\]", 0), (r"u_sequencer\.operation\[2\]", 0))
    return (*((rf"u_sequencer\.left\[{bit}\]", words >> bit & 1) for bit in range(5)), *run)


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
    # A step that loads the first of two operands does not multiply.
    for stage, waits in ((1, (r"u_loop_nest\.second_1\[0\]", 1)), (2, (r"(u_loop_nest\.)?select_2\[4\]", 0))):
        paired = r"u_loop_nest\.paired_1\[0\]" if stage == 1 else r"(u_loop_nest\.)?select_2\[2\]"
        clauses.append(((rf"(u_loop_nest\.)?fire_{stage}\[0\]", 0), (paired, 0), waits))
    clauses += [((r"u_loop_nest\.state\[0\]", 0), (r"u_loop_nest\.state\[1\]", 0))]
    # The second wait does not begin before the first has ended.
    clauses += [
        ((r"u_loop_nest\.spacing\[\d\]", 0), (rf"u_loop_nest\.settle\[{bit}\]", config.latency >> bit & 1))
        for bit in range(5)
        if config.lanes > config.drain
    ]
    if config.latency < 16:
        clauses += [((r"u_loop_nest\.settle\[4\]", 0),)]
    for number in range(config.drain):
        low = rf"{_requantizer(number)}low"
        clauses += [  # as many ones as the format has bits
            ((rf"{low}\[{bit}\]", 1), (rf"{low}\[{bit + 1}\]", 0))
            for bit in range(config.activation_width - 1)
        ]
    for flags in ((SELECTED, SUM), stages(config), (LOOKED_UP, ANSWERED, RESULT)):
        for flag in flags:  # words of a clock are the first ones
            for number in range(1, config.drain):
                other = (
                    flag.replace(_requantizer(0), _requantizer(number))
                    if "requantize" in flag
                    else flag.replace(r"\[0\]", rf"\[{number}\]")
                )
                clauses.append(((other, 0), (flag, 1)))
    joins = (config.words.bit_length() - 1).bit_length()  # bits that say how many groups are added up
    if config.words > 1:
        unused = "|".join(str(3 * stage + bit) for stage in range(5) for bit in range(joins, 3))
        clauses += [((rf"u_loop_nest\.grouped\.joins\[({unused})\]", 0),)] if joins < 3 else []
    if not config.model_width:  # no accumulator can lose bits
        clauses.append(((r"(u_status\.)?accumulator_overflow\[0\]", 0),))
    if config.lanes // config.drain <= 4:  # all in the lower half
        clauses.append(((r"u_drain\.words\[\d+\]\.upper_sum\[\d+\]", 0), (SUM, 0)))
    return Facts(
        # Unnamed bits are 0, and there are no more channels than lanes: the description, once it is whole.
        # What a search has found is stored after a search.
        assumed=(
            ((rf"u_sequencer\.description\[({zero})\]", 0), (OFFERED, 0)),
            (
                (r"u_argmax\.empty\[0\]", 0),
                (r"u_sequencer\.access_write\[0\]", 0),
                (r"u_sequencer\.access_best\[0\]", 0),
            ),
        ),
        clauses=tuple(clauses),
        idle={
            **{_bits_of(word): (OFFERED, *_arrived(config, word)) for word in range(Run.words)},
            r"u_sequencer\.(doublings|wait_load)\[\d+\]": (r"u_sequencer\.loading\[0\]",),
            # What a run begins with is read in the clock that sets it up.
            rf"u_loop_nest\.run\[({'|'.join(map(str, _begins(config)))})\]": (r"u_loop_nest\.state\[0\]",),
            **(_multiplied() if config.pack == 1 else {}),
            # Data beside a flag that says whether there is any.
            r"u_drain\.(left|index|last_tile)\[\d+\]": (DRAINING,),
            r"u_drain\.(words\[\d+\]\.groups\[\d+\]\.picked|pixel_end_1)\[\d+\]": (SELECTED,),
            r"u_drain\.words\[\d+\]\.(lower_sum|upper_sum)\[\d+\]": (SUM,),
            r"u_parameter_memory\.fetched\[\d+\]": (SELECTED,),
            r"u_parameter_memory\.read_data\[\d+\]": (SUM,),
            r"lanes\[\d+\]\.u_lane\.larger_4\[0\]": (r"(u_loop_nest\.)?maximum_4\[0\]",),
            r"u_drain\.out_pixel_end\[0\]": (SUM,),
            **{rf"pixel_ends\[{stage}\]": (flag,) for stage, flag in enumerate(stages(config))},
            **{
                name: guards
                for number in range(config.drain)
                for name, guards in _requantised(config, number).items()
            },
            r"u_sequencer\.left\[\d\]": (BUSY,),
            r"u_sequencer\.access_address\[\d+\]": (
                r"u_sequencer\.loading\[0\]",
                r"u_sequencer\.access_write\[0\]",
                # The word that ends a JumpEqual (101) asks whether it is 0.
                (
                    (BUSY, 1),
                    (r"u_sequencer\.left\[0\]", 1),
                    (r"u_sequencer\.operation\[1\]", 0),
                    (r"u_sequencer\.operation\[2\]", 1),
                ),
            ),
            r"u_write_back\.pixel_end_1\[0\]": (LOOKED_UP,),
            r"u_write_back\.pixel_end_2\[0\]": (ANSWERED,),
            r"u_write_back\.result_address\[\d+\]": (RESULT,),
            **{
                name: guards
                for number in range(config.drain)
                for name, guards in _written(config, number).items()
            },
            **_searched(config),
        },
        unread={
            r"u_parameter_memory\.words": (DRAINING,),
            **{
                rf"tables\[{number}\]\.u_table_memory\.words": (stages(config, number)[-1],)
                for number in range(config.drain)
            },
        },
    )


def _begins(config: EngineConfig) -> list[int]:
    """The bits of a description that say where a run begins, and whether it waits."""
    widths = {"barrier": 1, "y_origin": 13, "activation.base": config.address_width}
    return [
        32 * field.word + field.low + bit
        for field in Run.layout
        if field.name in widths
        for bit in range(min(widths[field.name], field.bits))
    ]


def _multiplied() -> dict[str, Guards]:
    """A factor counts in a step that multiplies, and so does the product a clock later."""
    fire = r"(u_loop_nest\.)?fire_{}\[0\]"
    return {
        r"lanes\[\d+\]\.u_lane\.multiplier\[\d+\]": (fire.format(3),),
        r"lanes\[\d+\]\.u_lane\.product\[\d+\]": (fire.format(4),),
    }


def _requantised(config: EngineConfig, number: int) -> dict[str, Guards]:
    """What stands in a requantiser beside the flags of its stages."""
    place, flags = _requantizer(number), stages(config, number)
    # That two equal factors have equal products is too much for the solver.
    factor: dict[str, Guards] = {} if config.multiplier_width else {rf"{place}biased\[\d+\]": (flags[0],)}
    return factor | {
        rf"{place}(distance|leaky_distance)\[\d+\]": (flags[-4],),
        rf"{place}(floor|half|excess|negative)\[\d+\]": (flags[-3],),
        # What is lost below the half decides nothing where there is neither a half nor a sign.
        rf"{place}sticky\[0\]": tuple(
            ((flags[-3], 1), (rf"{place}{name}\[0\]", 1)) for name in ("half", "negative")
        ),
        rf"{place}(rounded|excess_3|negative_3)\[\d+\]": (flags[-2],),
        rf"{place}(word|overflowed)\[\d+\]": (flags[-1],),
        rf"{place}low\[\d+\]": tuple(flags[:-1]),
    }


def _written(config: EngineConfig, number: int) -> dict[str, Guards]:
    """A word of a clock on its way through the table to the memory."""
    width = config.activation_width
    bits = "|".join(str(number * width + bit) for bit in range(width))
    looked_up, answered, result = (
        flag.replace(r"\[0\]", rf"\[{number}\]") for flag in (LOOKED_UP, ANSWERED, RESULT)
    )
    table = rf"tables\[{number}\]\.u_table_memory\."
    return {
        rf"u_write_back\.words_1\[({bits})\]": (looked_up,),
        rf"{table}fetched\[\d+\]": (looked_up,),
        rf"u_write_back\.words_2\[({bits})\]": (answered,),
        rf"{table}read_data\[\d+\]": (answered,),
        rf"u_write_back\.results\[({bits})\]": (result,),
    }


def _searched(config: EngineConfig) -> dict[str, Guards]:
    """The largest word so far, and with several words in a clock the largest of the clock."""
    best: dict[str, Guards] = {r"u_argmax\.best\[\d+\]": (((r"u_argmax\.empty\[0\]", 0),),)}
    if config.drain == 1:
        return best
    found = r"u_argmax\.several_words\.found\[0\]"
    return best | {r"u_argmax\.several_words\.(winner|winner_place|number)\[\d+\]": (found,)}
