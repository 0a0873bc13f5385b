# SPDX-License-Identifier: MIT
"""Optimisers: updates of parameters by their gradients, in place.

Each is batch, mini-batch or stochastic gradient descent, depending on the batch size.
In each formula g is the gradient, plus `l2` times the parameter if that is a matrix (biases are not regularised).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.numerics.subnormals import flush_negligible, flush_subnormals

Moments = dict[str, Array]
FLUSH_INTERVAL = 64  # steps; a weight needs thousands to decay from normal to subnormal


@dataclass
class Optimiser:
    """The base class: a subclass implements `_move`, the update of one parameter."""

    rate: float = 0.01
    l2: float = 0.0
    steps: int = field(default=0, init=False)
    state: dict[str, Moments] = field(default_factory=dict, init=False, repr=False)
    _scratch: dict[str, tuple[Array, Array]] = field(default_factory=dict, init=False, repr=False)
    moments: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.l2 < 0:
            raise ValueError(f"{self} cannot learn: the rate must be above 0 and l2 not below 0")

    def step(self, parameters: Mapping[str, Tensor], factor: float = 1.0) -> None:
        """Update every parameter that has a gradient, with `factor` times the rate, and clear the gradients."""
        self.steps += 1
        rate = self.rate * factor
        for path, parameter in parameters.items():
            if parameter.grad is None:
                continue
            if path not in self.state:
                self.state[path] = {name: np.zeros_like(parameter.data) for name in self.moments}
            if path not in self._scratch:
                self._scratch[path] = (np.empty_like(parameter.data), np.empty_like(parameter.data))
            w, g, (t, u) = parameter.data, parameter.grad, self._scratch[path]
            if self.l2 and w.ndim > 1:
                g = np.add(np.multiply(w, self.l2, out=u), g, out=u)
            self._move(w, g, self.state[path], t, rate)
            parameter.grad = None
            if self.steps % FLUSH_INTERVAL == 0:
                self._flush(w, self.state[path])

    @property
    def decays(self) -> bool:
        """Whether matrices decay even with a zero gradient."""
        return self.l2 > 0

    def _flush(self, w: Array, state: Moments) -> None:
        """Set subnormal weights and moments to zero, because they slow down products."""
        if self.decays and w.ndim > 1:
            flush_negligible(w)
        for moment in state.values():
            flush_subnormals(moment)

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        """Change `w` in place; `t` is scratch space of its shape, `g` must not change."""
        raise NotImplementedError

    def reset(self) -> None:
        """Clear the step count and all moments."""
        self.steps = 0
        self.state.clear()


@dataclass
class SGD(Optimiser):
    """w -= rate * g."""

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        w -= np.multiply(g, rate, out=t)


@dataclass
class Momentum(Optimiser):
    """v = momentum * v + g;  w -= rate * v."""

    momentum: float = 0.9
    moments: ClassVar[tuple[str, ...]] = ("velocity",)

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        v = state["velocity"]
        v *= self.momentum
        v += g
        w -= np.multiply(v, rate, out=t)


@dataclass
class Nesterov(Momentum):
    """v = momentum * v + g;  w -= rate * (g + momentum * v): the gradient at the look-ahead position."""

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        v = state["velocity"]
        v *= self.momentum
        v += g
        np.multiply(v, self.momentum, out=t)
        t += g
        t *= rate
        w -= t


@dataclass
class RMSProp(Optimiser):
    """s = decay * s + (1 - decay) * g²;  w -= rate * g / (sqrt(s) + eps)."""

    rate: float = 0.001
    decay: float = 0.99
    eps: float = 1e-8
    moments: ClassVar[tuple[str, ...]] = ("square",)

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        s = state["square"]
        np.multiply(g, g, out=t)
        t *= 1 - self.decay
        s *= self.decay
        s += t
        np.sqrt(s, out=t)
        t += self.eps
        np.divide(g, t, out=t)
        t *= rate
        w -= t


@dataclass
class Adam(Optimiser):
    """m = beta1 m + (1-beta1) g;  s = beta2 s + (1-beta2) g²;  w -= rate * m̂ / (sqrt(ŝ) + eps).

    m̂ = m / (1 - beta1**step) and ŝ = s / (1 - beta2**step) correct the bias of starting from zero.
    """

    rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    moments: ClassVar[tuple[str, ...]] = ("mean", "square")

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        """Change w in place by one step of Adam for the gradient g; t is scratch memory."""
        m, s = state["mean"], state["square"]
        m *= self.beta1
        m += np.multiply(g, 1 - self.beta1, out=t)
        s *= self.beta2
        np.multiply(g, g, out=t)
        t *= 1 - self.beta2
        s += t
        # sqrt(ŝ) + eps = (sqrt(s) + eps * unbiased) / unbiased, so the corrections are two scalars.
        unbiased = float(np.sqrt(1 - self.beta2**self.steps))
        np.sqrt(s, out=t)
        t += self.eps * unbiased
        np.divide(m, t, out=t)
        t *= rate * unbiased / (1 - self.beta1**self.steps)
        w -= t


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay: also w -= rate * decay * w, for matrices."""

    decay: float = 0.01

    @property
    def decays(self) -> bool:
        """Whether `decay` is not zero."""
        return self.decay > 0 or super().decays

    def _move(self, w: Array, g: Array, state: Moments, t: Array, rate: float) -> None:
        if w.ndim > 1:
            w *= 1 - rate * self.decay
        super()._move(w, g, state, t, rate)


OPTIMISERS: dict[str, type[Optimiser]] = {
    cls.__name__.lower(): cls for cls in (SGD, Momentum, Nesterov, RMSProp, Adam, AdamW)
}


def gradient_norm(parameters: Mapping[str, Tensor]) -> float:
    """The Euclidean norm of all gradients as one vector."""
    squares = 0.0
    for parameter in parameters.values():
        if parameter.grad is not None:
            flat = parameter.grad.reshape(-1)
            squares += float(flat @ flat)
    return float(np.sqrt(squares))


def clip_gradients(parameters: Mapping[str, Tensor], limit: float) -> float:
    """Scale all gradients down to the norm `limit` if theirs is larger; returns the norm before."""
    norm = gradient_norm(parameters)
    if norm > limit:
        for parameter in parameters.values():
            if parameter.grad is not None:
                parameter.grad = parameter.grad * np.asarray(limit / norm, parameter.grad.dtype)
    return norm
