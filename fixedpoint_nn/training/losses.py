# SPDX-License-Identifier: MIT
"""Losses: a scalar Tensor, the mean over the batch; each is one operation on the tape with its own gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.numbers.tensor.tensor import Tensor, record
from fixedpoint_nn.numerics.arrays import Array

Loss = Callable[[Tensor, Array], Tensor]

IGNORED = -1


def cross_entropy(logits: Tensor | Array, labels: ArrayLike) -> Tensor:
    """-log softmax(logits)[label], averaged; a label of -1 (padding) does not count.

    logits (..., classes), labels (...). Its gradient is (softmax - one_hot) / count.
    """
    logits = on_tape(logits)
    classes = logits.shape[-1]
    wanted = np.asarray(labels).reshape(-1)
    z = logits.data.reshape(-1, classes)
    if len(wanted) != len(z):
        raise ValueError(f"{len(wanted)} labels for {len(z)} rows of logits; each row needs one")
    if wanted.size and not (wanted.min() >= IGNORED and wanted.max() < classes):
        raise ValueError(f"labels run from {wanted.min()} to {wanted.max()}, but there are {classes} classes")
    counted = wanted != IGNORED
    everything = bool(counted.all())
    rows = np.arange(len(z))
    count = len(z) if everything else max(int(counted.sum()), 1)
    probability = z - z.max(-1, keepdims=True)
    right = probability[rows, wanted]
    np.exp(probability, out=probability)
    total = probability.sum(-1, keepdims=True)
    each = np.log(total[:, 0]) - right
    value = (each if everything else each[counted]).sum(dtype=np.float64) / count

    def backward(g: Array) -> None:
        gradient = probability / total
        gradient[rows, wanted] -= 1
        gradient *= g / count
        if not everything:
            gradient[~counted] = 0
        logits.add_gradient(gradient.reshape(logits.shape))

    return record(np.asarray(value, logits.data.dtype), "cross_entropy", (logits,), backward)


def binary_cross_entropy(logits: Tensor | Array, labels: ArrayLike) -> Tensor:
    """-log sigmoid(logit) for the label 1, -log(1 - sigmoid(logit)) for 0, averaged."""
    logits = on_tape(logits)
    y = _like(logits, labels)
    z = logits.data
    each = np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))

    def backward(g: Array) -> None:
        logits.add_gradient((0.5 + 0.5 * np.tanh(0.5 * z) - y) * (g / z.size))

    return record(np.asarray(each.mean()), "binary_cross_entropy", (logits,), backward)


def mean_squared_error(outputs: Tensor | Array, targets: ArrayLike) -> Tensor:
    """(output - target)², averaged over all elements."""
    outputs = on_tape(outputs)
    difference = outputs.data - _like(outputs, targets)

    def backward(g: Array) -> None:
        outputs.add_gradient(difference * (g * 2 / difference.size))

    return record(np.asarray((difference**2).mean()), "mean_squared_error", (outputs,), backward)


def hinge(scores: Tensor | Array, labels: ArrayLike) -> Tensor:
    """max(0, 1 - score * label) for labels -1 and 1, averaged."""
    scores = on_tape(scores)
    y = _like(scores, labels)
    if not np.isin(y, (-1, 1)).all():
        raise ValueError("the hinge loss needs labels of -1 or 1; for labels 0 and 1 pass 2 * labels - 1")
    margin = 1 - scores.data * y

    def backward(g: Array) -> None:
        scores.add_gradient(np.where(margin > 0, -y, 0).astype(y.dtype) * (g / y.size))

    return record(np.asarray(np.maximum(margin, 0).mean()), "hinge", (scores,), backward)


def on_tape(outputs: Tensor | Array) -> Tensor:
    """The outputs as a Tensor; an array becomes one without a gradient, to be evaluated only."""
    return (
        outputs if isinstance(outputs, Tensor) else record(outputs, "array", (Tensor(outputs),), _no_way_back)
    )


def _no_way_back(gradient: Array) -> None:
    raise TypeError(
        "this loss was computed from an array, so no parameter gets a gradient; call the network with Tensor(x)"
    )


def _like(outputs: Tensor, targets: ArrayLike) -> Array:
    values = np.asarray(targets, outputs.data.dtype)
    if values.size != outputs.data.size:
        raise ValueError(f"targets of shape {values.shape} do not fit outputs of shape {outputs.shape}")
    return values.reshape(outputs.shape)


LOSSES: dict[str, Loss] = {
    loss.__name__: loss for loss in (cross_entropy, binary_cross_entropy, mean_squared_error, hinge)
}
