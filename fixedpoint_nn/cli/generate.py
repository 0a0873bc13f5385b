# SPDX-License-Identifier: MIT
"""`fixedpoint-nn generate`: generate text in float, with integers, or on the Verilog."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fixedpoint_nn.cli import target
from fixedpoint_nn.cli.arguments import Commands, command, natural, not_negative, positive, word
from fixedpoint_nn.cli.progress import detail, say, typed
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.cli.text_vocabulary import CHARACTERS, NAMES, plan_writing, vocabulary_of
from fixedpoint_nn.data import Vocabulary
from fixedpoint_nn.data.vocabulary import BOUNDARY
from fixedpoint_nn.hardware.compiler.show import PASSES
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.run import SimulationError, SimulatorError
from fixedpoint_nn.hardware.textgen import SamplingConfig, lower_writer
from fixedpoint_nn.precision import calibrate, quantize
from fixedpoint_nn.report.record import Stopwatch

DEFAULT_WORD = 8

__all__ = ["add", "compared", "plan_writing", "side_by_side", "vocabulary_of"]


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "generate",
        "let a network write, and the Verilog write the same",
        "fixedpoint-nn generate names_lstm --count 6 --temperature 0.8 --word 8 --rtl",
        run,
    )
    target.add_arguments(parser)
    parser.add_argument(
        "--count",
        type=positive,
        metavar="N",
        help=f"names, or characters of a text (default: {NAMES}, or {CHARACTERS})",
    )
    parser.add_argument(
        "--temperature",
        type=not_negative,
        default=0.8,
        metavar="T",
        help="0 takes the likeliest character, 1 the network's own probabilities (default: 0.8)",
    )
    parser.add_argument("--seed", type=natural, default=1, metavar="N", help="default: 1")
    parser.add_argument("--word", type=word, metavar="N", help="over integers of N bits; else in float")
    parser.add_argument(
        "--rtl",
        action="store_true",
        help=f"on the Verilog too, and compare ({DEFAULT_WORD} bits unless --word says otherwise)",
    )
    parser.add_argument(
        "--simulator", choices=SIMULATORS, default="iverilog", help="for --rtl (default: iverilog)"
    )
    parser.add_argument(
        "--show",
        metavar="PASS",
        choices=PASSES,
        help=f"print the engine's program that writes, after a pass of the compiler: {', '.join(PASSES)}",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the result here, for a report")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    chosen = target.from_arguments(arguments)
    vocabulary = vocabulary_of(chosen)
    watch = Stopwatch("generate", _again(arguments))
    count = arguments.count or (NAMES if vocabulary.words else CHARACTERS)
    bits = arguments.word or (DEFAULT_WORD if arguments.rtl or arguments.show else None)
    verilog = None
    if bits is None:
        model = vocabulary.in_float(chosen.net, count, arguments.seed, arguments.temperature)
    else:
        detail(f"formats of {bits} bits from {len(chosen.calibration)} samples")
        fixed = quantize(chosen.net, calibrate(chosen.net, chosen.calibration, bits))
        if arguments.show:
            how = SamplingConfig(CHARACTERS, arguments.temperature, restart=vocabulary.words)
            program = lower_writer(fixed, how).stages.show(arguments.show)
            results = {"network": chosen.name, "pass": arguments.show, "program": program}
            show(arguments, results, program.rstrip("\n"))
            return 0
        how, ids = plan_writing(fixed, vocabulary, count, arguments.temperature, arguments.seed)
        model = vocabulary.split(ids)
        if arguments.rtl:
            from fixedpoint_nn.hardware.textgen import RtlWriter

            ends = ", ends of names included," if vocabulary.words else ""
            say(f"writing {how.length} characters{ends} on the Verilog in {arguments.simulator}")
            try:
                stream = RtlWriter(fixed, how, simulator=arguments.simulator).stream(arguments.seed)
                written = list(aloud(stream, vocabulary.vocabulary))
            except SimulatorError:  # which says nothing about the network
                raise
            except SimulationError as error:
                raise SimulationError(f"FAIL: {error}") from error
            verilog = vocabulary.split(written)
    results = compared(chosen, bits, arguments.seed, arguments.temperature, model, verilog)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        watch.record(arguments.out, results).save()
    show(arguments, results, "\n".join(side_by_side(results)))
    return 0 if results["equal"] else 1


def aloud(stream: Iterator[int], vocabulary: Vocabulary) -> Iterator[int]:
    """The ids as they come; a terminal shows each letter at once, a name to a line."""
    for symbol in stream:
        typed("\n" if vocabulary.symbols[symbol] == BOUNDARY else vocabulary.symbols[symbol])
        yield symbol
    typed("\n")


def compared(
    chosen: target.NetworkTarget,
    bits: int | None,
    seed: int,
    temperature: float,
    model: list[str],
    verilog: list[str] | None,
) -> dict[str, Any]:
    """The results for the report."""
    return {
        **chosen.about(),
        "word": bits,
        "seed": seed,
        "temperature": temperature,
        "model": model,
        "verilog": verilog,
        "equal": verilog is None or verilog == model,
    }


def side_by_side(results: dict[str, Any]) -> list[str]:
    """The generated text; with Verilog, both texts and the verdict."""
    model, verilog = results["model"], results["verilog"]
    if verilog is None:
        return list(model)
    width = max(len("written by the Verilog"), *(len(text) for text in verilog))
    lines = [f"{'written by the Verilog':{width}}  written by the Python model"]
    for index in range(max(len(model), len(verilog))):
        left = verilog[index] if index < len(verilog) else ""
        right = model[index] if index < len(model) else ""
        lines.append(f"{left:{width}}  {right}")
    characters_written = sum(map(len, verilog))
    verdict = "PASS: equal in every one of" if results["equal"] else "FAIL: different somewhere in"
    return [*lines, f"{verdict} {characters_written} characters"]


def _again(arguments: argparse.Namespace) -> list[object]:
    given = target.again(arguments)
    given += ["--count", arguments.count] if arguments.count else []
    given += ["--temperature", arguments.temperature, "--seed", arguments.seed]
    given += ["--word", arguments.word] if arguments.word else []
    given += ["--rtl", "--simulator", arguments.simulator] if arguments.rtl else []
    return [*given, *(["--out", arguments.out] if arguments.out else [])]
