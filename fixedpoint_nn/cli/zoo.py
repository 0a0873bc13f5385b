# SPDX-License-Identifier: MIT
"""`fixedpoint-nn zoo`: list the networks, and the results of their shipped weights."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.network import tree


def add(commands: Commands) -> None:
    """Add the command to the program."""
    command(
        commands, "zoo", "list the networks with their sizes and results", "fixedpoint-nn zoo --json", run
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    networks = [describe(name) for name in zoo.names()]
    width = max(len(network["name"]) for network in networks)
    lines = []
    for network in networks:
        name, size = network["name"], f"{network['parameters']:>10,} parameters"
        lines.append(f"{name:<{width}}  {size}  {network['summary']}")
        result = "  ".join(f"{figure} {value:.4f}" for figure, value in network["result"].items())
        story = (
            f"{result}  ({network['command']})"
            if result
            else f"no weights are shipped; fixedpoint-nn train {name}"
        )
        lines.append(f"{'':<{width}}  {story}")
    show(arguments, {"networks": networks}, "\n".join(lines))
    return 0


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
