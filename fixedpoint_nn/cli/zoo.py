# SPDX-License-Identifier: MIT
"""`fixedpoint-nn zoo`: list the networks, and the results of their shipped weights."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.network import tree

TRAINED = "fixedpoint-nn train {name} --seed 0"


def add(commands: Commands) -> None:
    """Add the command to the program."""
    command(
        commands, "zoo", "list the networks with their sizes and results", "fixedpoint-nn zoo --json", run
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    networks = [describe(name) for name in zoo.names()]
    show(arguments, {"networks": networks}, "\n".join(table(networks)))
    return 0


def table(networks: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Two lines for each network: its size and its result, and what it is; then the command that trains one."""
    width = max(len(network["name"]) for network in networks)
    yield f"{'network':<{width}}  parameters  on held-out data"
    for network in networks:
        result = "  ".join(f"{figure} {value:.4f}" for figure, value in network["result"].items())
        result = result or "no weights are shipped"
        yield f"{network['name']:<{width}}  {network['parameters']:>10,}  {result}"
        yield from textwrap.wrap(network["summary"], 78, initial_indent="    ", subsequent_indent="    ")
    yield f"each is trained by `{TRAINED.format(name='NETWORK')}`"
    for network in networks:
        if network["command"] not in (None, TRAINED.format(name=network["name"])):
            yield f"    but {network['name']} by `{network['command']}`"


def describe(name: str) -> dict[str, Any]:
    """One network: summary, size, and metadata of its shipped weights, if any."""
    entry = zoo.entry(name)
    try:
        story, net = zoo.metadata(name), zoo.load(name)
    except FileNotFoundError:
        story, net = {}, zoo.build(name)
    size = sum(int(np.prod(parameter.shape)) for parameter in tree.parameters(net).values())
    return {
        "name": name,
        "summary": entry.summary,
        "parameters": size,
        "bar": str(entry.bar) if entry.bar else None,
        "weights": bool(story),
        "result": story.get("result", {}),
        "command": story.get("command"),
    }
