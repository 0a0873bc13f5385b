# SPDX-License-Identifier: MIT
"""NET|FILE on the command line: the network with its weights, samples and metric.

All commands resolve the name or file of a network here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import ports, samples_file
from fixedpoint_nn.cli.errors import CommandError, did_you_mean
from fixedpoint_nn.cli.own_network import entry_for
from fixedpoint_nn.cli.progress import detail
from fixedpoint_nn.interchange.load import kind_of, load_model
from fixedpoint_nn.network import serialization, tree
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.metric import METRICS, Metric

CALIBRATION = 500  # samples
LIST = "`fixedpoint-nn zoo` lists the networks"


@dataclass(frozen=True)
class NetworkTarget:
    """A network with its weights, and its samples, from a file or the zoo."""

    net: Any
    name: str
    source: str  # as given on the command line
    given: samples_file.SamplesFile | None = None
    metric: Metric | None = None  # None: implied by the labels
    metadata: dict[str, Any] | None = None
    xs: tuple[Array, ...] = ()  # the samples of each input, if there are several
    identity: str = ""  # the hash of the network that this one was made from

    @cached_property
    def weights(self) -> str:
        """The hash of the network's structure and numbers."""
        return self.identity or serialization.identity(self.net)

    def about(self) -> dict[str, str]:
        """Name, source and hash of the network, for records of results."""
        return {"network": self.name, "weights": self.weights, "source": self.source}

    @cached_property
    def entry(self) -> zoo.Entry:
        """The entry by which it is trained and evaluated: the zoo's, or one for the given samples."""
        if self.given is not None:
            return entry_for(self.name, self.net, self.given, self.metric)
        if self.name not in zoo.names() or "data" in (self.metadata or {}):
            raise CommandError(
                f"{self.source} is no network of the zoo, so its samples are unknown; give them by "
                "--data samples.npz, which np.savez(path, x=x, y=y) writes"
            )
        return zoo.entry(self.name)

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return sum(int(np.prod(value.shape)) for value in tree.parameters(self.net).values())

    @cached_property
    def held_out(self) -> tuple[Array, Array]:
        """Held-out samples (x, y)."""
        if self.given is not None:
            return self.given.x, self.given.labels()
        return self.entry.examples(self.entry.held_out)

    def samples(self, count: int) -> Any:
        """The first `count` held-out inputs; of several inputs, a tuple."""
        if self.xs:
            return tuple(x[:count] for x in self.xs)
        if self.given is not None:
            return self.given.x[:count]
        return zoo.samples(self.entry.name, count)

    @cached_property
    def calibration(self) -> Any:
        """Inputs for calibration: the first of a file, or of the zoo's training data; of several inputs, a tuple."""
        if self.xs:
            return self.samples(CALIBRATION)
        if self.given is not None:
            return self.given.x[:CALIBRATION]
        return zoo.samples(self.entry.name, CALIBRATION, "train")


def add_arguments(parser: argparse.ArgumentParser, metric: bool = False) -> None:
    """Add the argument for the network, and the options for its samples and metric."""
    parser.add_argument(
        "network",
        metavar="NET|FILE",
        help="a network of `fixedpoint-nn zoo`, or a .safetensors, .onnx or .tflite file",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="samples of your own: an .npz file with x (samples, ...) and y (labels or targets)",
    )
    if metric:
        add_metric(parser)


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add --metric and the option for its direction."""
    parser.add_argument(
        "--metric",
        metavar="M",
        help=f"{', '.join(METRICS)}, or module:function (default: as the labels ask)",
    )
    parser.add_argument(
        "--lower-is-better", action="store_true", help="of the --metric module:function, less is better"
    )


def resolve(
    text: str,
    data: Path | None = None,
    metric: Metric | None = None,
    quantised: bool = False,
    several: bool = False,
    constants: Mapping[str, float] | None = None,
) -> NetworkTarget:
    """The network of a name or file, with the samples in `data`, if given.

    A quantised network raises CommandError unless `quantised`, and samples of several inputs unless `several`.
    """
    is_file = text not in zoo.names() and Path(text).is_file()
    about = ports.about(text, data, constants or {}) if is_file else ports.About()
    net, name, metadata = _loaded(text, about)
    if isinstance(net, Quantized) and not quantised:
        raise CommandError(f"{text} is quantised already; give the float network that it was made from")
    detail(f"{text}: {name}, samples of {'the zoo' if data is None else data}")
    if data is not None and text not in zoo.names() and len(ports.input_names(text, net, about)) > 1:
        if not several:
            names = ", ".join(ports.input_names(text, net, about))
            raise CommandError(f"{text} has several inputs ({names}), which this command does not take")
        return NetworkTarget(net, name, text, None, metric, metadata, ports.samples(text, net, data, about))
    given = None if data is None else samples_file.load(data)
    if given is not None and text not in zoo.names() and kind_of(text) == "onnx":
        given = replace(given, x=ports.turned(given.x, ports.doors_of(text, about)[0], text, given.path))
    return NetworkTarget(net, name, text, given, metric, metadata)


def from_arguments(
    arguments: argparse.Namespace, quantised: bool = False, several: bool = False
) -> NetworkTarget:
    """The target in a command's arguments."""
    return resolve(arguments.network, arguments.data, chosen_metric(arguments), quantised, several)


def chosen_metric(arguments: argparse.Namespace) -> Metric | None:
    """The metric of the options; None if the labels imply it."""
    name, lower = getattr(arguments, "metric", None), getattr(arguments, "lower_is_better", False)
    if name is None:
        if lower:
            raise CommandError("--lower-is-better belongs to a --metric module:function; give that too")
        return None
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a metric's module may be in the current folder
    return Metric.of(name, False if lower else None)


def again(arguments: argparse.Namespace) -> list[object]:
    """The network and its options as given, to repeat the command."""
    given: list[object] = [arguments.network]
    for option in ("data", "metric"):
        value = getattr(arguments, option, None)
        given += [f"--{option}", value] if value is not None else []
    return given + (["--lower-is-better"] if getattr(arguments, "lower_is_better", False) else [])


def _loaded(text: str, about: ports.About) -> tuple[Any, str, dict[str, Any]]:
    """(network, name, metadata of its file)."""
    if text in zoo.names():
        return zoo.load(text), text, zoo.metadata(text)
    path = Path(text)
    if not path.exists():
        raise CommandError(
            f"{text!r} is neither a network of the zoo nor a file{did_you_mean(text, zoo.names())} ({LIST})"
        )
    if path.is_dir():
        raise CommandError(f"{text} is a folder; give a network of the zoo or a file of one ({LIST})")
    if kind_of(path) != "safetensors":
        return load_model(path, **about.given), path.stem, {"data": text}  # not of a data set of the zoo
    net, metadata = serialization.load(path), serialization.load_metadata(path)
    name = path.stem if "data" in metadata else metadata.get("network") or path.stem
    return net, str(name), metadata
