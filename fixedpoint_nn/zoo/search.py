# SPDX-License-Identifier: MIT
"""Hyperparameter search by Optuna (the `search` extra): over a declared space, in parallel, resumable.

    space = {"rate": Real(1e-4, 1e-2, log=True), "build.dropout": Real(0, 0.5), "batch": Choice(64, 128, 256)}
    found = search("fashion_mlp", space, trials=40, storage="fashion.db", epochs=5, jobs=2)
    found.best

A name is a setting of the recipe's optimiser (`rate`, `l2`, `decay`, ...), `batch` for the size of a batch,
`clip`, or `build.` and an argument of the network's build function. Every trial trains on nine tenths of the
training data and is judged on the last tenth: the data that the zoo reports its results on stays unseen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import singledispatch
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.training.batches import Samples, TextWindows, WordBatches, padded
from fixedpoint_nn.training.loop import Diverged, fit
from fixedpoint_nn.zoo.entry import Entry, Examples
from fixedpoint_nn.zoo.search_storage import demand_whole, readable


@dataclass(frozen=True)
class Real:
    """A number between low and high; with `log`, each power of ten is as likely as the others."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Any, name: str) -> float:
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Integer:
    """A whole number from low to high in steps."""

    low: int
    high: int
    step: int = 1

    def suggest(self, trial: Any, name: str) -> int:
        return int(trial.suggest_int(name, self.low, self.high, step=self.step))


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_categorical(name, self.options)


Space = Mapping[str, Real | Integer | Choice]


@dataclass(frozen=True)
class Found:
    """The settings of the best trial, its loss on the held-back data, and every trial that ran to its end."""

    best: dict[str, Any]
    loss: float
    trials: tuple[tuple[dict[str, Any], float], ...]


def search(
    name: str,
    space: Space,
    trials: int,
    storage: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    jobs: int = 1,
    seed: int = 0,
    limit: int | None = None,
) -> Found:
    """Try settings until the file `storage` (SQLite) has `trials` of them; one process for each job.

    Called again with the same file, it goes on where it was. `limit` takes the first samples only.
    """
    optuna = _optuna()
    demand_known(zoo.entry(name), space)
    url = f"sqlite:///{Path(storage).resolve()}"
    demand_whole(Path(storage))
    with readable(Path(storage)):
        study = optuna.create_study(storage=url, study_name=name, load_if_exists=True)
        _found(study)
    task = (name, dict(space), trials, url, epochs, limit)
    if jobs == 1:
        _work(*task, seed)
    else:
        context = get_context("spawn")
        workers = [context.Process(target=_work, args=(*task, seed + job)) for job in range(jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("a process of the search failed (see above); the same call again goes on")
    with readable(Path(storage)):
        found = _found(study)
    if found is None:
        raise RuntimeError(f"none of the trials in {storage} came to an end; lower the rates of the space")
    return found


def _found(study: Any) -> Found | None:
    """All that is read of a study; None if no trial has come to an end."""
    trials = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if not trials:
        return None
    complete = tuple((dict(trial.params), float(trial.value)) for trial in trials)
    return Found(dict(study.best_params), float(study.best_value), complete)


def demand_known(entry: Entry, space: Space) -> None:
    """Every name of the space must be something that this network has."""
    settings = {field.name for field in fields(entry.recipe.optimiser()) if field.init} | {"batch", "clip"}
    settings |= {f"build.{argument}" for argument in signature(entry.build).parameters if argument != "seed"}
    for name in space:
        if name not in settings:
            raise KeyError(f"{entry.name} has no setting {name!r}; it has {', '.join(sorted(settings))}")


def _work(
    name: str, space: Space, trials: int, url: str, epochs: int | None, limit: int | None, seed: int
) -> None:
    optuna = _optuna()
    entry = zoo.entry(name)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    study = optuna.load_study(
        study_name=name, storage=url, pruner=optuna.pruners.MedianPruner(n_startup_trials=8)
    )
    before = study.trials
    if sum(trial.state in states for trial in before) >= trials:
        return
    study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + len(before))  # a resumed search goes on
    enough = optuna.study.MaxTrialsCallback(trials, states)
    study.optimize(lambda trial: _objective(trial, entry, space, epochs, limit), callbacks=[enough])


def _objective(trial: Any, entry: Entry, space: Space, epochs: int | None, limit: int | None) -> float:
    optuna = _optuna()
    chosen = {name: axis.suggest(trial, name) for name, axis in space.items()}
    build = {name.removeprefix("build."): chosen.pop(name) for name in space if name.startswith("build.")}
    source: Any = entry.source()
    if "batch" in chosen:
        source = replace(source, size=chosen.pop("batch"))
    source, (x, y) = hold_back(source, limit)
    clip = chosen.pop("clip", entry.recipe.clip)
    settings: Any = {**chosen}
    optimiser = replace(entry.recipe.optimiser(), **settings)
    losses: list[float] = []

    def judge(net: Any) -> dict[str, float]:
        figures = entry.figures(net, x, y)
        losses.append(figures["loss"])
        trial.report(losses[-1], len(losses))
        if trial.should_prune():
            raise optuna.TrialPruned
        return figures

    try:
        fit(
            entry.build(0, **build),
            source,
            epochs=epochs or entry.recipe.epochs,
            loss=entry.recipe.loss,
            optimiser=optimiser,
            schedule=entry.recipe.schedule,
            clip=clip,
            evaluate=judge,
            progress=False,
        )
    except Diverged as error:
        raise optuna.TrialPruned from error
    return min(losses)


@singledispatch
def hold_back(source: object, limit: int | None = None) -> tuple[Any, Examples]:
    """The source without the last tenth of its data, and that tenth; of the first `limit` samples only."""
    raise TypeError(f"nothing can be held back from a {type(source).__name__}")


@hold_back.register
def _(source: Samples, limit: int | None = None) -> tuple[Any, Examples]:
    x, y = source.x[:limit], source.y[:limit]
    cut = len(x) * 9 // 10
    return replace(source, x=x[:cut], y=y[:cut]), (x[cut:], y[cut:])


@hold_back.register
def _(source: WordBatches, limit: int | None = None) -> tuple[Any, Examples]:
    order = np.random.default_rng(0).permutation(len(source.words))[:limit]
    words = [source.words[i] for i in order]  # lists are sorted: the last tenth is special
    cut = len(words) * 9 // 10
    return replace(source, words=words[:cut]), padded(words[cut:], source.end)


@hold_back.register
def _(source: TextWindows, limit: int | None = None) -> tuple[Any, Examples]:
    ids = source.ids[:limit]
    cut = len(ids) * 9 // 10
    rest, length = ids[cut:], source.length
    whole = (len(rest) - 1) // length * length
    examples = rest[:whole].reshape(-1, length), rest[1 : whole + 1].reshape(-1, length)
    return replace(source, ids=ids[:cut]), examples


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "a search needs Optuna; install it with `pip install fixedpoint_nn[search]`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
