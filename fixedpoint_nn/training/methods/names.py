# SPDX-License-Identifier: MIT
"""Training methods by name, and combinations of them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import BatchSource
from fixedpoint_nn.training.losses import Loss
from fixedpoint_nn.training.methods.binary import Binary, Ternary
from fixedpoint_nn.training.methods.clipping import LearnedClipping
from fixedpoint_nn.training.methods.distillation import Distillation
from fixedpoint_nn.training.methods.learned_steps import LearnedSteps
from fixedpoint_nn.training.methods.method import Method, Place, PlaceQuantizer, Stage, Teacher
from fixedpoint_nn.training.methods.moments import Moments
from fixedpoint_nn.training.methods.progressive import ProgressiveBits
from fixedpoint_nn.training.methods.stochastic import StochasticRounding
from fixedpoint_nn.training.methods.straight_through import StraightThrough

METHODS: dict[str, Method] = {
    "straight-through": StraightThrough(),
    "lsq": LearnedSteps(),
    "pact": LearnedClipping(),
    "lsq-fixed-input": LearnedSteps(input=False),
    "progressive": ProgressiveBits(),
    "moments": Moments(),
    "distillation": Distillation(),
    "stochastic": StochasticRounding(),
    "binary": Binary(),
    "ternary": Ternary(),
    "binary-activations": Binary(activations=True),
    "ternary-activations": Ternary(activations=True),
}


@dataclass(frozen=True)
class JoinedMethods(Method):
    """Several methods combined, applied in turn; a place has the format of the first method that changes it."""

    methods: tuple[Method, ...]

    def entry(self, place: Place) -> PlaceQuantizer:
        """The entry of the first method that changes it, else the plan's."""
        changed = [method.entry(place) for method in self.methods]
        return next((entry for entry in changed if entry != place.entry), place.entry)

    def rounder(self, place: Place, rounder: Any) -> Any:
        """The rounder, after every method has replaced or kept it in turn."""
        for method in self.methods:
            rounder = method.rounder(place, rounder)
        return rounder

    def source(self, source: BatchSource, teacher: Teacher | Array) -> BatchSource:
        """The source, after every method has wrapped or kept it in turn."""
        for method in self.methods:
            source = method.source(source, teacher)
        return source

    def loss(self, loss: Loss) -> Loss:
        """The loss, after every method has wrapped or kept it in turn."""
        for method in self.methods:
            loss = method.loss(loss)
        return loss

    def stages(self, epochs: int) -> tuple[Stage, ...]:
        """The stages of the method that has the most."""
        every = [method.stages(epochs) for method in self.methods]
        return max(every, key=len)

    @property
    def corrects_moments(self) -> bool:
        """Whether any of the methods does."""
        return any(method.corrects_moments for method in self.methods)


def joined(method: str | Method) -> Method:
    """The method of this name, or of several names joined by "+"."""
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise TypeError(f"a method is a name or a Method, not {method!r}; names are {', '.join(METHODS)}")
    names = [name.strip() for name in method.split("+")]
    for name in names:
        if name not in METHODS:
            near = get_close_matches(name, METHODS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(METHODS)}"
            raise ValueError(f"the training method {name!r} is not known; {hint}")
    order = sorted(names, key=lambda name: name == "stochastic")  # it changes the rounders of the others
    found = tuple(METHODS[name] for name in order)
    return found[0] if len(found) == 1 else JoinedMethods(found)
