# SPDX-License-Identifier: MIT
"""Metrics of a network, float or quantised, computed block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fixedpoint_nn.network.on_arrays import as_input
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.losses import IGNORED, Loss, cross_entropy


def outputs(net: Any, x: Array, block: int = 512) -> Array:
    """The network's outputs for every sample of x, as floats: (n, ...)."""
    with no_gradient():
        blocks = (x[start : start + block] for start in range(0, len(x), block))
        parts = [net(rows if isinstance(net, Quantized) else as_input(rows)) for rows in blocks]
    return np.concatenate([part.to_float() for part in parts])


def loss_of(net: Any, x: Array, y: ArrayLike, loss: Loss = cross_entropy, block: int = 512) -> float:
    """The mean loss over all samples; for sequences, over all tokens that are not padding."""
    y = np.asarray(y)
    total = count = 0.0
    for start in range(0, len(x), block):
        part = y[start : start + block]
        counted = float((part != IGNORED).sum()) if loss is cross_entropy else float(len(part))
        predicted = outputs(net, x[start : start + block], block).astype(np.float64)
        with no_gradient():
            total += float(loss(Tensor(predicted), part).data) * counted
        count += counted
    return total / count


def perplexity(negative_log_likelihood: float) -> float:
    """exp(NLL): the number of equally likely tokens with the same uncertainty."""
    return float(np.exp(negative_log_likelihood))


def accuracy(logits: Array, labels: ArrayLike) -> float:
    """The share of labels that are the argmax of their logits (..., classes); padding (-1) does not count."""
    wanted = np.asarray(labels)
    if wanted.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels of shape {wanted.shape} do not fit logits of shape {logits.shape}; "
            f"give one label for each row, of shape {logits.shape[:-1]}"
        )
    counted = wanted != IGNORED
    return float((logits.argmax(-1) == wanted)[counted].mean())


def area_under_curve(scores: Array, positive: Array) -> float:
    """AUC: the probability that a positive sample scores higher than a negative one, ties counting half.

    NaN unless there are both.
    """
    wanted = np.asarray(positive, np.bool_).reshape(-1)
    ones, zeros = int(wanted.sum()), int((~wanted).sum())
    if not ones or not zeros:
        return float("nan")
    _, places, counts = np.unique(scores.reshape(-1), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # from 1 on; equal scores have their mean rank
    return float((ranks[places.reshape(-1)][wanted].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def roc_curve(scores: Array, positive: Array) -> tuple[Array, Array]:
    """(false positive rates, true positive rates) of the ROC curve, from the highest threshold to the lowest.

    `area_under_curve` is the area below it.
    """
    wanted = np.asarray(positive, np.bool_).reshape(-1)
    limits, places = np.unique(-scores.reshape(-1), return_inverse=True)
    counts = [np.bincount(places.reshape(-1)[chosen], minlength=len(limits)) for chosen in (~wanted, wanted)]
    false, true = (np.concatenate([[0], count.cumsum()]) / max(count.sum(), 1) for count in counts)
    return false, true


def confusion_matrix(predicted: ArrayLike, labels: ArrayLike, classes: int) -> Array:
    """Counts (classes, classes), indexed by [label, prediction]."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(labels, np.int64), np.asarray(predicted, np.int64)), 1)
    return matrix


def classification(net: Any, x: Array, y: ArrayLike, block: int = 512) -> dict[str, float]:
    """{"loss": ..., "accuracy": ...} in one pass over the samples."""
    logits = outputs(net, x, block).astype(np.float64)
    with no_gradient():
        loss = float(cross_entropy(Tensor(logits), y).data)
    return {"loss": loss, "accuracy": accuracy(logits, y)}
