# SPDX-License-Identifier: MIT
"""What is proven about the engine's Verilog, and the mistakes that each proof must notice.

The modules that state the claims are in reference_rtl/formal; docs/verification.md says what they mean together.
"""

from __future__ import annotations

from dataclasses import dataclass

from fixedpoint_nn.hardware.sim.toolchain import rtl_folder
from tests.proof import axi_claims
from tests.proof.solver import FOR_EVER, ONCE, Netlist, clocks

WIDTHS = ((4, 1), (4, 4), (16, 1), (16, 4))  # lanes, and words per clock
# Bits of the sum, of the bias and of the word.
SIZES = ((32, 24, 8), (48, 32, 16), (64, 32, 16))
# Bits of the sum, of the bias, of the word and of the multiplier: the product compared with a product, or by parts.
SMALL_MULTIPLIERS = ((6, 5, 4, 5),)
MULTIPLIERS = ((24, 24, 8, 32), (32, 32, 9, 32), (63, 63, 16, 32))
FACTORS = ((7, 7), (5, 20), (4, 32))
# Bits of activations and weights whose products share a multiplier.
PAIRS = ((3, 3), (5, 4), (5, 8))


@dataclass(frozen=True)
class Claim:
    """An output of a proof's top module that can never be high, and how ABC is asked."""

    what: str
    form: str
    netlist: Netlist
    output: str
    script: str


@dataclass(frozen=True)
class Control:
    """A mistake, as a change of one source's text, for which `claim` must be refuted."""

    what: str
    claim: Claim
    source: str
    old: str
    new: str

    def changed(self) -> dict[str, str]:
        text = (rtl_folder() / self.source).read_text()
        if text.count(self.old) != 1:
            raise RuntimeError(
                f"{self.source} has {text.count(self.old)} times {self.old!r}, which the control "
                f"{self.what!r} changes; there must be one"
            )
        return {self.source: text.replace(self.old, self.new)}


# --- the requantiser -------------------------------------------------------------------------------------------------


def requantizer(sizes: tuple[int, int, int]) -> tuple[Claim, Claim]:
    """The combinational form equals the specification; the pipeline equals the combinational form."""
    parameters = tuple(zip(("SUM_WIDTH", "BIAS_WIDTH", "OUTPUT_WIDTH"), sizes, strict=True))

    def netlist(top: str) -> Netlist:
        sources = ("requantize.v", "formal/requantize_spec.v", "formal/requantize_proof.v")
        return Netlist(top, sources, parameters, ("u_pipeline",), "u_combinational_form")

    name = f"requantize {sizes[0]} -> {sizes[2]}"
    # Five clocks from any state are a proof for all time: every later state is one of the states begun with.
    return (
        Claim(
            f"{name}: combinational = spec",
            "all inputs",
            netlist("requantize_combinational"),
            "violated",
            ONCE,
        ),
        Claim(
            f"{name}: pipelined = combinational",
            "any state, all time",
            netlist("requantize_pipelined"),
            "violated",
            clocks(5),
        ),
    )


def multiplied(sizes: tuple[int, int, int, int], by_parts: bool) -> tuple[Claim, Claim]:
    """The same with a multiplier; by parts: for every product, whatever the factors."""
    names = ("SUM_WIDTH", "BIAS_WIDTH", "OUTPUT_WIDTH", "MULTIPLIER_WIDTH")
    parameters = tuple(zip(names, sizes, strict=True))
    sources = ("requantize.v", "formal/requantize_spec.v", "formal/requantize_proof.v")
    name = f"requantize {sizes[0]} x {sizes[3]} -> {sizes[2]}"
    combinational = Netlist(
        "requantize_combinational",
        (*sources, "formal/free_product.v" if by_parts else "multiply.v"),
        (*parameters, ("FREE_PRODUCT", int(by_parts))),
        transparent="u_combinational_form",
    )
    pipelined = Netlist(
        "requantize_pipelined",
        (*sources, "formal/delayed_factors.v"),
        parameters,
        ("u_pipeline",),
        "u_combinational_form",
    )
    return (
        Claim(
            f"{name}: combinational = spec",
            "all products" if by_parts else "all inputs",
            combinational,
            "violated",
            ONCE,
        ),
        Claim(f"{name}: pipelined = combinational", "any state, all time", pipelined, "violated", clocks(8)),
    )


def factors(a_width: int, b_width: int) -> tuple[Claim, Claim]:
    """The multiplier's product is a sum of multiples of one factor, by the bits of the other; and its delay."""

    def netlist(top: str) -> Netlist:
        parameters = (("A_WIDTH", a_width), ("B_WIDTH", b_width))
        return Netlist(
            top,
            ("multiply.v", "formal/multiply_proof.v"),
            parameters,
            ("u_pipeline",),
            "u_combinational_form",
        )

    name = f"multiply {a_width} x {b_width}"
    return (
        Claim(
            f"{name}: combinational = a * b",
            "all inputs",
            netlist("multiply_combinational"),
            "violated",
            ONCE,
        ),
        Claim(
            f"{name}: pipelined = combinational",
            "any state, all time",
            netlist("multiply_pipelined"),
            "violated",
            clocks(3),
        ),
    )


# --- the loop nest ---------------------------------------------------------------------------------------------------


def product_pair(activation_width: int, weight_width: int) -> Claim:
    """Both lanes get their own products."""
    netlist = Netlist(
        "product_pair_proof",
        ("product_pair.v", "formal/product_pair_proof.v"),
        (("ACTIVATION_WIDTH", activation_width), ("WEIGHT_WIDTH", weight_width)),
        transparent="u_combinational_form",
    )
    return Claim(
        f"product_pair {activation_width} x {weight_width}: both products, or that of one",
        "all inputs",
        netlist,
        "violated",
        ONCE,
    )


def loop_nest(lanes: int, address_width: int, drain: int = 1, pack: int = 1) -> tuple[Claim, ...]:
    """Every output equals the specification's, after a reset and from any clock to the next."""

    def netlist(from_reset: int) -> Netlist:
        return Netlist(
            "loop_nest_proof",
            ("loop_nest.v", "formal/loop_nest_spec.v", "formal/loop_nest_proof.v"),
            (
                *(("LANES", lanes), ("DRAIN", drain), ("PACK", pack)),
                *(("ADDRESS_WIDTH", address_width), ("FROM_RESET", from_reset)),
            ),
            ("u_loop_nest",),
        )

    name = f"loop_nest, {lanes} lanes, {drain} per clock, {address_width}-bit addresses" + ", pairs" * (
        pack > 1
    )
    return (
        Claim(f"{name}: stage 0", "8 clocks from reset", netlist(1), "violated_now", clocks(8)),
        Claim(f"{name}: stage 0", "induction, all time", netlist(0), "violated_now", clocks(2)),
        Claim(f"{name}: stages 2 to 5", "12 clocks from reset", netlist(1), "violated_later", clocks(12)),
        Claim(f"{name}: stages 2 to 5", "induction, all time", netlist(0), "violated_later", clocks(6)),
    )


# --- the sequencer ---------------------------------------------------------------------------------------------------


def sequencer() -> tuple[Claim, Claim]:
    """It reads the program that is there, from a reset and from any clock to the next."""

    def claim(form: str, from_reset: int, count: int) -> Claim:
        sources = ("sequencer.v", "formal/sequencer_proof.v")
        registers = () if from_reset else ("u_sequencer",)
        netlist = Netlist("sequencer_proof", sources, (("FROM_RESET", from_reset),), registers)
        return Claim(
            "sequencer: words, jumps, registers, runs, accesses", form, netlist, "violated", clocks(count)
        )

    return claim("6 clocks from reset", 1, 6), claim("induction, all time", 0, 2)


# --- the back end's addresses ----------------------------------------------------------------------------------------

ADDRESSES = {
    "parameter_wrong": "drain: parameter = base + channel of the pixel or tile",
    "table_wrong": "write_back: table word inside its table",
    "result_wrong": "write_back: result = base + results + gaps",
}


def back_end(output: str, lanes: int = 4, drain: int = 1) -> tuple[Claim, Claim]:
    """The addresses of parameters, table words and results, from a configuration and from any clock to the next."""

    def claim(form: str, from_configure: int, count: int) -> Claim:
        parameters = (
            ("LANES", lanes),
            ("DRAIN", drain),
            ("ADDRESS_WIDTH", 8),
            ("FROM_CONFIGURE", from_configure),
        )
        sources = ("drain.v", "write_back.v", "formal/back_end_proof.v")
        registers = () if from_configure else ("u_drain", "u_write_back")
        netlist = Netlist("back_end_proof", sources, parameters, registers)
        return Claim(f"{ADDRESSES[output]}; {drain} per clock", form, netlist, output, clocks(count))

    return claim("8 clocks from configure", 1, 8), claim("induction, all time", 0, 2)


# --- the control of the whole engine ---------------------------------------------------------------------------------

ENGINE = (
    *("engine.v", "sequencer.v", "loop_nest.v", "lane.v", "drain.v", "requantize.v", "noise.v"),
    *("write_back.v", "argmax.v", "status.v", "formal/free_memories.v", "formal/control_proof.v"),
)
CONTROL = {
    "busy_and_done": "busy and done are never both high",
    "write_after_halt": "after Halt only the host writes",
    "result_after_halt": "after Halt no result or Store is on its way",
    "result_after_reset": "after a reset of one clock nothing is on its way",
    "accesses_collide": "no Store meets a result, no Load a step",
    "settings_collide": "no settings change under results on their way",
    "store_from_nothing": "a Store's write follows a Store, and only that",
    "load_from_nothing": "a Load begins after a Load only",
    "register_from_nothing": "registers change in Set, Increment, Loop and Load only",
    "run_from_nothing": "a run is offered after the 20 words of a Run only",
    "host_collides": "what a busy engine writes is written, and else only what the host writes",
}


def control(output: str, lanes: int = 2, drain: int = 1) -> Claim:
    return Claim(
        f"engine: {CONTROL[output]}; {drain} per clock",
        "any program, all time",
        Netlist(
            "control_proof",
            ENGINE,
            (
                ("LANES", lanes),
                ("DRAIN", drain),
                ("RESETS", int(output != "result_after_halt")),
                ("HOST_WRITES", int(output == "host_collides")),
            ),
        ),
        output,
        FOR_EVER,
    )


# --- the AXI wrapper -------------------------------------------------------------------------------------------------


def axi(output: str) -> Claim:
    """A rule of AXI4-Lite or AXI4-Stream, for any masters and any engine."""
    what = f"axi_engine: {axi_claims.RULES[output]}"
    return Claim(what, axi_claims.FORM, axi_claims.NETLIST, output, FOR_EVER)


def axi_controls() -> list[Control]:
    """A mistake for each rule."""
    return [
        Control(what, axi(output), source, old, new) for what, output, source, old, new in axi_claims.MISTAKES
    ]


# --- all of them -----------------------------------------------------------------------------------------------------


def claims() -> list[Claim]:
    """Every claim; those that take long first, so that the workers end together."""
    controls = [control(output, 2, drain) for output in CONTROL for drain in (1, 2)]
    addresses = [
        claim for output in ADDRESSES for lanes, drain in WIDTHS for claim in back_end(output, lanes, drain)
    ]
    loop_nests = [claim for lanes, drain in (WIDTHS[0], WIDTHS[-1]) for claim in loop_nest(lanes, 8, drain)]
    loop_nests += loop_nest(4, 8, pack=2)
    requantizers = [claim for sizes in SIZES[::-1] for claim in requantizer(sizes)]
    rules = [axi(output) for output in axi_claims.RULES]
    requantizers += [claim for sizes in MULTIPLIERS[::-1] for claim in multiplied(sizes, by_parts=True)]
    requantizers += [claim for sizes in SMALL_MULTIPLIERS for claim in multiplied(sizes, by_parts=False)]
    products = [claim for sizes in FACTORS for claim in factors(*sizes)]
    products += [product_pair(*sizes) for sizes in PAIRS]
    return [*loop_nests, *controls, *requantizers, *products, *sequencer(), *addresses, *rules]


def controls() -> list[Control]:
    """At least one mistake for each kind of claim."""
    combinational, pipelined = requantizer((16, 8, 6))
    _, step, later, later_step = loop_nest(4, 8)
    every_product, delayed = multiplied((16, 8, 6, 24), by_parts=True)
    return [
        Control(
            "the bias is forgotten", combinational, "requantize.v", "= wide_bias + wide_sum;", "= wide_sum;"
        ),
        Control("the leak is forgotten", combinational, "requantize.v", "<= shift + leak;", "<= shift;"),
        Control("ties are not sent to even", combinational, "requantize.v", "(sticky || floor[0])", "sticky"),
        Control(
            "the lowest word is no misfit",
            combinational,
            "requantize.v",
            "(misfit || overflow == 2'd2 && lowest)",
            "misfit",
        ),
        Control(
            "a register's enable is a clock late",
            pipelined,
            "requantize.v",
            "            if (valid_2) begin",
            "            if (valid_3) begin",
        ),
        Control(
            "the first of two roundings has no carry",
            every_product,
            "requantize.v",
            "far && wide[30]",
            "1'b0",
        ),
        Control("a shift of 32 rounds once", every_product, "requantize.v", "shift_b[5]", "shift_b > 6'd32"),
        Control(
            "bits beyond all shifts are not looked at",
            multiplied((48, 32, 4, 24), by_parts=True)[0],
            "requantize.v",
            "beyond || ",
            "",
        ),
        Control(
            "the shift is a clock ahead of its product",
            delayed,
            "requantize.v",
            "shift_b <= shift_a",
            "shift_b <= shift_1",
        ),
        Control(
            "the low part of a factor is a signed number",
            factors(5, 20)[0],
            "multiply.v",
            "{1'b0, b[LOW-1:0]}",
            "{b[LOW-1], b[LOW-1:0]}",
        ),
        Control(
            "a product below 0 borrows nothing",
            product_pair(5, 4),
            "product_pair.v",
            "assign carry = below_0;",
            "assign carry = 1'b0;",
        ),
        Control(
            "the product of the two lowest factors is below 0",
            product_pair(5, 4),
            "product_pair.v",
            "products[PLACE-1] && |products[PLACE-2:0]",
            "products[PLACE-1]",
        ),
        Control(
            "the first lanes have two turns",
            loop_nest(4, 8, pack=2)[3],
            "loop_nest.v",
            "{mac, mac && !first_done || first_turn}",
            "{mac, mac || first_turn}",
        ),
        Control(
            "a first turn does not keep the step",
            loop_nest(4, 8, pack=2)[1],
            "loop_nest.v",
            "issue = ready && !first_turn",
            "issue = ready",
        ),
        Control(
            "a settle of one clock less",
            step,
            "loop_nest.v",
            "SETTLE = WAIT[4:0]",
            "SETTLE = WAIT[4:0] - 5'd1",
        ),
        Control("the image is a column wider", later, "loop_nest.v", "tap_x >= run", "tap_x > run"),
        Control("rows jump like pixels", step, "loop_nest.v", "run[`RUN_Y_JUMP +:", "run[`RUN_X_JUMP +:"),
        Control("barriers do not wait", step, "loop_nest.v", "barrier && !drained && !early ||", ""),
        Control(
            "tiles follow too closely",
            step,
            "loop_nest.v",
            "first_tile ? !drained : spacing != NO_SPACING",
            "first_tile && !drained",
        ),
        Control("a maximum is not replaced", later_step, "loop_nest.v", "first_3 || maximum_3", "first_3"),
        Control(
            "addresses of a run have no register",
            sequencer()[1],
            "sequencer.v",
            "operation != `OP_RUN || left[4]",
            "operation != `OP_RUN",
        ),
        Control(
            "a loop makes a round too many",
            sequencer()[1],
            "sequencer.v",
            "content != ONE",
            "content != ZERO",
        ),
        Control(
            "parameters do not start again with a tile",
            back_end("parameter_wrong")[1],
            "drain.v",
            "channel_end && (last_tile || per_tile)",
            "channel_end && last_tile",
        ),
        Control(
            "the gap comes a word late",
            back_end("result_wrong")[1],
            "write_back.v",
            "pixel_end_2 ? pixel_step",
            "pixel_end_1 ? pixel_step",
        ),
        Control(
            "a table is indexed by a bit more",
            back_end("table_wrong")[0],
            "write_back.v",
            "mask <= ~(ONES << out_bits)",
            "mask <= ~(ONES << out_bits << 1)",
        ),
        Control(
            "idle does not wait",
            control("result_after_halt"),
            "loop_nest.v",
            "idle = state == IDLE && drained",
            "idle = state == IDLE",
        ),
        Control(
            "a first tile does not wait",
            control("settings_collide"),
            "loop_nest.v",
            "first_tile ? !drained : spacing != NO_SPACING",
            "spacing != NO_SPACING",
        ),
        Control(
            "a run that writes goes on writing",
            control("write_after_halt"),
            "engine.v",
            "one_word & {SUMS{busy || host_write}}",
            "one_word & {SUMS{busy || host_write || write_enable}}",
        ),
        Control(
            "the host has the clock of a Store",
            control("host_collides"),
            "engine.v",
            "host_turn = busy && !access_write &&",
            "host_turn = busy &&",
        ),
        *axi_controls(),
    ]
