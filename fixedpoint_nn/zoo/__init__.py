# SPDX-License-Identifier: MIT
"""The zoo: networks that are built, trained from scratch, and shipped with their weights."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping
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
from fixedpoint_nn.zoo.settings import Settings

__all__ = [
    "Bar",
    "Entry",
    "Settings",
    "TrainingRecipe",
    "build",
    "checkpoint_of",
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
    "pump_gru",
    "pump_lstm",
    "mnist_lstm",
    "mnist_gru",
    "mnist_rnn",
    "fashion_mlp",
    "lenet",
    "resnet8",
    "detector",
    "resnet50",
)


def names() -> tuple[str, ...]:
    """The names of the networks of the zoo."""
    return MODULES


def entry(name: str | Entry) -> Entry:
    """The `Entry` of a network by its name; an `Entry` is returned as it is. An unknown name raises KeyError."""
    if isinstance(name, Entry):
        return name
    if name not in MODULES:
        raise KeyError(f"there is no network {name!r} in the zoo; there are {', '.join(MODULES)}")
    found: Entry = import_module(f"fixedpoint_nn.zoo.{name}").ENTRY
    return found


def build(name: str, seed: int = 0) -> Any:
    """The untrained float network; the seed determines its weights."""
    return entry(name).build(seed)


def load(name: str) -> Any:
    """The trained float network, with its shipped weights."""
    return serialization.load(_weights(name))


def metadata(name: str) -> dict[str, Any]:
    """The command, the seed and the result of the training that made the shipped weights."""
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
    """The first `n` inputs of the network's data set, (n, ...); `split` defaults to its held-out split."""
    found = entry(name)
    return found.examples(split or found.held_out)[0][:n]


def evaluate(
    net: Any, name: str | Entry, split: str | None = None, limit: int | None = None
) -> dict[str, float]:
    """The metrics, by name, of a float or quantised network on held-out data, or on its first `limit` samples."""
    found = entry(name)
    x, y = found.examples(split or found.held_out)
    return found.figures(net, x[:limit], y[:limit])


def train(
    name: str | Entry,
    epochs: int | None = None,
    seed: int = 0,
    *,
    net: Any = None,
    settings: Settings | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
    announce: Callable[[float], None] | None = None,
) -> tuple[Any, History]:
    """Train by the network's recipe, from new weights or from those of `net`; returns (network, learning curves).

    `settings` override the recipe's; `announce` is called with the estimated seconds.
    """
    settings = settings or Settings()
    found = settings.applied(entry(name))
    recipe = found.recipe
    net = found.build(seed) if net is None else net
    epochs = recipe.epochs if epochs is None else epochs
    history = fit(
        net,
        found.source(),
        epochs=epochs,
        loss=recipe.loss,
        optimiser=recipe.optimiser(),
        schedule=recipe.schedule,
        clip=recipe.clip,
        evaluate=lambda now: evaluate(now, found),
        watch=recipe.watch,
        patience=recipe.patience,
        seed=seed,
        checkpoint=checkpoint,
        settings={"network": found.name, "epochs": epochs, **settings.as_json()},
        progress=progress,
        announce=announce,
        title=found.name,
    )
    return net, history


def checkpoint_of(path: str | os.PathLike[str]) -> Path:
    """The path of the checkpoint that `train_to_file` keeps for this file."""
    path = Path(path)
    return path.with_name(f"{path.stem}.checkpoint.safetensors")


def train_to_file(
    name: str | Entry,
    path: str | os.PathLike[str],
    epochs: int | None = None,
    seed: int = 0,
    *,
    settings: Settings | None = None,
    story: Mapping[str, Any] | None = None,
    resume: bool = False,
    progress: bool = True,
    announce: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train and save the network at `path`, with its learning curves as a plot beside it; returns the file's metadata.

    With `resume` an interrupted training continues from the checkpoint beside the file, to the same weights. `story` is
    added to the metadata.
    """
    from fixedpoint_nn.training.pictures import learning_curves  # matplotlib is slow to import

    path, found, settings = Path(path), entry(name), settings or Settings()
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoint_of(path)
    if not resume:
        checkpoint.unlink(missing_ok=True)
    start, start_cpu = time.perf_counter(), time.process_time()
    net, history = train(
        found,
        epochs,
        seed,
        settings=settings,
        checkpoint=checkpoint,
        progress=progress,
        announce=announce,
    )
    with threadpool_limits(1, "blas"):
        result = evaluate(net, found)
    options = [*(["--epochs", str(epochs)] if epochs else []), "--seed", str(seed), *settings.options()]
    told = {
        "network": found.name,
        "command": shlex.join(["fixedpoint-nn", "train", found.name, *options]),
        "seed": seed,
        "epochs": len(history),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - start_cpu, 1),
        "result": result,
        "settings": settings.as_json(),
        "numpy": np.__version__,
        "arithmetic": arithmetic_fingerprint(),
        **(story or {}),
    }
    serialization.save(net, path, told)
    learning_curves(history, path.with_suffix(".png"), found.name)
    checkpoint.unlink(missing_ok=True)
    return told
