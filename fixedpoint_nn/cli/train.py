# SPDX-License-Identifier: MIT
"""`fixedpoint-nn train`: train a network of the zoo from scratch by its recipe, or one of a file on given samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import target, training_target
from fixedpoint_nn.cli.arguments import Commands, command, command_line, natural, positive
from fixedpoint_nn.cli.duration import announcing
from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.output_file import network_file
from fixedpoint_nn.cli.progress import bars, detail
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.cli.settings_options import add_settings, settings_of
from fixedpoint_nn.report.record import Stopwatch
from fixedpoint_nn.training.checkpoint import CheckpointError, stored


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "train",
        "train a network from scratch in NumPy",
        "fixedpoint-nn train fashion_mlp --epochs 3 --out runs/fashion/net.safetensors",
        run,
    )
    target.add_arguments(parser, metric=True)
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="rounds over the data (default: the recipe's)"
    )
    parser.add_argument("--seed", type=natural, metavar="N", help="decides weights and order (default: 0)")
    add_settings(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the .safetensors file of the network, or its folder; its curves go beside it "
        "(default: runs/NET/NET.safetensors)",
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--resume", action="store_true", help="go on with an interrupted training of the same FILE"
    )
    begin.add_argument("--fresh", action="store_true", help="forget an interrupted training of the same FILE")
    parser.set_defaults(interrupted=interrupted)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    entry, story = training_target.resolve(arguments)
    out = network_file(arguments.out, training_target.name_of(arguments.network))
    epochs, seed, settings = continued(arguments, out)
    settings.applied(entry)  # raises for unsupported settings before anything is written
    given = _again(arguments, out, epochs, seed, settings)
    watch = Stopwatch("train", given)
    detail(f"{entry.name}: {len(entry.source())} batches in an epoch; checkpoint {zoo.checkpoint_of(out)}")
    told = zoo.train_to_file(
        entry,
        out,
        epochs,
        seed,
        settings=settings,
        story={**story, "command": command_line("train", given[: given.index("--out")])},
        resume=arguments.resume,
        progress=bars(),
        announce=announcing("this training", command_line("train", [*given, "--resume"])),
    )
    watch.record(out.parent, {**told, **target.resolve(str(out)).about()}).save()
    figures = "  ".join(f"{figure} {value:.4f}" for figure, value in told["result"].items())
    text = (
        f"{entry.name}: {figures}  after {told['epochs']} epochs in {told['seconds']} s\n"
        f"network: {out}   curves: {out.with_suffix('.png')}"
    )
    show(arguments, {"file": str(out), **told}, text)
    return 0


def continued(arguments: argparse.Namespace, out: Path) -> tuple[int | None, int, zoo.Settings]:
    """(epochs, seed, settings) as given, or of the training that is resumed."""
    checkpoint, settings = zoo.checkpoint_of(out), settings_of(arguments)
    if not checkpoint.exists() or arguments.fresh:
        return arguments.epochs, arguments.seed or 0, settings
    kept = stored(checkpoint)
    if not arguments.resume:
        raise CommandError(
            f"{checkpoint} holds an interrupted training ({kept} done); go on with --resume, "
            "or start anew with --fresh"
        )
    before, seed = kept.settings, kept.seed
    began = zoo.Settings.from_json(before)
    stated = {**settings.as_json(), "epochs": arguments.epochs, "seed": arguments.seed}
    known: dict[str, Any] = {**before, "seed": seed}
    for name, value in stated.items():
        if value is not None and value != known.get(name):
            raise CommandError(
                f"the interrupted training began with {name} {known.get(name, 'of the recipe')}, not {value}; "
                f"leave --{name.replace('_', '-')} out to go on with it, or start anew with --fresh"
            )
    return before.get("epochs"), seed, began


def interrupted(arguments: argparse.Namespace) -> str:
    """The message about what an interrupt left, and how to continue."""
    out = network_file(arguments.out, training_target.name_of(arguments.network))
    checkpoint = zoo.checkpoint_of(out)
    try:
        kept = stored(checkpoint)
    except (FileNotFoundError, CheckpointError):
        return "nothing was left behind, because there was no checkpoint yet"
    given = _again(arguments, out, arguments.epochs, arguments.seed, settings_of(arguments))
    line = command_line("train", [*given, "--resume"])
    return f"{kept} are kept in {checkpoint}; go on with: {line}"


def _again(
    arguments: argparse.Namespace, out: Path, epochs: int | None, seed: int | None, settings: zoo.Settings
) -> list[object]:
    given = target.again(arguments)
    given += ["--epochs", epochs] if epochs else []
    return [*given, "--seed", seed or 0, *settings.options(), "--out", out]
