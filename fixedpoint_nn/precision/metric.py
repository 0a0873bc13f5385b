# SPDX-License-Identifier: MIT
"""How good a network is: a score for every prediction, their mean, and how sure that mean is."""

from __future__ import annotations

from enum import Enum

import numpy as np

from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.losses import IGNORED

RESAMPLES = 1000


class Metric(Enum):
    """The mean of what?"""

    ACCURACY = "accuracy"  # 1 where the largest logit is the label's
    NLL = "nll"  # nats per label

    @classmethod
    def for_labels(cls, y: Array) -> Metric:
        """Sequences of labels are text, judged by their likelihood."""
        return cls.NLL if y.ndim > 1 and y.shape[-1] > 1 else cls.ACCURACY

    @property
    def more_is_better(self) -> bool:
        return self is Metric.ACCURACY

    def loss(self, value: float, reference: float) -> float:
        """How much worse than the reference: in points (percent), or in percent of the reference."""
        return 100 * (reference - value) if self.more_is_better else 100 * (value / reference - 1)

    def scores(self, logits: Array, y: Array) -> Array:
        """One score for each label that counts."""
        if logits.shape[-1] == 1:
            return np.asarray(predictions(logits) == (y.reshape(logits.shape[:-1]) > 0))
        counted = y != IGNORED
        if self is Metric.ACCURACY:
            return np.asarray((predictions(logits) == y)[counted])
        logits, labels = logits[counted].astype(np.float64), y[counted].astype(np.int64)
        logits -= logits.max(-1, keepdims=True)
        chosen = np.take_along_axis(logits, labels[..., np.newaxis], -1)[..., 0]
        return np.asarray(np.log(np.exp(logits).sum(-1)) - chosen)


def predictions(logits: Array) -> Array:
    """The largest logit's place; the sign, where there is only one logit."""
    if logits.shape[-1] == 1:
        return np.asarray(logits[..., 0] > 0).astype(np.int16)
    places: Array = logits.argmax(-1).astype(np.int16)
    return places


def interval(scores: Array, seed: int = 0) -> tuple[float, float]:
    """The bootstrap's 95 % interval of the mean: scores are drawn again, with replacement, many times."""
    rng = np.random.default_rng(seed)
    count = len(scores)
    if scores.dtype == bool:
        # How many ones n draws with replacement give is binomial: the same distribution without drawing.
        means = rng.binomial(count, scores.mean(), RESAMPLES) / count
    else:
        means = np.array([scores[rng.integers(0, count, count)].mean() for _ in range(RESAMPLES // 4)])
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
