# SPDX-License-Identifier: MIT
"""NET|FILE on the command line: a network of the zoo, or one that `train` wrote."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.errors import CommandError, did_you_mean
from fixedpoint_nn.network import serialization
from fixedpoint_nn.network.quantized import Quantized


@dataclass(frozen=True)
class Network:
    """A network with its weights, and the zoo's entry that knows its data and its metric."""

    net: Any
    name: str
    source: str  # as it was written on the command line

    @cached_property
    def weights(self) -> str:
        """What tells this network from another one of the same name: the hash of all its numbers."""
        return serialization.identity(self.net)

    def about(self) -> dict[str, str]:
        """Which network a result is of."""
        return {"network": self.name, "weights": self.weights, "source": self.source}

    @property
    def entry(self) -> zoo.Entry:
        return zoo.entry(self.name)


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "network", metavar="NET|FILE", help="a network of `fixedpoint-nn zoo`, or a file of `train`"
    )


def resolve(text: str) -> Network:
    """The network that an argument names."""
    if text in zoo.names():
        return Network(zoo.load(text), text, text)
    if not Path(text).exists():
        raise CommandError(
            f"{text!r} is neither a network of the zoo nor a file{did_you_mean(text, zoo.names())}"
            " (`fixedpoint-nn zoo` lists the networks)"
        )
    net, name = serialization.load(text), serialization.load_metadata(text).get("network")
    if name not in zoo.names():
        raise CommandError(
            f"{text} does not say which network of the zoo it is (its metadata has network={name!r}), so "
            "its data and "
            "metric are unknown; save it with metadata {'network': NAME}, or use the Python functions"
        )
    if isinstance(net, Quantized):
        raise CommandError(f"{text} is quantised already; give the float network that it was made from")
    return Network(net, name, text)


def zoo_name(text: str) -> str:
    """An argument that must be a network of the zoo."""
    if text not in zoo.names():
        raise argparse.ArgumentTypeError(
            f"there is no network {text!r} in the zoo{did_you_mean(text, zoo.names())} "
            "(`fixedpoint-nn zoo` lists the networks)"
        )
    return text
