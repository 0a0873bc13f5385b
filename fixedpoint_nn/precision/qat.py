# SPDX-License-Identifier: MIT
"""Quantisation-aware training: training of a float network with rounding in the forward pass.

The layers run over `Tensor` with a rounding at every cast point and parameter. Each forward pass rounds the float
master weights; the training method defines the gradients. Reported metrics are those of the fixed-point network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fixedpoint_nn.layers import Dropout
from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import parameters, rebuild, transform
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.precision.learning import LearningState
from fixedpoint_nn.precision.moments import correct_moments
from fixedpoint_nn.precision.observe import STRUCTURE
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.quantize import quantize, with_weights
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.history import History
from fixedpoint_nn.training.loop import fit
from fixedpoint_nn.training.losses import Loss, cross_entropy
from fixedpoint_nn.training.methods import Method, joined
from fixedpoint_nn.training.metrics import outputs
from fixedpoint_nn.training.schedules import Schedule, constant

Score = Callable[[Quantized], Mapping[str, float]]


def own_weights(net: Any, dtype: Any = None) -> Any:
    """The network with copies of its parameters, of `dtype` if given."""
    copies = {
        path: Tensor(np.array(value.data, dtype))
        for path, value in parameters(net, trained_only=False).items()
    }
    return rebuild(net, copies)


def without_dropout(layer: Any) -> Any:
    """The layer, with a Dropout's rate set to 0; for `tree.transform`."""
    return replace(layer, rate=0.0) if isinstance(layer, Dropout) else layer


@dataclass(frozen=True)
class Trained:
    """The result: float network with master weights, fixed-point network, learning curves, plan with learned steps."""

    net: Any
    fixed: Quantized
    history: History
    plan: Plan


def train_quantized(
    net: Any,
    plan: Plan,
    source: BatchSource,
    *,
    epochs: int,
    method: str | Method = "straight-through",
    score: Score | None = None,
    dropout: bool = False,
    loss: Loss = cross_entropy,
    teacher: Any = None,
    schedule: Schedule | None = None,
    **options: Any,
) -> Trained:
    """Train a copy of a float network for a plan; `options` are those of `training.fit`.

    `method` is a `Method`, or names joined by "+", such as "lsq+distillation" (see `training.methods`). Methods that
    learn steps change the plan: the result's `plan` has the same word lengths, and every step is a power of two.
    `teacher` is the network for distillation, by default `net` itself, or its outputs for each sample of `source`.
    `score` evaluates the fixed-point network after every epoch, so the last values are those of the result. Dropout is
    off unless asked for, because rounding is noise enough.
    """
    chosen = joined(method)
    folded = fold(net if dropout else transform(net, without_dropout))
    master = own_weights(with_weights(folded, plan))
    plan = replace(plan, weights={})
    first, _ = next(source.epoch(np.random.default_rng(options.get("seed", 0))))
    source = chosen.source(
        source,
        teacher if isinstance(teacher, np.ndarray) else partial(outputs, net if teacher is None else teacher),
    )
    course = LearningState.of(master, plan, chosen, first[:STRUCTURE])
    if chosen.corrects_moments:
        correct_moments(master, fold(net), course.plan, first)
    history, stages = History(), chosen.stages(epochs)
    for number, stage in enumerate(stages):
        network = course.network(stage.extra)

        part = fit(
            network,
            source,
            epochs=stage.epochs,
            loss=chosen.loss(loss),
            evaluate=None if score is None else partial(course.figures, score, network, stage.extra),
            schedule=network.settling(schedule or constant()),
            **_of_stage(options, number, len(stages)),
        )
        history = history.then(part)
        course = course.after(network, stage.extra)
    trained = network.settled()
    return Trained(trained, quantize(trained, course.plan), history, course.plan)


def _of_stage(options: Mapping[str, Any], number: int, count: int) -> dict[str, Any]:
    """The options of stage `number` of `count`: each stage has its own checkpoint and optimiser."""
    found = dict(options)
    if count > 1:
        if found.get("checkpoint"):
            found["checkpoint"] = f"{os.fspath(found['checkpoint'])}.{number + 1}"
        if found.get("optimiser"):
            found["optimiser"] = replace(found["optimiser"])
        found["title"] = f"{found.get('title', 'training')}, stage {number + 1} of {count}"
    return found
