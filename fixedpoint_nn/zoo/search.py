# SPDX-License-Identifier: MIT
"""Hyperparameter search by Optuna (the `search` extra): over a declared space, in parallel, resumable.

    space = {"rate": Real(1e-4, 1e-2, log=True), "build.dropout": Real(0, 0.5), "batch": Categorical(64, 128, 256)}
    found = search("fashion_mlp", space, trials=40, storage="fashion.db", epochs=5, jobs=2)
    found.best

A name is one of `Settings` (`learning_rate`, `batch`, `hidden`, `l2`, `dropout`, `optimiser`, `schedule`), a field of
the recipe's optimiser (`rate`, `decay`, ...), `clip`, or `build.` and an argument of the network's build function.
Every trial trains on nine tenths of the training data and is evaluated on the last tenth; the test data is not used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from fixedpoint_nn import zoo
from fixedpoint_nn.training.loop import Diverged, fit
from fixedpoint_nn.zoo.entry import Entry
from fixedpoint_nn.zoo.hold_back import hold_back
from fixedpoint_nn.zoo.search_space import Categorical, Integer, Real, Space, as_settings, usual_space
from fixedpoint_nn.zoo.search_storage import demand_whole, readable
from fixedpoint_nn.zoo.settings import Settings, supported_settings

__all__ = ["Categorical", "Found", "Integer", "Real", "Space", "hold_back", "search", "usual_space"]

Tell = Callable[["Found"], None]


@dataclass(frozen=True)
class Found:
    """The settings of the best trial, its loss on the held-back data, and every completed trial."""

    best: dict[str, Any]
    loss: float
    trials: tuple[tuple[dict[str, Any], float], ...]
    pruned: int = 0  # trials ended early, because they were worse than others at the same epoch

    @property
    def settings(self) -> Settings:
        """The best settings, as `train` takes them."""
        return as_settings(self.best)


def search(
    name: str | Entry,
    space: Space,
    trials: int | None,
    storage: str | os.PathLike[str],
    *,
    minutes: float | None = None,
    epochs: int | None = None,
    jobs: int = 1,
    seed: int = 0,
    limit: int | None = None,
    tell: Tell | None = None,
    announce: Callable[[float], None] | None = None,
) -> Found:
    """Run trials until the SQLite file `storage` has `trials` of them, or for `minutes`.

    A call with an existing file continues its search. `jobs` is the number of processes; `limit` the number of training
    samples to use. `tell` is called with the result so far after each trial, `announce` with the estimated seconds of a
    trial.
    """
    optuna = _optuna()
    entry = zoo.entry(name)
    if trials is None and minutes is None:
        raise ValueError("a search needs an end: a number of trials, or of minutes")
    if jobs > 1 and isinstance(name, Entry):
        raise ValueError(f"{jobs} jobs can search networks of the zoo only; search {entry.name} with one job")
    demand_known(entry, space)
    url = f"sqlite:///{Path(storage).resolve()}"
    demand_whole(Path(storage))
    with readable(Path(storage)):
        study = optuna.create_study(storage=url, study_name=entry.name, load_if_exists=True)
        _found(study)
    task = (name, dict(space), trials, minutes, url, epochs, limit)
    if jobs == 1:
        _work(*task, seed, tell, announce)
    else:
        context = get_context("spawn")
        workers = [context.Process(target=_work, args=(*task, seed + job)) for job in range(jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise RuntimeError("a process of the search failed (see above); the same call again goes on")
    return found_in(study, storage)


def found_in(study: Any, storage: str | os.PathLike[str]) -> Found:
    """The completed trials of a study; raises RuntimeError if there are none."""
    with readable(Path(storage)):
        found = _found(study)
    if found is None:
        raise RuntimeError(f"none of the trials in {storage} finished; give it more time, or lower the rates")
    return found


def _found(study: Any) -> Found | None:
    """The completed trials of a study; None if there are none."""
    trials = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if not trials:
        return None
    complete = tuple((dict(trial.params), float(trial.value)) for trial in trials)
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    return Found(dict(study.best_params), float(study.best_value), complete, pruned)


def count_trials(storage: str | os.PathLike[str]) -> int:
    """The number of trials in a file, pruned ones included."""
    optuna = _optuna()
    url = f"sqlite:///{Path(storage).resolve()}"
    studies = [optuna.load_study(study_name=name, storage=url) for name in optuna.get_all_study_names(url)]
    return sum(trial.state.name in ("COMPLETE", "PRUNED") for study in studies for trial in study.trials)


def demand_known(entry: Entry, space: Space) -> None:
    """Raise unless every name of the space is a setting of this network."""
    settings = {field.name for field in fields(entry.recipe.optimiser()) if field.init} | {"batch", "clip"}
    settings |= set(supported_settings(entry))
    settings |= {f"build.{argument}" for argument in signature(entry.build).parameters if argument != "seed"}
    for name in space:
        if name not in settings:
            raise KeyError(f"{entry.name} has no setting {name!r}; it has {', '.join(sorted(settings))}")


def _work(
    name: str | Entry,
    space: Space,
    trials: int | None,
    minutes: float | None,
    url: str,
    epochs: int | None,
    limit: int | None,
    seed: int,
    tell: Tell | None = None,
    announce: Callable[[float], None] | None = None,
) -> None:
    """Run trials in this process until the storage has enough of them, or the time is over."""
    optuna = _optuna()
    entry = zoo.entry(name)
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    study = optuna.load_study(
        study_name=entry.name, storage=url, pruner=optuna.pruners.MedianPruner(n_startup_trials=8)
    )
    before = study.trials
    if trials is not None and sum(trial.state in states for trial in before) >= trials:
        return
    study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + len(before))  # also if resumed
    callbacks: list[Any] = [] if trials is None else [optuna.study.MaxTrialsCallback(trials, states)]

    def heard(study: Any, trial: Any) -> None:
        if tell is not None and any(trial.state.name == "COMPLETE" for trial in study.trials):
            tell(found_in(study, url))

    study.optimize(
        lambda trial: _objective(trial, entry, space, epochs, limit, announce),
        callbacks=[heard, *callbacks],
        timeout=None if minutes is None else 60 * minutes,
    )


def _objective(
    trial: Any,
    entry: Entry,
    space: Space,
    epochs: int | None,
    limit: int | None,
    announce: Callable[[float], None] | None,
) -> float:
    """Train with the settings of one trial; returns the loss on the samples held back from training."""
    optuna = _optuna()
    chosen = {name: axis.suggest(trial, name) for name, axis in space.items()}
    entry = as_settings(chosen).applied(entry)
    for field in fields(Settings):
        chosen.pop(field.name, None)
    build = {name.removeprefix("build."): chosen.pop(name) for name in space if name.startswith("build.")}
    source, (x, y) = hold_back(entry.source(), limit)
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
            announce=announce,
        )
    except Diverged as error:
        raise optuna.TrialPruned from error
    return min(losses)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "a search needs Optuna; install it with `pip install fixedpoint_nn[search]`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # interrupted trials are not reported
    return optuna
