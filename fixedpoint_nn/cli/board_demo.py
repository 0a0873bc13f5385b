# SPDX-License-Identifier: MIT
"""`fixedpoint-nn board demo`: a local web page with a board that recognises drawings or generates names."""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.board.demo import DemoModel, DemoServer, Show, demo_kind
from fixedpoint_nn.board.opening import SIMULATED, open_engine
from fixedpoint_nn.board.simulated import RUN_SECONDS
from fixedpoint_nn.cli.arguments import Commands, command, natural, not_negative
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import say
from fixedpoint_nn.cli.text_vocabulary import VOCABULARIES
from fixedpoint_nn.data.images import FASHION
from fixedpoint_nn.hardware.emulator.twin import Twin
from fixedpoint_nn.hardware.isa.port import input_of
from fixedpoint_nn.hardware.pack.reader import Pack, load_pack
from fixedpoint_nn.hardware.textgen import SamplingConfig, write
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.precision import quantize
from fixedpoint_nn.precision.plan import Plan

WRITERS = {"names_writer": "names_lstm"}
FASHIONABLE = ("fashion_mlp", "lenet")
DIGITS = tuple("0123456789")
SECONDS = 60.0  # timeout of a run
TEMPERATURE = 0.75  # of golden_vectors/names_writer


def add(below: Commands) -> argparse.ArgumentParser:
    """Add the command to the subcommands of `board`."""
    parser: argparse.ArgumentParser = command(
        below,
        "demo",
        "a page on this computer on which a board reads what one draws, or writes names",
        "fixedpoint-nn board demo golden_vectors/mnist_rnn --port sim",
        run,
    )
    return parser


def add_own(parser: argparse.ArgumentParser) -> None:
    """Add the options that other subcommands of `board` do not have."""
    parser.add_argument(
        "--http", type=natural, default=0, metavar="N", help="port of the page (default: any that is free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only say where the page is")
    parser.add_argument(
        "--temperature",
        type=not_negative,
        default=TEMPERATURE,
        metavar="T",
        help=f"at which a pack that writes was made (default: {TEMPERATURE})",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command until Ctrl-C; returns its exit status."""
    pack = load_pack(arguments.pack)
    demo_kind(pack)  # before a simulator is built
    simulated = arguments.port == SIMULATED
    place = f"a simulated board ({arguments.simulator})" if simulated else f"the board at {arguments.port}"
    say(f"opening {place}")
    with open_engine(arguments.port, pack, arguments.simulator, arguments.baud) as engine:
        engine.identity.refuse(pack.config, f"the pack {pack.name}")
        seconds = RUN_SECONDS if simulated else SECONDS
        model, labels = model_of(pack, arguments.temperature), labels_of(pack)
        with DemoServer(Show(engine, pack, model, labels, place, seconds), arguments.http) as server:
            print(f"{pack.name} is at {server.url}; Ctrl-C ends it", flush=True)
            if not arguments.no_browser:
                webbrowser.open(server.url)
            server.serve_forever()
    return 0


def labels_of(pack: Pack) -> Sequence[str]:
    """The labels of output words: classes, or symbols."""
    if demo_kind(pack) == "picture":
        if pack.output.words != len(DIGITS):
            return [str(place) for place in range(pack.output.words)]
        return FASHION if pack.name in FASHIONABLE else DIGITS
    source = WRITERS.get(pack.name, pack.name)
    if source not in VOCABULARIES:
        raise CommandError(f"the symbols of {pack.name} are not known; use golden_vectors/names_writer")
    return VOCABULARIES[source]().symbols


def model_of(pack: Pack, temperature: float) -> DemoModel:
    """The quantised network in NumPy, if the zoo has it and it reproduces the pack's words; else the emulator."""
    source = WRITERS.get(pack.name, pack.name)
    plan = pack.directory / "plan.json"
    if source in zoo.names() and plan.exists():
        fixed = quantize(zoo.load(source), Plan.load(plan))
        if demo_kind(pack) == "picture":
            model = DemoModel(
                "the same network over integers, in NumPy", lambda x, seed: _classified(fixed, pack, x)
            )
        else:
            how = SamplingConfig(pack.output.words, temperature)
            first = int(pack.vectors[0, 0])
            model = DemoModel(
                "the same network over integers, in NumPy", lambda x, seed: write(fixed, how, seed, first)
            )
        if np.array_equal(np.ravel(model.run(pack.vectors[0], pack.seed)), pack.expected[0]):
            return model
    return DemoModel("the engine's twin in Python, clock by clock", lambda x, seed: _emulated(pack, x, seed))


def _classified(fixed: Quantized, pack: Pack, inputs: Ints) -> Ints:
    sample = FixedArray.from_ints(inputs.reshape(1, *pack.input.shape), pack.input.format)
    words: Ints = np.ravel(fixed(sample).ints)
    return words


def _emulated(pack: Pack, inputs: Ints, seed: int) -> Ints:
    port, choice = input_of(pack.input, pack.halves, 0)
    emulator = Twin(pack.config, pack.images, port, inputs, choice=choice)
    emulator.run(seed=seed)
    words: Ints = emulator.memory[pack.output.addresses()]
    return words
