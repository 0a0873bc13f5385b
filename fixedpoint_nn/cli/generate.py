# SPDX-License-Identifier: MIT
"""`fixedpoint-nn generate`: let a network write, in float, over integers, or on the Verilog."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import network
from fixedpoint_nn.cli.arguments import Commands, command, natural, not_negative, positive, word
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import quiet, say
from fixedpoint_nn.data import Vocabulary
from fixedpoint_nn.hardware.sim.build import SIMULATORS
from fixedpoint_nn.hardware.sim.run import SimulationError, SimulatorError
from fixedpoint_nn.hardware.textgen import RtlWriter, SamplingConfig, write
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.precision import calibrate, quantize
from fixedpoint_nn.report.record import Stopwatch
from fixedpoint_nn.training.sampling import write_text, write_words
from fixedpoint_nn.zoo import characters

CALIBRATION = 500
DEFAULT_WORD = 8
LONGEST_NAME = 40
NAMES, CHARACTERS = 8, 120  # written when --count is not given

Vocabularies = dict[str, Callable[[], Vocabulary]]
NAME_WRITERS: Vocabularies = {
    "names_lstm": lambda: characters.french_names().vocabulary,
    "makemore_lstm": lambda: characters.names().vocabulary,
}
TEXT_WRITERS: Vocabularies = {"shakespeare_lstm": lambda: characters.play().vocabulary}
WRITERS = NAME_WRITERS | TEXT_WRITERS


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "generate",
        "let a network write, and the Verilog write the same",
        "fixedpoint-nn generate names_lstm --count 6 --temperature 0.8 --word 8 --rtl",
        run,
    )
    network.add_argument(parser)
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
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the result here, for a report")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    chosen = network.resolve(arguments.network)
    if chosen.name not in WRITERS:
        raise CommandError(
            f"{arguments.network!r} does not write text; those that do are {', '.join(WRITERS)}"
        )
    watch = Stopwatch("generate", _again(arguments))
    vocabulary = WRITERS[chosen.name]()
    count = arguments.count or (NAMES if chosen.name in NAME_WRITERS else CHARACTERS)
    bits = arguments.word or (DEFAULT_WORD if arguments.rtl else None)
    if bits is None:
        model = _in_float(chosen, vocabulary, count, arguments.seed, arguments.temperature)
        verilog = None
    else:
        samples = zoo.samples(chosen.name, CALIBRATION, "train")
        fixed = quantize(chosen.net, calibrate(chosen.net, samples, bits))
        tell = quiet if arguments.json else say
        how, ids = plan_writing(fixed, chosen.name, count, arguments.temperature, arguments.seed)
        model = split(chosen.name, vocabulary, ids)
        verilog = None
        if arguments.rtl:
            ends = ", ends of names included," if chosen.name in NAME_WRITERS else ""
            tell(f"writing {how.length} characters{ends} on the Verilog in {arguments.simulator}")
            try:
                written = RtlWriter(fixed, how, simulator=arguments.simulator)(arguments.seed)[0]
            except SimulatorError:  # of which nothing follows for the network
                raise
            except SimulationError as error:
                raise SimulationError(f"FAIL: {error}") from error
            verilog = split(chosen.name, vocabulary, written)
    results = compared(chosen.name, bits, arguments.seed, arguments.temperature, model, verilog)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        watch.record(arguments.out, results).save()
    text = json.dumps(results, indent=1, ensure_ascii=False) if arguments.json else ""
    print(text or "\n".join(side_by_side(results)))
    return 0 if results["equal"] else 1


def plan_writing(
    fixed: Quantized, name: str, count: int, temperature: float, seed: int
) -> tuple[SamplingConfig, Any]:
    """How the engine has to write to get `count` names (or characters), and what the model writes."""
    if name in TEXT_WRITERS:
        how = SamplingConfig(count, temperature, restart=False)
        return how, write(fixed, how, seed)
    length = 10 * count
    while True:
        how = SamplingConfig(length, temperature)
        ids = write(fixed, how, seed)
        ends = np.flatnonzero(ids == 0)
        if len(ends) >= count or length >= LONGEST_NAME * count:
            length = int(ends[count - 1]) + 1 if len(ends) >= count else length
            return SamplingConfig(length, temperature), ids[:length]
        length = min(2 * length, LONGEST_NAME * count)


def split(name: str, vocabulary: Vocabulary, ids: Any) -> list[str]:
    """Names, each without its end mark; or one text."""
    text = vocabulary.decode(ids)
    return text.rstrip(".").split(".") if name in NAME_WRITERS else [text]


def _in_float(
    chosen: network.Network, vocabulary: Vocabulary, count: int, seed: int, temperature: float
) -> list[str]:
    if chosen.name in NAME_WRITERS:
        return write_words(chosen.net, vocabulary.symbols, count, seed, temperature)
    return [write_text(chosen.net, vocabulary.symbols, "\n", count, seed, temperature)]


def compared(
    name: str, bits: int | None, seed: int, temperature: float, model: list[str], verilog: list[str] | None
) -> dict[str, Any]:
    """What the report needs."""
    return {
        "network": name,
        "word": bits,
        "seed": seed,
        "temperature": temperature,
        "model": model,
        "verilog": verilog,
        "equal": verilog is None or verilog == model,
    }


def side_by_side(results: dict[str, Any]) -> list[str]:
    """What was written; with the Verilog, both and the verdict."""
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
    given: list[object] = [arguments.network]
    given += ["--count", arguments.count] if arguments.count else []
    given += ["--temperature", arguments.temperature, "--seed", arguments.seed]
    given += ["--word", arguments.word] if arguments.word else []
    given += ["--rtl", "--simulator", arguments.simulator] if arguments.rtl else []
    return [*given, *(["--out", arguments.out] if arguments.out else [])]
