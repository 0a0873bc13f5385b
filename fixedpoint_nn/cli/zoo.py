# SPDX-License-Identifier: MIT
"""`fixedpoint-nn zoo`: the networks, and the results of their shipped weights."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.network import tree


def add(commands: Commands) -> None:
    parser = command(
        commands, "zoo", "list the networks with their sizes and results", "fixedpoint-nn zoo --json", run
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list, one object for each network")


def run(arguments: argparse.Namespace) -> int:
    networks = [describe(name) for name in zoo.names()]
    if arguments.json:
        print(json.dumps(networks, indent=1))
        return 0
    width = max(len(network["name"]) for network in networks)
    for network in networks:
        print(f"{network['name']:<{width}}  {network['parameters']:>10,} parameters  {network['summary']}")
        if network["result"]:
            result = "  ".join(f"{figure} {value:.4f}" for figure, value in network["result"].items())
            print(f"{'':<{width}}  {result}  ({network['command']})")
        else:
            print(f"{'':<{width}}  no weights are shipped; fixedpoint-nn train {network['name']}")
    return 0


def describe(name: str) -> dict[str, Any]:
    """One network: what it is, how large, and the story of its shipped weights, if there are any."""
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
