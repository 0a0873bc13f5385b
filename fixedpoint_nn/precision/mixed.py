# SPDX-License-Identifier: MIT
"""Mixed precision: word lengths per place, as a Pareto front of loss against bit operations.

A greedy search descends from a uniform plan. In each step every place is tried with one bit less, and the change with
the least loss per saved cost is taken. The front is the best of all evaluated plans.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tqdm import tqdm

from fixedpoint_nn.layers.fields import CAST, PARAMETER
from fixedpoint_nn.network.json_shapes import JsonNumber, JsonObject
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.precision.content import digest
from fixedpoint_nn.precision.cost import Cost, cost
from fixedpoint_nn.precision.judge import judge
from fixedpoint_nn.precision.metric import Function, Metric
from fixedpoint_nn.precision.observe import Observations, observe
from fixedpoint_nn.precision.pareto import front, hypervolume
from fixedpoint_nn.precision.plan import INPUT, Plan
from fixedpoint_nn.precision.problem import Problem
from fixedpoint_nn.precision.quantize import quantize
from fixedpoint_nn.precision.recipe import Recipe
from fixedpoint_nn.precision.store import ResultStore

FEWEST_BITS = 2
MOST_HARM = 25.0  # lost points at which the descent ends
Words = Mapping[str, int]


@dataclass(frozen=True)
class EvaluatedPlan:
    """A plan with its word lengths, cost, metric, and loss against the float network."""

    words: Words
    plan: Plan
    cost: Cost
    metric: float
    loss: float

    @property
    def price(self) -> int:
        """The bit operations, which decrease with weight and activation widths."""
        return self.cost.bit_operations


@dataclass(frozen=True)
class Mixed:
    """The fronts of mixed and uniform plans on the same data, with their hypervolumes; `tried` plans were evaluated."""

    front: tuple[EvaluatedPlan, ...]
    uniform: tuple[EvaluatedPlan, ...]
    hypervolume: float
    uniform_hypervolume: float
    tried: int


class Search:
    """The evaluation of plans for one network, with a cache of results."""

    def __init__(
        self,
        net: Any,
        data: tuple[Array, Array],
        samples: Array | None = None,
        base: Recipe | None = None,
        metric: Metric | str | Function | None = None,
        store: ResultStore | None = None,
    ) -> None:
        x, y = data
        self.store = store  # evaluated plans
        self.problem = Problem.of(net, x, y, metric)
        self.seen: Observations = observe(net, x[:500] if samples is None else samples)
        self.base = base or Recipe()
        self._judged: dict[str, EvaluatedPlan] = {}

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The places with their own word length: the input, weight matrices, rounded activations."""
        plan, found = self.seen.plan(self.base), []
        if not self.seen.vocabulary:
            found.append(INPUT)
        for leaf in self.seen.leaves:
            if not isinstance(plan.get(leaf.path), Quantizer):
                continue
            is_matrix = leaf.kind == PARAMETER and self.seen.flow.is_matrix(leaf.path)
            is_value = leaf.kind == CAST and "output" not in self.seen.flow.uses(leaf.path)
            if is_matrix or is_value:
                found.append(leaf.path)
        return tuple(found)

    def uniform(self, word: int) -> EvaluatedPlan:
        """The candidate with the same word length everywhere."""
        return self.judged({}, replace(self.base, word=word))

    def judged(self, words: Words, recipe: Recipe | None = None) -> EvaluatedPlan:
        """The candidate with these word lengths, evaluated on the search data, once."""
        plan = self.seen.plan(recipe or self.base, words)
        key = plan.to_json()
        if key not in self._judged:
            metric = self._metric(plan, self.problem)
            loss = self.problem.metric.loss(metric, self.problem.float_score)
            self._judged[key] = EvaluatedPlan(dict(words), plan, cost(self.seen, plan), metric, loss)
        return self._judged[key]

    def _metric(self, plan: Plan, problem: Problem) -> float:
        key = digest("metric", problem.key(plan, trained=False))
        known = None if self.store is None else self.store.get(key, JsonObject({"metric": JsonNumber()}))
        if known is not None:
            return float(known["metric"])
        fixed = quantize(problem.net, plan)
        metric = judge(lambda x: fixed(x).to_float(), problem.x, problem.y, problem.metric).value
        if self.store is not None:
            self.store.put(key, {"metric": metric})
        return metric

    def on(self, candidate: EvaluatedPlan, problem: Problem) -> EvaluatedPlan:
        """The same plan evaluated on other data."""
        metric = self._metric(candidate.plan, problem)
        return replace(candidate, metric=metric, loss=problem.metric.loss(metric, problem.float_score))

    # ---- sensitivity ---------------------------------------------------------------------------------

    def sensitivity(self, words: Sequence[int] = (2, 3, 4, 6)) -> dict[str, dict[int, float]]:
        """By place and word length, the loss if only this place has that length."""
        exact = self.judged({}).loss
        return {
            place: {word: self.judged({place: word}).loss - exact for word in words} for place in self.places
        }

    # ---- the greedy descent --------------------------------------------------------------------------

    def walk(self, progress: bool = True) -> Iterator[EvaluatedPlan]:
        """The candidates of the greedy descent, one place and one bit at a time."""
        words = dict.fromkeys(self.places, self.base.word)
        now = self.judged(words)
        yield now
        bar = tqdm(desc="searching", unit="plan", disable=not progress, leave=False)
        while True:
            steps = [place for place in self.places if words[place] > FEWEST_BITS]
            tried = []
            for place in steps:
                tried.append((place, self.judged({**words, place: words[place] - 1})))
                yield tried[-1][1]
                bar.update()
            if not tried:
                break
            place, now = min(tried, key=lambda t: self._harm(t[1], now))
            words[place] -= 1
            bar.set_postfix(loss=f"{now.loss:.2f}", bits=now.price)
            if now.loss > MOST_HARM:
                break
        bar.close()

    @staticmethod
    def _harm(candidate: EvaluatedPlan, before: EvaluatedPlan) -> float:
        """The added loss per saved share of the cost; an improvement counts as a very small loss."""
        saved = (before.price - candidate.price) / before.price
        return float(max(candidate.loss, 0.02) / max(saved, 1e-9) ** 0.5)


def search(
    net: Any,
    data: tuple[Array, Array],
    report: tuple[Array, Array] | None = None,
    *,
    samples: Array | None = None,
    base: Recipe | None = None,
    metric: Metric | str | Function | None = None,
    store: str | os.PathLike[str] = ":memory:",
    progress: bool = True,
) -> Mixed:
    """The Pareto front of loss against bit operations, mixed and uniform.

    Plans are chosen on `data`, a pair (x, y), and reported on `report` (default: the same), to avoid selection bias.
    Each evaluated plan is stored in the SQLite file `store`, so an interrupted search continues where it stopped.
    """
    with ResultStore(store) as results:
        return _search(Search(net, data, samples, base, metric, results), report, progress)


def _search(searching: Search, report: tuple[Array, Array] | None, progress: bool) -> Mixed:
    """The fronts of uniform plans, and of all plans on the descent from the widest one."""
    net = searching.problem.net
    uniform = [searching.uniform(word) for word in range(FEWEST_BITS, searching.base.word + 1)]
    everything = [*uniform, *searching.walk(progress)]
    best = front(everything, lambda c: c.price, lambda c: c.loss)
    if report is not None:
        problem = Problem.of(net, *report, searching.problem.metric)
        best = [searching.on(candidate, problem) for candidate in best]
        uniform = [searching.on(candidate, problem) for candidate in uniform]
    most = float(max(candidate.price for candidate in uniform))

    def volume(candidates: Sequence[EvaluatedPlan]) -> float:
        return hypervolume([(c.price, c.loss) for c in candidates], 1.001 * most, MOST_HARM)

    best = front(best, lambda c: c.price, lambda c: c.loss)
    return Mixed(tuple(best), tuple(uniform), volume(best), volume(uniform), len(searching._judged))


def smallest_plan(
    net: Any,
    data: tuple[Array, Array],
    loss: float = 0.5,
    *,
    samples: Array | None = None,
    base: Recipe | None = None,
    metric: Metric | str | Function | None = None,
    store: str | os.PathLike[str] = ":memory:",
    progress: bool = True,
) -> EvaluatedPlan:
    """The plan of fewest bit operations that loses at most `loss` points, or percent (see `Metric.loss`).

    With the `store` of an earlier `search`, its plans are reused.
    """
    with ResultStore(store) as results:
        return _smallest(Search(net, data, samples, base, metric, results), loss, progress)


def _smallest(searching: Search, loss: float, progress: bool) -> EvaluatedPlan:
    """The cheapest of the tried plans that loses at most `loss`."""
    tried = [searching.uniform(word) for word in range(FEWEST_BITS, searching.base.word + 1)]
    for candidate in searching.walk(progress):
        tried.append(candidate)
        if candidate.loss > MOST_HARM / 5 + loss:
            break
    good = [candidate for candidate in tried if candidate.loss <= loss]
    if not good:
        best = min(tried, key=lambda c: c.loss)
        raise ValueError(
            f"no plan of up to {searching.base.word} bits loses at most {loss:g}; the best one loses "
            f"{best.loss:.2f}: start from a longer word, base=Recipe({searching.base.word + 4})"
        )
    return min(good, key=lambda c: (c.price, c.loss))
