# SPDX-License-Identifier: MIT
"""`fixedpoint-nn import`: the contents of a model file, what cannot be imported or run, and conversion."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.cli import ports
from fixedpoint_nn.cli.arguments import ENGINE_WORDS, Commands, command, word
from fixedpoint_nn.cli.errors import FAILURE, CommandError
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.pipeline import lower
from fixedpoint_nn.interchange.contents import ModelContents, contents
from fixedpoint_nn.layers import Embedding
from fixedpoint_nn.network import serialization
from fixedpoint_nn.network.one_port import one_port, several
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.summary import rows
from fixedpoint_nn.network.tree import every_layer
from fixedpoint_nn.precision import calibrate, quantize

TRIAL_SAMPLES, TRIAL_WORD, TRIAL_LANES = 8, 8, 8
NO_SIZES = {"parameters": None, "multiply_accumulates": None, "engine": None}
KINDS = {"safetensors": "this project", "onnx": "ONNX", "tflite": "TFLite"}


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "import",
        "say what is in a model of ONNX or TFLite and what would not fit, and save its network",
        "fixedpoint-nn import model.onnx --check",
        run,
    )
    parser.add_argument("model", metavar="FILE", help="an .onnx, .tflite or .safetensors file")
    parser.add_argument(
        "--check",
        action="store_true",
        help="only say operators, shapes, sizes, and what would not fit the engine",
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=N,N,...",
        help="the shape of an input of which an .onnx file leaves sizes open, in the file's order",
    )
    ports.add_options(parser)
    parser.add_argument(
        "--floats",
        action="store_true",
        help="of a quantised .onnx or .tflite file, the float network that was quantised",
    )
    parser.add_argument(
        "--word",
        type=word,
        default=TRIAL_WORD,
        metavar="N",
        help=f"bits that a float network is tried with, {ENGINE_WORDS} (default: 8)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the network, as .safetensors")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status, 0 if every operator can be imported."""
    if arguments.check == (arguments.out is not None):
        raise CommandError("import takes either --check, or --out, the .safetensors file of the network")
    if arguments.out is not None and arguments.out.suffix != ".safetensors":
        raise CommandError(f"--out is a file that ends in .safetensors, unlike {arguments.out}")
    if not Path(arguments.model).is_file():
        raise CommandError(f"there is no file {arguments.model}")
    found = contents(
        arguments.model,
        dict(map(_shape, arguments.shape)) or None,
        ports.constants_of(arguments) or None,
        ports.outputs_of(arguments),
        quantised=not arguments.floats,
    )
    results, lines = _described(arguments.model, found)
    if found.refusals:
        count = len(found.refusals)
        lines += [
            f"{count} operator{'s' * (count > 1)} cannot be read:",
            *(f"  {reason}" for reason in found.refusals),
            "--output NAME reads a file up to a value of it only.",
        ]
        show(arguments, {**results, "refusals": list(found.refusals)}, "\n".join(lines))
        return FAILURE
    sizes, more = _sizes(found, arguments.word)
    if arguments.out is not None:
        serialization.save(found.net, arguments.out, {"data": str(arguments.model)})
        more.append(f"{arguments.out} holds the network")
    show(
        arguments,
        {**results, "refusals": [], **NO_SIZES, **sizes, "file": arguments.out},
        "\n".join([*lines, *more]),
    )
    return 0


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        return name, tuple(int(size) for size in sizes.split(","))
    except ValueError:
        raise CommandError(f"--shape {text!r} is not like image=1,3,32,32") from None


def _described(path: str, found: ModelContents) -> tuple[dict[str, Any], list[str]]:
    """(results for --json, lines to print) of what the file contains."""
    operators = dict(sorted((found.operators or {}).items()))
    lines = [f"{path}: a network of {KINDS[found.kind]}"]
    for heading, values in (("inputs", found.inputs), ("outputs", found.outputs)):
        lines += [f"{heading:<10}{'; '.join(values)}"] if values else []
    if operators:
        lines.append(f"{'operators':<10}{', '.join(f'{n} {name}' for name, n in operators.items())}")
    results = {
        "model": path,
        "kind": found.kind,
        "inputs": list(found.inputs),
        "outputs": list(found.outputs),
        "operators": operators,
    }
    return results, lines


def _sizes(found: ModelContents, bits: int) -> tuple[dict[str, Any], list[str]]:
    """Layers, parameters, multiply-accumulates, and whether the engine can run the network, as data and text."""
    shape = found.shapes[0] if len(found.shapes) == 1 else found.shapes or None
    results: dict[str, Any] = {"shape": shape}
    if not found.shapes:
        return results, ["The sizes of layers follow from a sample, and the file says no shape of one."]
    fixed = found.net if isinstance(found.net, Quantized) else _trial(found, bits)
    if isinstance(fixed, str):
        return {**results, "engine": fixed}, [fixed]
    order = ", channels last" if any(len(sizes) == 3 for sizes in found.shapes) else ""
    lines = [f"{'sample':<10}{', '.join(map(str, found.shapes))}{order}", ""]
    (shape,) = found.shapes if len(found.shapes) == 1 else [None]
    if several(fixed):
        port = one_port(fixed, found.shapes)
        fixed, shape = port.fixed, port.row_shape(found.shapes)
        lines[-1:] = ["On the engine all inputs of a sample are one row, and all outputs another.", ""]
    assert shape is not None
    layers = rows(fixed.net, fixed.input.format, shape)
    results["parameters"] = sum(row.parameters for row in layers)
    results["multiply_accumulates"] = sum(row.multiply_accumulates or 0 for row in layers)
    lines += [fixed.summary(shape), ""]
    tried = not isinstance(found.net, Quantized)
    if tried:
        lines[-1:] = [
            f"The formats are those of random samples, with words of {bits} bits; `emit` takes yours."
        ]
    how = f" with words of {bits} bits" if tried else ""
    try:
        engine = lower(fixed.net, shape, fixed.input.format, TRIAL_LANES)
    except LoweringError as error:
        results["engine"] = str(error)
        return results, [*lines, f"The engine does not take it{how}: {error}"]
    config = engine.config
    results["engine"] = "fits"
    depths = {
        "weights": (config.weight_depth, config.lanes * config.weight_width),
        "activations": (config.activation_depth, config.activation_width),
    }
    memory = ", ".join(
        f"{depth:,} words of {width} bits for {name}" for name, (depth, width) in depths.items()
    )
    return results, [*lines, f"The engine takes it{how}, with {TRIAL_LANES} lanes: {memory}."]


def _trial(found: ModelContents, bits: int) -> Quantized | str:
    """The float network quantised from random samples, which is enough for shapes and sizes; or the reason why not."""
    rng = np.random.default_rng(0)
    entries = [layer.weight.shape[0] for layer in every_layer(found.net) if isinstance(layer, Embedding)]
    samples = tuple(
        rng.integers(0, min(entries, default=2), (TRIAL_SAMPLES, *shape))
        if whole
        else rng.standard_normal((TRIAL_SAMPLES, *shape)).astype(np.float32)
        for shape, whole in zip(found.shapes, found.whole * len(found.shapes), strict=False)
    )
    try:
        plan = calibrate(found.net, samples if len(samples) > 1 else samples[0], word=bits)
        fixed: Quantized = quantize(found.net, plan)
    except (ValueError, TypeError) as error:
        return f"It cannot be quantised by random samples: {error}"
    return fixed
