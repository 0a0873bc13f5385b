# SPDX-License-Identifier: MIT
"""Figures of a network, float or quantised alike, computed block by block."""

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
    """What the network gives for every row of x, as floats."""
    with no_gradient():
        blocks = (x[start : start + block] for start in range(0, len(x), block))
        parts = [net(rows if isinstance(net, Quantized) else as_input(rows)) for rows in blocks]
    return np.concatenate([part.to_float() for part in parts])


def loss_of(net: Any, x: Array, y: ArrayLike, loss: Loss = cross_entropy, block: int = 512) -> float:
    """The loss over all rows; of sequences, over all counted characters."""
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
    """Between how many equally likely characters the model hesitates: exp(NLL)."""
    return float(np.exp(negative_log_likelihood))


def accuracy(logits: Array, labels: ArrayLike) -> float:
    """The share of rows whose largest logit is the label's; padding (-1) does not count."""
    wanted = np.asarray(labels)
    if wanted.shape != logits.shape[:-1]:
        raise ValueError(
            f"labels of shape {wanted.shape} do not fit logits of shape {logits.shape}; "
            f"give one label for each row, of shape {logits.shape[:-1]}"
        )
    counted = wanted != IGNORED
    return float((logits.argmax(-1) == wanted)[counted].mean())


def area_under_curve(scores: Array, positive: Array) -> float:
    """How often a positive place has a higher score than another one; an equal one counts half. NaN without both."""
    wanted = np.asarray(positive, np.bool_).reshape(-1)
    ones, zeros = int(wanted.sum()), int((~wanted).sum())
    if not ones or not zeros:
        return float("nan")
    _, places, counts = np.unique(scores.reshape(-1), return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # from 1 up; equal scores share their mean rank
    return float((ranks[places.reshape(-1)][wanted].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def roc_curve(scores: Array, positive: Array) -> tuple[Array, Array]:
    """(share of the others taken for positive, share of the positive that are found), for every limit of the score.

    From the highest limit, which takes nothing, to the lowest, which takes all; `area_under_curve` is the area below.
    """
    wanted = np.asarray(positive, np.bool_).reshape(-1)
    limits, places = np.unique(-scores.reshape(-1), return_inverse=True)
    counts = [np.bincount(places.reshape(-1)[chosen], minlength=len(limits)) for chosen in (~wanted, wanted)]
    false, true = (np.concatenate([[0], count.cumsum()]) / max(count.sum(), 1) for count in counts)
    return false, true


def confusion_matrix(predicted: ArrayLike, labels: ArrayLike, classes: int) -> Array:
    """(label, prediction) -> how often."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (np.asarray(labels, np.int64), np.asarray(predicted, np.int64)), 1)
    return matrix


def classification(net: Any, x: Array, y: ArrayLike, block: int = 512) -> dict[str, float]:
    """Loss and accuracy in one pass over the rows."""
    logits = outputs(net, x, block).astype(np.float64)
    with no_gradient():
        loss = float(cross_entropy(Tensor(logits), y).data)
    return {"loss": loss, "accuracy": accuracy(logits, y)}
