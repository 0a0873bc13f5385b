# SPDX-License-Identifier: MIT
"""`fit`: the training loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from fixedpoint_nn.network import tree
from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.numbers.reused_memory import reused_memory
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import Batch, BatchSource
from fixedpoint_nn.training.checkpoint import Checkpoint, StartedEpoch
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.losses import Loss, cross_entropy
from fixedpoint_nn.training.optimisers import Adam, Optimiser, clip_gradients
from fixedpoint_nn.training.schedules import Schedule, constant

ENOUGH_SECONDS = 0.5  # of batches, for an estimate

Evaluate = Callable[[Any], Mapping[str, float]]


class Diverged(FloatingPointError):
    """Raised when the loss is NaN or infinite."""


@reused_memory()
def fit(
    net: Any,
    source: BatchSource,
    *,
    epochs: int,
    loss: Loss = cross_entropy,
    optimiser: Optimiser | None = None,
    schedule: Schedule | None = None,
    clip: float | None = None,
    evaluate: Evaluate | None = None,
    watch: str = "loss",
    patience: int | None = None,
    keep_best: bool = False,
    seed: int = 0,
    threads: int | None = 1,
    checkpoint: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
    announce: Callable[[float], None] | None = None,
    title: str = "training",
) -> History:
    """Train the parameters of `net` in place; on one machine, a seed gives the same weights, bit for bit.

    `evaluate(net)` returns the metrics of an epoch by name; `watch` names the one that early stopping (after
    `patience` epochs without improvement) and `keep_best` use: smaller is better, except for "accuracy". BLAS uses
    `threads` threads, None for its own default; their number changes how sums round. With `checkpoint` an interrupted
    training resumes to the same result, from the last epoch or from about a minute before within a long one;
    `settings` are stored in it, and a checkpoint with other settings raises. `announce` is called once, after the
    first batches, with the estimated seconds of the whole training. Raises `Diverged` when the loss is not finite.
    """
    optimiser = optimiser or Adam()
    schedule = schedule or constant()
    moving = tree.parameters(net)
    everything = tree.parameters(net, trained_only=False)
    for path, parameter in everything.items():
        parameter.needs_gradient = path in moving
    keep_best = keep_best or patience is not None
    history, best = History(), Best(watch)
    saved = Checkpoint(Path(checkpoint), everything, optimiser, settings or {}) if checkpoint else None
    start = saved.resume(history, best.weights, seed) if saved else 0
    if start and keep_best:
        best.resume(history)
    done = saved.started.batches if saved and saved.started else 0
    forecast = Forecast((epochs - start) * len(source) - done, announce)
    for epoch in range(start, 0 if history.stopped_early else epochs):
        rng = np.random.default_rng([seed, epoch])
        label = f"{title} {epoch + 1}/{epochs}"
        batches, total, count = source.epoch(rng), 0.0, 0
        if saved and saved.started:
            total, count = go_on(batches, rng, saved.started)
            saved.started = None
        bar = tqdm(total=len(source), desc=label, disable=not progress, leave=False, initial=count)
        with threadpool_limits(threads, "blas"), bar:
            active = tree.training_mode(net, rng)
            for x, y in batches:
                value = loss(active(as_input(x)), y)
                total, count = total + float(value.data), count + 1
                if not isfinite(total):
                    raise Diverged(f"the loss is {value.data} in {label}; lower the rate or clip gradients")
                value.backward()
                if clip is not None:
                    clip_gradients(moving, clip)
                optimiser.step(moving, schedule((epoch + (count - 1) / len(source)) / epochs))
                del value  # its tape, whose memory the next batch needs
                bar.update()
                forecast.after_batch()
                if count % 16 == 0:
                    bar.set_postfix(loss=f"{total / count:.4f}", refresh=False)
                if saved and saved.is_due():
                    here = StartedEpoch(count, total, rng.bit_generator.state)
                    saved.save(history, best.weights, seed, here)
        with threadpool_limits(threads, "blas"):
            figures = {"train_loss": total / count, **(evaluate(net) if evaluate else {})}
        history.add(figures)
        if progress:
            tqdm.write(f"{label}: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items()))
        if keep_best and best.offer(figures, epoch, everything):
            history.best_epoch = epoch
        history.stopped_early = patience is not None and epoch - best.epoch >= patience
        if saved:
            saved.save(history, best.weights, seed)
        if history.stopped_early:
            break
    if keep_best and best.weights:
        restore(everything, best.weights)
    return history


def go_on(batches: Iterator[Batch], rng: np.random.Generator, started: StartedEpoch) -> tuple[float, int]:
    """Skip the batches of an epoch that were done; returns (sum of their losses, their number)."""
    for _ in range(started.batches):
        next(batches)
    rng.bit_generator.state = dict(started.rng)
    return started.total, started.batches


class Forecast:
    """Calls `announce` once with the estimated seconds of all batches, measured on the first ones."""

    def __init__(self, batches: int, announce: Callable[[float], None] | None) -> None:
        self.batches, self.announce = batches, announce
        self.done, self.start = 0, 0.0

    def after_batch(self) -> None:
        """Count a batch; the first one is not timed, because it fills caches."""
        if self.announce is None:
            return
        self.done += 1
        if self.done == 1:
            self.start = time.perf_counter()
            return
        passed = time.perf_counter() - self.start
        if passed >= ENOUGH_SECONDS:
            self.announce(passed / (self.done - 1) * self.batches)
            self.announce = None


def restore(parameters: Mapping[str, Tensor], weights: Mapping[str, Array]) -> None:
    """Copy saved weights into the parameters, in place."""
    for path, values in weights.items():
        parameters[path].data[...] = values


class Best:
    """The best epoch so far, and a copy of its weights."""

    def __init__(self, watch: str) -> None:
        self.watch, self.sign = watch, -1.0 if watch.endswith("accuracy") else 1.0
        self.value, self.epoch = np.inf, 0
        self.weights: dict[str, Array] = {}

    def offer(self, figures: Mapping[str, float], epoch: int, parameters: Mapping[str, Tensor]) -> bool:
        """Copy these parameters if they are the best so far; returns whether they are."""
        name = self.watch if self.watch in figures else "train_loss"
        if self.watch not in figures and self.watch != "loss":
            raise KeyError(f"watch={self.watch!r} is not among the figures {', '.join(figures)}")
        value = self.sign * figures[name]
        if value >= self.value:
            return False
        self.value, self.epoch = value, epoch
        self.weights.update({path: parameter.data.copy() for path, parameter in parameters.items()})
        return True

    def resume(self, history: History) -> None:
        """Restore the best value and epoch from the history of an interrupted training."""
        figures = history.best()
        self.epoch = history.best_epoch or 0
        self.value = self.sign * figures[self.watch if self.watch in figures else "train_loss"]
