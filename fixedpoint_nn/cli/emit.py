# SPDX-License-Identifier: MIT
"""`fixedpoint-nn emit`: write a network as a pack, memory images with golden vectors."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fixedpoint_nn.board.boards import names
from fixedpoint_nn.board.chips import Budget
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.cli import budget, one_row, target, weight_window
from fixedpoint_nn.cli.arguments import ENGINE_WORDS, Commands, above_zero, command, natural, positive, word
from fixedpoint_nn.cli.duration import WORTH_SAYING, about
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.pack_figures import REPEATS, Clock, latency_of, ledger_of, tables_of
from fixedpoint_nn.cli.progress import detail, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.cli.terminal import columns, fitted
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import MULTIPLIER_BITS, lower
from fixedpoint_nn.hardware.compiler.show import PASSES
from fixedpoint_nn.hardware.emit import emit
from fixedpoint_nn.hardware.isa.config import DRAINS, LANES, PACKS, WORDS
from fixedpoint_nn.hardware.isa.weight_window import WeightMemory
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.pack.writer import check_replaceable
from fixedpoint_nn.hardware.sim.toolchain import find_tool
from fixedpoint_nn.hardware.tools.synthesis import xilinx
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision import Plan, calibrate, quantize
from fixedpoint_nn.report.record import Stopwatch

CALIBRATION = target.CALIBRATION
BOARD = "ulx3s"
# Equivalent passes over one input: for lowering and latency, and for the search of corner vectors in a large network.
FIXED_PASSES, CORNER_PASSES = 2 * REPEATS + 4, 64
SECONDS_PER_PARAMETER = 8e-6  # to write and read images: a network of 1.6 million parameters took 12 s
LAYER = ("layer", "format", "channels", "cycles", "mac_cycles")  # fields of each run in the report


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "emit",
        "write memory images (.coe, .mem) and golden vectors of a network",
        "fixedpoint-nn emit names_lstm --word 8 --vectors 4 --out runs/names/pack",
        run,
    )
    target.add_arguments(parser)
    parser.add_argument(
        "--without-softmax",
        action="store_true",
        help="leave out the softmax at the end of a quantised .onnx or .tflite file, whose argmax is the same",
    )
    formats = parser.add_mutually_exclusive_group()  # a float network needs one of them
    formats.add_argument(
        "--word", type=word, metavar="N", help=f"bits of every word, {ENGINE_WORDS}; formats from data"
    )
    formats.add_argument("--plan", type=Path, metavar="FILE", help="a plan in JSON")
    parser.add_argument("--vectors", type=positive, default=8, metavar="N", help="real inputs (default: 8)")
    parser.add_argument("--corners", type=natural, default=8, metavar="N", help="corner vectors (default: 8)")
    parser.add_argument("--lanes", type=int, choices=LANES, help="default: 8")
    parser.add_argument(
        "--drain",
        type=int,
        choices=DRAINS,
        metavar="W",
        help="words that leave a tile per clock (default: 1)",
    )
    parser.add_argument(
        "--words-per-clock",
        type=int,
        choices=WORDS,
        metavar="W",
        help="activation words that are read per clock, each for a group of lanes (default: 1)",
    )
    parser.add_argument(
        "--pack",
        type=int,
        choices=PACKS,
        help="lanes that share a multiplier: 2 where words have at most 9 bits and weights 8 (default: 1)",
    )
    parser.add_argument(
        "--multiplier",
        type=natural,
        default=MULTIPLIER_BITS,
        metavar="N",
        help="bits of a multiplier in the engine, at most, where the network gains by one; 0: none (default: 32)",
    )
    parser.add_argument(
        "--batch",
        type=positive,
        default=1,
        metavar="N",
        help="samples that a run computes; a row of weights is used for all of them where a layer allows (default: 1)",
    )
    parser.add_argument(
        "--ahead",
        action="store_true",
        help="the input of the next run is written while one is computed, into two places in turn",
    )
    parser.add_argument("--radix", type=int, choices=(2, 10, 16), default=16, help="of .coe (default: 16)")
    parser.add_argument("--mif", action="store_true", help="also write .mif images")
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument(
        "--board",
        metavar="B",
        help=f"the board whose clock the report's latency is for: {', '.join(names())}, or a file (default: {BOARD})",
    )
    clock.add_argument(
        "--clock-mhz", "--mhz", type=above_zero, metavar="N", help="a clock in the place of a board's, in MHz"
    )
    budget.add_arguments(parser)
    weight_window.add_arguments(parser)
    parser.add_argument("--size", action="store_true", help="also the engine's LUTs and DSPs, by yosys")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the folder of the pack")
    parser.add_argument(
        "--show",
        metavar="PASS",
        choices=PASSES,
        help=f"print the program after a pass of the compiler instead of writing a pack: {', '.join(PASSES)}",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    try:
        return _run(arguments)
    except LoweringError as error:
        if str(error).startswith("Layer 'softmax_") and not arguments.without_softmax:
            raise LoweringError(
                f"{error} --without-softmax leaves a softmax at the end out, and the argmax is the same."
            ) from None
        raise


def _run(arguments: argparse.Namespace) -> int:
    within = budget.from_arguments(arguments)
    if (arguments.out is None) == (arguments.show is None) and not (within and arguments.out is None):
        raise CommandError(
            "emit takes either --out, the folder of the pack, or --show, a pass of the compiler"
        )
    window, memory = weight_window.from_arguments(arguments)
    if window and within is not None:
        raise CommandError(
            "a budget chooses an engine that holds all weights; use --lanes with --weight-window"
        )
    if arguments.ahead and within is not None:
        raise CommandError("a budget chooses an engine that waits for its input; use --lanes with --ahead")
    clock = _clock(arguments) if within is None else Clock(within.mhz, within.clock)
    if arguments.size:
        find_tool("yosys")  # fail before the work
    chosen = target.from_arguments(arguments, quantised=True, several=True)
    if arguments.without_softmax and not isinstance(chosen.net, Quantized):
        raise CommandError(
            f"--without-softmax is for quantised files, and {arguments.network} is over floats"
        )
    watch = Stopwatch("emit", _again(arguments))
    plan = plan_for(chosen, arguments.word, arguments.plan)
    formats = plan
    chosen, several = one_row.joined(chosen, fixed_network(chosen, plan))
    if several:  # all inputs are one row, and all outputs another
        plan = None
    lanes, drain, words = arguments.lanes or 8, arguments.drain or 1, arguments.words_per_clock or 1
    pack = arguments.pack or 1
    compared: dict[str, Any] = {}
    if within is not None:
        comparison = _compare(arguments, chosen, plan, within)
        lanes, drain, words, pack = comparison.taken.shape
        compared = {"budget": comparison.as_json()}
        if arguments.out is None and arguments.show is None:
            show(arguments, chosen.about() | compared, "")
            return 0
    if arguments.show:
        program = program_after(
            chosen,
            plan,
            arguments.show,
            lanes,
            drain,
            arguments.multiplier,
            words,
            window,
            arguments.batch,
            arguments.ahead,
        )
        results = {"network": chosen.name, "pass": arguments.show, "program": program} | compared
        show(arguments, results, program.rstrip("\n"))
        return 0
    emitted, results = emit_network(
        chosen,
        plan,
        arguments.out,
        vectors=arguments.vectors,
        corners=arguments.corners,
        lanes=lanes,
        drain=drain,
        words=words,
        pack=pack,
        multiplier=arguments.multiplier,
        radix=arguments.radix,
        mif=arguments.mif,
        clock=clock,
        window=window,
        memory=memory,
        batch=arguments.batch,
        ahead=arguments.ahead,
    )
    if several and formats is not None:
        formats.save(arguments.out / "plan.json")
    results |= compared
    if arguments.size:
        say("synthesising the engine for its size")
        results["size"] = asdict(xilinx(emitted.config))
    watch.record(arguments.out, results).save()
    vectors, cycles, out = len(emitted.vectors), sum(emitted.cycles), arguments.out
    each = "" if emitted.batch == 1 else f" of {emitted.batch} samples"
    text = f"{out}: {vectors} vectors{each}, {cycles:,} cycles; now fixedpoint-nn verify {out}"
    if window:
        text = f"{weight_window.text(results['weights_from_outside'])}\n\n{text}"
    show(arguments, results, text)
    return 0


def _compare(
    arguments: argparse.Namespace, chosen: target.NetworkTarget, plan: Plan | None, within: Budget
) -> budget.EngineComparison:
    """Compare the engines for the network, and print the comparison."""
    if arguments.out is not None:
        check_replaceable(arguments.out)  # fail before the work
    shape = chosen.samples(1).shape[1:]
    comparison = budget.compare_engines(fixed_network(chosen, plan), shape, within, arguments, say)
    if not arguments.json:
        table = comparison.text(arguments.verbose, columns(sys.stdout))
        print(fitted(table, sys.stdout), flush=True)
    return comparison


def program_after(
    chosen: target.NetworkTarget,
    plan: Plan | None,
    name: str,
    lanes: int,
    drain: int = 1,
    multiplier: int = MULTIPLIER_BITS,
    words: int = 1,
    window: int = 0,
    batch: int = 1,
    ahead: bool = False,
) -> str:
    """The network's program after a compiler pass, as text."""
    fixed = fixed_network(chosen, plan)
    shape = chosen.samples(1).shape[1:]
    lowered = lower(
        fixed.net,
        shape,
        fixed.input.format,
        lanes,
        drain=drain,
        multiplier=multiplier,
        words=words,
        window=window,
        batch=batch,
        ahead=ahead,
    )
    return lowered.stages.show(name)


def plan_for(chosen: target.NetworkTarget, bits: int | None, path: Path | None) -> Plan | None:
    """The plan in a file, or one calibrated on training data; None for a quantised network."""
    if isinstance(chosen.net, Quantized):
        if bits is not None or path is not None:
            raise CommandError(f"{chosen.source} is quantised already; leave --word and --plan out")
        return None
    if path is not None:
        return Plan.load(path)
    if bits is None:
        raise CommandError(
            "one of the arguments --word --plan is required; `fixedpoint-nn emit --help` shows an example"
        )
    detail(f"formats of {bits} bits from {len(chosen.calibration)} samples")
    return calibrate(chosen.net, chosen.calibration, word=bits)


def fixed_network(chosen: target.NetworkTarget, plan: Plan | None) -> Quantized:
    """The quantised network: the given one, or the float network quantised by a plan."""
    fixed: Quantized = chosen.net if plan is None else quantize(chosen.net, plan)
    return fixed


def emit_network(
    chosen: target.NetworkTarget,
    plan: Plan | None,
    out: Path,
    *,
    vectors: int = 8,
    corners: int = 8,
    lanes: int = 8,
    drain: int = 1,
    words: int = 1,
    pack: int = 1,
    multiplier: int = MULTIPLIER_BITS,
    radix: int = 16,
    mif: bool = False,
    clock: Clock | None = None,
    window: int = 0,
    memory: WeightMemory | None = None,
    batch: int = 1,
    ahead: bool = False,
    say: Callable[[str], None] = say,
) -> tuple[Pack, dict[str, Any]]:
    """Write a pack and its plan; returns (pack, results for the report)."""
    fixed = fixed_network(chosen, plan)
    inputs = chosen.samples(vectors)
    announce(fixed, inputs, corners, chosen.parameters, say)
    emit(
        fixed,
        inputs,
        out,
        name=chosen.name,
        lanes=lanes,
        drain=drain,
        words=words,
        pack=pack,
        multiplier=multiplier,
        radix=radix,
        mif=mif,
        corner_vectors=corners,
        progress=say,
        weights=chosen.weights,
        weight_window=window,
        weight_memory=memory,
        batch=batch,
        ahead=ahead,
    )
    if plan is not None:
        plan.save(out / "plan.json")
    emitted = load_pack(out)
    say("measuring ledger and latency")
    return emitted, {
        **chosen.about(),
        "engine": emitted.manifest["engine"],
        "utilisation": emitted.manifest.get("utilisation"),
        "batch": emitted.batch,
        "cycles": sum(emitted.cycles),
        **weight_window.figures(emitted),
        "vectors": len(emitted.vectors),
        "layers": [{key: run.get(key) for key in LAYER} for run in emitted.manifest["runs"]],
        "images": [
            {"name": entry["kind"], "words": entry["words"], "bits": entry["bits"]}
            for name, entry in emitted.manifest["files"].items()
            if name.endswith(".coe")
        ],
        "ledger": ledger_of(fixed, inputs),
        "tables": tables_of(fixed),
        "latency": latency_of(
            chosen.net, fixed, inputs[:batch], emitted.cycles[0], clock or Clock.of_board(BOARD)
        ),
    }


def announce(
    fixed: Quantized, inputs: Array, corners: int, parameters: int, say: Callable[[str], None]
) -> None:
    """Announce how long a large network will take, from one pass over one input and its size."""
    start = time.perf_counter()
    fixed(inputs[:1])
    one = time.perf_counter() - start
    passes = FIXED_PASSES + 2 * len(inputs) + (CORNER_PASSES if corners else 0)
    seconds = one * passes + parameters * SECONDS_PER_PARAMETER
    if seconds >= WORTH_SAYING:
        hint = "; --corners 0 leaves out the search for corner vectors" if corners else ""
        say(f"this pack: {about(seconds)}; interrupt at any time, nothing half-written is left{hint}")


def _clock(arguments: argparse.Namespace) -> Clock:
    if arguments.clock_mhz is not None:
        return Clock.stated(arguments.clock_mhz)
    try:
        return Clock.of_board(arguments.board or BOARD)
    except BoardError as error:
        raise CommandError(str(error)) from error


def _again(arguments: argparse.Namespace) -> list[object]:
    """The arguments that repeat this command."""
    given = target.again(arguments)
    given += ["--word", arguments.word] if arguments.word is not None else []
    given += ["--plan", arguments.plan] if arguments.plan is not None else []
    given += ["--vectors", arguments.vectors, "--corners", arguments.corners]
    chosen = budget.asked(arguments)
    for option, value, usual in (
        ("--lanes", arguments.lanes, None if chosen else 8),
        ("--drain", arguments.drain, None),
        ("--words-per-clock", arguments.words_per_clock, None),
        ("--pack", arguments.pack, None),
    ):
        given += [option, value or usual] if value or usual else []
    given += budget.again(arguments)
    given += weight_window.again(arguments)
    given += ["--multiplier", arguments.multiplier] if arguments.multiplier != MULTIPLIER_BITS else []
    given += ["--batch", arguments.batch] if arguments.batch != 1 else []
    given += ["--ahead"] if arguments.ahead else []
    given += ["--radix", arguments.radix] if arguments.radix != 16 else []
    given += ["--mif"] if arguments.mif else []
    given += ["--board", arguments.board] if arguments.board is not None else []
    given += ["--clock-mhz", f"{arguments.clock_mhz:g}"] if arguments.clock_mhz is not None else []
    given += ["--size"] if arguments.size else []
    return [*given, "--out", arguments.out]
