# SPDX-License-Identifier: MIT
"""The networks: built, trained from scratch, and shipped with their weights."""

from __future__ import annotations

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from fixedpoint_nn.network import serialization
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.loop import fit
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.fingerprint import arithmetic_fingerprint

__all__ = [
    "Bar",
    "Entry",
    "TrainingRecipe",
    "build",
    "entry",
    "evaluate",
    "load",
    "metadata",
    "names",
    "samples",
    "train",
    "train_to_file",
]

WEIGHTS = Path(__file__).parent / "weights"

MODULES = (
    "moons",
    "bigram",
    "nplm",
    "names_lstm",
    "makemore_lstm",
    "shakespeare_lstm",
    "mnist_lstm",
    "mnist_gru",
    "mnist_rnn",
    "fashion_mlp",
    "lenet",
    "resnet8",
    "resnet50",
)


def names() -> tuple[str, ...]:
    """Every network of the zoo."""
    return MODULES


def entry(name: str) -> Entry:
    """All that the zoo knows of one network."""
    if name not in MODULES:
        raise KeyError(f"there is no network {name!r} in the zoo; there are {', '.join(MODULES)}")
    found: Entry = import_module(f"fixedpoint_nn.zoo.{name}").ENTRY
    return found


def build(name: str, seed: int = 0) -> Any:
    """The untrained network."""
    return entry(name).build(seed)


def load(name: str) -> Any:
    """The network with its shipped weights."""
    return serialization.load(_weights(name))


def metadata(name: str) -> dict[str, Any]:
    """The command, the seed and the result that made the shipped weights."""
    return serialization.load_metadata(_weights(name))


def _weights(name: str) -> Path:
    path = WEIGHTS / f"{entry(name).name}.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"no weights are shipped for {name!r}; train it with `fixedpoint-nn train {name}`, "
            f"or take zoo.build({name!r}) untrained"
        )
    return path


def samples(name: str, n: int, split: str | None = None) -> Array:
    """The first `n` real inputs of a network."""
    found = entry(name)
    return found.examples(split or found.held_out)[0][:n]


def evaluate(net: Any, name: str, split: str | None = None, limit: int | None = None) -> dict[str, float]:
    """The figures of a float or quantised network on held-out data, or on its first `limit` rows."""
    found = entry(name)
    x, y = found.examples(split or found.held_out)
    return found.figures(net, x[:limit], y[:limit])


def train(
    name: str,
    epochs: int | None = None,
    seed: int = 0,
    *,
    net: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> tuple[Any, History]:
    """Train by the network's recipe, from new weights or from those of `net`: the network and its curves."""
    found = entry(name)
    recipe = found.recipe
    net = found.build(seed) if net is None else net
    history = fit(
        net,
        found.source(),
        epochs=recipe.epochs if epochs is None else epochs,
        loss=recipe.loss,
        optimiser=recipe.optimiser(),
        schedule=recipe.schedule,
        clip=recipe.clip,
        evaluate=lambda now: evaluate(now, name),
        watch=recipe.watch,
        patience=recipe.patience,
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
        title=name,
    )
    return net, history


def train_to_file(
    name: str,
    path: str | os.PathLike[str],
    epochs: int | None = None,
    seed: int = 0,
    *,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train and save: the network with its story at `path`, its curves beside it as a picture; the story.

    A checkpoint beside the file lets an interrupted training go on (`resume`) to the same weights.
    """
    from fixedpoint_nn.training.pictures import learning_curves  # matplotlib is slow to import

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = path.with_name(f"{path.stem}.checkpoint.safetensors")
    if not resume:
        checkpoint.unlink(missing_ok=True)
    start, start_cpu = time.perf_counter(), time.process_time()
    net, history = train(name, epochs, seed, checkpoint=checkpoint, progress=progress)
    with threadpool_limits(1, "blas"):
        result = evaluate(net, name)
    story = {
        "network": name,
        "command": f"fixedpoint-nn train {name}{f' --epochs {epochs}' if epochs else ''} --seed {seed}",
        "seed": seed,
        "epochs": len(history),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - start_cpu, 1),
        "result": result,
        "numpy": np.__version__,
        "arithmetic": arithmetic_fingerprint(),
    }
    serialization.save(net, path, story)
    learning_curves(history, path.with_suffix(".png"), name)
    checkpoint.unlink(missing_ok=True)
    return story
