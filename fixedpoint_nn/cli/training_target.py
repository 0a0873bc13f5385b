# SPDX-License-Identifier: MIT
"""The target of `train` and `tune`: a network of the zoo from scratch, or of a file, from its weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import target
from fixedpoint_nn.cli.errors import CommandError, did_you_mean
from fixedpoint_nn.cli.own_network import from_weights


def resolve(arguments: argparse.Namespace) -> tuple[zoo.Entry, dict[str, Any]]:
    """(entry, metadata for the network's file)."""
    text = arguments.network
    if text in zoo.names() and arguments.data is None and arguments.metric is None:
        return zoo.entry(text), {}
    if text in zoo.names() and arguments.data is None:
        raise CommandError(f"{text} has metrics of its own; --metric belongs to --data samples.npz")
    if text not in zoo.names() and not Path(text).exists():
        raise CommandError(
            f"{text!r} is neither a network of the zoo nor a file{did_you_mean(text, zoo.names())} ({target.LIST})"
        )
    chosen = target.from_arguments(arguments)
    if chosen.given is None:
        return from_weights(chosen.entry, chosen.net), {"weights_from": text}
    return chosen.entry, {"weights_from": text, "data": str(chosen.given.path)}


def name_of(text: str) -> str:
    """The name of a network, without reading its file."""
    return text if text in zoo.names() else Path(text).stem
