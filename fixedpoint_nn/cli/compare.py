# SPDX-License-Identifier: MIT
"""`fixedpoint-nn compare`: an .onnx or .tflite file here and in its own runtime, tensor by tensor."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import ports, target
from fixedpoint_nn.cli.arguments import Commands, command, positive
from fixedpoint_nn.cli.errors import FAILURE, CommandError
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.interchange.comparison import ComparedTensor, compare
from fixedpoint_nn.interchange.load import kind_of


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "compare",
        "run a model of ONNX or TFLite here and in its own runtime: equal, or the first tensor that differs",
        "fixedpoint-nn compare model.tflite --data samples.npz",
        run,
    )
    parser.epilog = f"for a model of several inputs, FILE has an array of each one's name\n\n{parser.epilog}"
    target.add_arguments(parser)
    parser.add_argument(
        "--samples", type=positive, default=100, metavar="N", help="the first N samples (default: 100)"
    )
    parser.add_argument(
        "--optimised",
        action="store_true",
        help="of a quantised .onnx file, only the outputs, with the graph optimisations of onnxruntime's default",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status: 0 if all tensors are equal."""
    source = arguments.network
    if arguments.data is None:
        raise CommandError("a comparison needs samples: --data samples.npz, which np.savez(path, x=x) writes")
    if source in zoo.names() or (Path(source).is_file() and kind_of(source) == "safetensors"):
        raise CommandError(f"{source} is this project's own network, and no other runtime reads it")
    constants = ports.constants_of(arguments)
    chosen = target.from_arguments(arguments, quantised=True, several=True)
    given = chosen.xs if chosen.given is None else (chosen.given.x,)
    found = compare(
        source,
        [x[: arguments.samples] for x in given],
        optimised=arguments.optimised,
        constants=constants,
        outputs=ports.outputs_of(arguments),
    )
    results = {
        **chosen.about(),
        "judge": found.judge,
        "equal": found.equal,
        "exact": found.exact,
        "samples": found.samples,
        "tensors": [_row(pair) for pair in found.pairs],
    }
    show(arguments, results, str(found))
    return 0 if found.equal else FAILURE


def _row(pair: ComparedTensor) -> dict[str, object]:
    alike = pair.theirs.shape == pair.ours.shape and pair.theirs.size > 0
    largest = float(np.abs(pair.theirs - pair.ours).max()) if alike else None
    return {
        "name": pair.name,
        "values": pair.theirs.size,
        "differing": len(pair.differing),
        "largest_difference": largest,
        "margin": pair.margin,
    }
