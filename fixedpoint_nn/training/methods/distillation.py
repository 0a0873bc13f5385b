# SPDX-License-Identifier: MIT
"""Distillation: the quantised network learns from the outputs of the float network as well as from the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import BatchSource, Samples
from fixedpoint_nn.training.losses import Loss
from fixedpoint_nn.training.methods.method import Method, Teacher


@dataclass(frozen=True)
class Taught:
    """The targets of a batch: labels (n, ...) and the teacher's logits (n, ..., classes)."""

    labels: Array
    logits: Array


@dataclass(frozen=True)
class TaughtSource:
    """A source whose targets are `Taught`: the teacher is evaluated on each batch."""

    given: BatchSource
    teacher: Teacher

    def __len__(self) -> int:
        return len(self.given)

    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        """The batches of one epoch."""
        for x, y in self.given.epoch(rng):
            yield x, Taught(y, self.teacher(x))


@dataclass(frozen=True)
class RememberedSource:
    """A source whose targets are `Taught`, with stored logits of each sample before augmentation."""

    given: Samples
    logits: Array

    def __len__(self) -> int:
        return len(self.given)

    def epoch(self, rng: np.random.Generator) -> Iterator[Any]:
        """The batches of one epoch."""
        numbered = replace(self.given, y=np.arange(len(self.given.x)))
        for x, rows in numbered.epoch(rng):
            yield x, Taught(self.given.y[rows], self.logits[rows])


def softened(logits: Array, temperature: float) -> Array:
    """softmax(logits / temperature)."""
    z = logits / logits.dtype.type(temperature)
    z = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(z / z.sum(-1, keepdims=True))


def imitation(logits: Tensor, wanted: Array, counted: Array, temperature: float) -> Tensor:
    """temperature**2 times the cross entropy between both softened outputs, averaged over the rows in `counted`.

    Its gradient is temperature * (softmax(logits / temperature) - softmax(wanted / temperature)) / count.
    """
    p, q = softened(wanted, temperature), softened(logits.data, temperature)
    count = max(int(counted.sum()), 1)
    each = -(p * np.log(np.maximum(q, 1e-12))).sum(-1)
    value = temperature**2 * float(each[counted].sum(dtype=np.float64)) / count

    def backward(g: Array) -> None:
        gradient = (q - p) * (g * temperature / count)
        gradient[~counted] = 0
        logits.add_gradient(gradient.astype(logits.data.dtype))

    return record(np.asarray(value, logits.data.dtype), "imitation", (logits,), backward)


@dataclass(frozen=True)
class Distillation(Method):
    """loss = (1 - share) * loss of the labels + share * imitation (Hinton, Vinyals and Dean, 2015)."""

    share: float = 0.7
    temperature: float = 2.0

    def source(self, source: BatchSource, teacher: Teacher | Array) -> BatchSource:
        """The source with the teacher's logits added to the targets."""
        if callable(teacher):
            return TaughtSource(source, teacher)
        if not isinstance(source, Samples) or len(teacher) != len(source.x):
            raise ValueError(
                f"{len(teacher)} outputs of a teacher do not fit this source; give one for each row of Samples, "
                "or the teacher itself"
            )
        return RememberedSource(source, teacher)

    def loss(self, loss: Loss) -> Loss:
        """The weighted sum of the labels' loss and the imitation loss."""

        def mixed(outputs: Tensor, targets: Any) -> Tensor:
            labels = np.asarray(targets.labels)
            if labels.shape != outputs.shape[:-1]:
                raise ValueError(
                    f"distillation needs labels that are classes, and those of shape {labels.shape} are none for "
                    f"outputs of shape {outputs.shape}; leave 'distillation' out"
                )
            copied = imitation(outputs, targets.logits, labels >= 0, self.temperature)
            return loss(outputs, labels) * (1 - self.share) + copied * self.share

        return mixed
