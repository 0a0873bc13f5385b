# SPDX-License-Identifier: MIT
"""`fixedpoint-nn train`: a network of the zoo, from scratch, by its recipe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fixedpoint_nn import zoo
from fixedpoint_nn.cli.arguments import Commands, command, natural, positive
from fixedpoint_nn.cli.network import resolve, zoo_name
from fixedpoint_nn.report.record import Stopwatch


def add(commands: Commands) -> None:
    parser = command(
        commands,
        "train",
        "train a network from scratch in NumPy",
        "fixedpoint-nn train fashion_mlp --epochs 3 --seed 1 --out runs/fashion/net.safetensors",
        run,
    )
    parser.add_argument("network", metavar="NET", type=zoo_name, help="a network of `fixedpoint-nn zoo`")
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="rounds over the data (default: the recipe's)"
    )
    parser.add_argument(
        "--seed", type=natural, default=0, metavar="N", help="decides weights and order (default: 0)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where the network goes, its curves beside it (default: runs/NET/NET.safetensors)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted training of the same FILE"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    name = arguments.network
    out = arguments.out or Path("runs", name, f"{name}.safetensors")
    options = ["--epochs", arguments.epochs] if arguments.epochs else []
    watch = Stopwatch("train", [name, *options, "--seed", arguments.seed, "--out", out])
    story = zoo.train_to_file(
        name, out, arguments.epochs, arguments.seed, resume=arguments.resume, progress=not arguments.json
    )
    watch.record(out.parent, {**story, **resolve(str(out)).about()}).save()
    if arguments.json:
        print(json.dumps({"file": str(out), **story}, indent=1))
    else:
        figures = "  ".join(f"{figure} {value:.4f}" for figure, value in story["result"].items())
        print(f"{name}: {figures}  after {story['epochs']} epochs in {story['seconds']} s")
        print(f"network: {out}   curves: {out.with_suffix('.png')}")
    return 0
