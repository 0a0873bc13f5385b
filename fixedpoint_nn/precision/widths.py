# SPDX-License-Identifier: MIT
"""Widths learned by gradient descent, in one run that yields a front of loss against price.

The weight of the price grows with every batch, so the widths shrink; after every epoch the network is a candidate.
Training rounds exactly as the integers do, so each candidate can run on the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fixedpoint_nn.network.folding import fold
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.network.tree import transform, walk
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.precision.judge import judge
from fixedpoint_nn.precision.learning import Learning, LearningState
from fixedpoint_nn.precision.metric import Function, Metric
from fixedpoint_nn.precision.observe import observe
from fixedpoint_nn.precision.pareto import front, hypervolume
from fixedpoint_nn.precision.plan import Plan
from fixedpoint_nn.precision.price import BIT_OPERATIONS, Price, price_of
from fixedpoint_nn.precision.problem import Problem
from fixedpoint_nn.precision.qat import own_weights, without_dropout
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.loop import fit
from fixedpoint_nn.training.losses import Loss, cross_entropy
from fixedpoint_nn.training.methods.widths import LearnedWidths
from fixedpoint_nn.training.optimisers import Adam, Optimiser
from fixedpoint_nn.training.schedules import Schedule, constant, cosine

RATE = 1e-3
PRESSURE = (
    0.03,
    3.0,
)  # the weight of the price at the start and at the end, relative to the starting plan's price


@dataclass(frozen=True)
class LearnedNetwork:
    """A network of learned widths: float weights, plan, price, metric, and loss against the float network."""

    net: Any = field(repr=False)
    plan: Plan = field(repr=False)
    price: float
    metric: float
    loss: float
    steps: Mapping[str, Array] = field(repr=False, compare=False)

    @property
    def fixed(self) -> Quantized:
        """The fixed-point network."""
        return quantize(self.net, self.plan)


@dataclass(frozen=True)
class LearnedFront:
    """The Pareto-optimal candidates, cheapest first, and all candidates."""

    front: tuple[LearnedNetwork, ...]
    tried: tuple[LearnedNetwork, ...]
    start_price: float

    def hypervolume(self, most_price: float, most_loss: float) -> float:
        """The share of the box up to (most_price, most_loss) that the front dominates."""
        return hypervolume([(c.price, c.loss) for c in self.front], most_price, most_loss)


def learn_widths(
    net: Any,
    data: tuple[Array, Array],
    source: BatchSource,
    *,
    epochs: int,
    samples: Array | None = None,
    word: int = 8,
    per: str = "channel",
    price: str = BIT_OPERATIONS,
    pressure: tuple[float, float] = PRESSURE,
    finish: int = 0,
    report: tuple[Array, Array] | None = None,
    metric: Metric | str | Function | None = None,
    loss: Loss = cross_entropy,
    dropout: bool = False,
    optimiser: Optimiser | None = None,
    schedule: Schedule | None = None,
    **options: Any,
) -> LearnedFront:
    """Train a copy of a float network while its widths shrink from `word`; `options` are those of `training.fit`.

    Widths are learned `per` "layer" or "channel", with the price "bit_operations" (each multiplication counts the
    product of its operands' widths) or "memory" (bits of the weights). Candidates are evaluated on `data`, a pair (x,
    y), and the front is chosen there; each candidate of it is trained for `finish` more epochs with its widths frozen,
    at a falling rate, and evaluated on `report` (default: `data`).
    """
    first, last = pressure
    if not 0 < first <= last:
        raise ValueError(f"pressure {pressure} is two numbers above 0, of which the second is not smaller")
    master = own_weights(fold(net if dropout else transform(net, without_dropout)))
    seen = observe(master, data[0][:500] if samples is None else samples)
    plan = seen.plan(Recipe(word, per_channel=per == "channel"))
    course = LearningState(master, plan, LearnedWidths(per), seen, frozenset())
    network = course.network(0)
    paid = Price.of(seen, plan, network, price)
    problem, start = Problem.of(net, *data, metric), price_of(seen, plan, price)
    tried: list[LearnedNetwork] = []
    weight = [first / start]
    given = schedule or constant()

    def rising(passed: float) -> float:
        weight[0] = first * (last / first) ** passed / start
        return given(passed)

    def paying(outputs: Tensor, targets: Array) -> Tensor:
        return loss(outputs, targets) + paid.tensor(weight[0], outputs.data.dtype)

    def judged(_: Any) -> Mapping[str, float]:
        trained = own_weights(network.settled())
        now = LearnedNetwork(trained, course.learned(network, 0), paid.now(), 0.0, 0.0, _steps(network))
        tried.append(on(now, problem))
        return {"price": tried[-1].price, problem.metric.name: tried[-1].metric}

    fit(
        network,
        source,
        epochs=epochs,
        loss=paying,
        evaluate=judged,
        optimiser=optimiser or Adam(RATE),
        schedule=rising,
        **options,
    )
    best: Sequence[LearnedNetwork] = front(tried, lambda c: c.price, lambda c: c.loss)
    judge_on = problem if report is None else Problem.of(net, *report, problem.metric)
    if finish:
        rate = optimiser.rate if optimiser else RATE
        best = [_finished(c, course, source, finish, loss, Adam(rate), options) for c in best]
    if finish or report is not None:
        best = front([on(c, judge_on) for c in best], lambda c: c.price, lambda c: c.loss)
    return LearnedFront(tuple(best), tuple(tried), start)


def on(candidate: LearnedNetwork, problem: Problem) -> LearnedNetwork:
    """The candidate, evaluated on these data."""
    fixed = candidate.fixed
    metric = judge(lambda x: fixed(x).to_float(), problem.x, problem.y, problem.metric).value
    return replace(candidate, metric=metric, loss=problem.metric.loss(metric, problem.float_score))


def _steps(network: Learning) -> dict[str, Array]:
    """The steps and limits of every place, by the names of their parameters."""
    return {
        f"{path}.{leaf.path}": leaf.value.data.copy()
        for path, rounder in network.rounders().items()
        for leaf in walk(rounder)
        if leaf.value is not None
    }


def _finished(
    candidate: LearnedNetwork,
    course: LearningState,
    source: BatchSource,
    epochs: int,
    loss: Loss,
    optimiser: Optimiser,
    options: Mapping[str, Any],
) -> LearnedNetwork:
    """The candidate after more training with frozen steps and limits."""
    course = replace(course, master=own_weights(candidate.net))
    network = course.network(0)
    for path, rounder in network.rounders().items():
        for leaf in walk(rounder):
            if leaf.value is not None:
                leaf.value.data[...] = candidate.steps[f"{path}.{leaf.path}"]
    still = [leaf.value for rounder in network.rounders().values() for leaf in walk(rounder)]

    def falling(passed: float) -> float:
        for tensor in still:
            tensor.needs_gradient, tensor.grad = False, None
        return cosine()(passed)

    fit(network, source, epochs=epochs, loss=loss, optimiser=optimiser, schedule=falling, **options)
    return replace(candidate, net=own_weights(network.settled()), plan=course.learned(network, 0))
