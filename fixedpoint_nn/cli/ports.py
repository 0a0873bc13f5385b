# SPDX-License-Identifier: MIT
"""Samples for the inputs of a network from a file, in the network's order of axes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fixedpoint_nn.cli import samples_file
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.progress import say
from fixedpoint_nn.interchange.load import kind_of
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array


@dataclass(frozen=True)
class About:
    """What a file leaves open: sizes, which the samples say, constant inputs, and whether its softmax stays."""

    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    softmax: bool = True
    outputs: tuple[str, ...] | None = None  # in place of the file's own

    @property
    def given(self) -> dict[str, Any]:
        """The options of `from_onnx`."""
        return {
            "shapes": self.shapes or None,
            "constants": self.constants or None,
            "softmax": self.softmax,
            "outputs": self.outputs,
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --constant and --output."""
    parser.add_argument(
        "--constant",
        action="append",
        default=[],
        metavar="NAME=X",
        help="the number at which an input of an .onnx file is fixed, such as a sampling rate",
    )

    parser.add_argument(
        "--output",
        action="append",
        metavar="NAME",
        help="of an .onnx or .tflite file, a value to compute in place of its own outputs, up to which it is read",
    )


def outputs_of(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    """The values of every --output; None for the file's own."""
    given = getattr(arguments, "output", None)
    return tuple(given) if given else None


def constants_of(arguments: argparse.Namespace) -> dict[str, float]:
    """The inputs and numbers of every --constant."""
    return dict(map(_constant, getattr(arguments, "constant", [])))


def _constant(text: str) -> tuple[str, float]:
    name, _, number = text.rpartition("=")
    try:
        return name, float(number)
    except ValueError:
        raise CommandError(f"--constant {text!r} is not like sr=16000") from None


def about(path: str, data: Path | None, said: About) -> About:
    """What the samples and the command line say about a file."""
    constants = said.constants
    if constants and kind_of(path) != "onnx":
        raise CommandError(f"{path} has no inputs that can be fixed; --constant is for .onnx files")
    if data is None or kind_of(path) != "onnx":
        return said
    from fixedpoint_nn.interchange.onnx.file import read
    from fixedpoint_nn.interchange.onnx.open_sizes import shapes_of

    samples = {name: array.shape for name, array in samples_file.arrays_of(data).items()}
    return replace(said, shapes=shapes_of(read(path), samples, constants))


def input_names(path: str, net: Any, about: About) -> tuple[str, ...]:
    """The names of a file's inputs, which are those of the arrays with their samples; variables are none."""
    kind = kind_of(path)
    if kind == "onnx":
        return tuple(door.name for door in doors_of(path, about))
    if kind == "tflite":
        model = _tflite(path)
        names: tuple[str, ...] = model.names[: len(model.inputs) - len(model.states)]
        return names
    graph = net.net if isinstance(net, Quantized) else net
    named: tuple[str, ...] = getattr(graph, "inputs", ("x",))
    return named


def samples(path: str, net: Any, data: Path, about: About) -> tuple[Array, ...]:
    """The samples of every input, from arrays with the inputs' names."""
    arrays = samples_file.load_inputs(data, input_names(path, net, about))
    if kind_of(path) == "onnx":
        return tuple(
            turned(x, door, path, data) for x, door in zip(arrays, doors_of(path, about), strict=True)
        )
    return tuple(arrays)


def doors_of(path: str, about: About) -> tuple[Any, ...]:
    """The inputs of an ONNX file, with the arrangement of their axes."""
    from fixedpoint_nn.interchange.onnx.importing import any_kind  # imports `onnx`, which takes its time

    return any_kind(path, **about.given).inputs


def _tflite(path: str) -> Any:
    from fixedpoint_nn.interchange.tflite.file import read
    from fixedpoint_nn.interchange.tflite.states import without_variables

    return without_variables(read(path))


def turned(x: Array, door: Any, path: str, data: Path) -> Array:
    """The samples of one input in the network's order of axes, from that or from the file's order."""
    arranged: Array | None = door.arranged(x)
    if arranged is None:
        raise CommandError(
            f"{path} takes samples of shape {door.sample}, and those of {data} have {x.shape[1:]}"
        )
    if arranged is not x:
        say(f"the samples are arranged as in {path}, {door.filed}; the network takes them as {door.sample}")
    return arranged
