# SPDX-License-Identifier: MIT
"""Data and metrics of the language models: words as padded rows of ids, a long text as windows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fixedpoint_nn import data
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.numerics.arrays import Array
from fixedpoint_nn.training.batches import padded
from fixedpoint_nn.training.losses import cross_entropy
from fixedpoint_nn.training.metrics import accuracy, outputs, perplexity
from fixedpoint_nn.zoo.entry import Examples, check_split

WINDOW = 128


@cache
def names() -> data.Words:
    """makemore's names."""
    return data.names()


@cache
def french_names() -> data.Words:
    """French given names."""
    return data.french_names()


@cache
def play() -> data.Text:
    """Tiny Shakespeare."""
    return data.text()


def encoded_words(words: data.Words, split: str) -> list[Array]:
    """The words of one split, each a one-dimensional array of ids."""
    check_split(split, "words are", ("train", "dev", "test"))
    return [words.vocabulary.encode(word) for word in getattr(words, split)]


def word_rows(words: data.Words, split: str) -> Examples:
    """x, y (words, characters): each padded word from its boundary on, and the next characters."""
    return padded(encoded_words(words, split))


def text_windows(text: data.Text, split: str) -> Examples:
    """x, y (windows, characters): consecutive windows without overlap, and the next characters."""
    check_split(split, "text is")
    ids: Array = getattr(text, split)
    whole = (len(ids) - 1) // WINDOW * WINDOW
    return ids[:whole].reshape(-1, WINDOW), ids[1 : whole + 1].reshape(-1, WINDOW)


def language(net: Any, x: Array, y: Array) -> dict[str, float]:
    """Negative log-likelihood per character (nats), perplexity and accuracy."""
    total = right = count = 0.0
    for start in range(0, len(x), 256):
        wanted = y[start : start + 256]
        logits = outputs(net, x[start : start + 256]).astype(np.float64)
        counted = float((wanted >= 0).sum())
        with no_gradient():
            total += counted * float(cross_entropy(Tensor(logits), wanted).data)
        right += counted * accuracy(logits, wanted)
        count += counted
    loss = total / count
    return {"loss": loss, "perplexity": perplexity(loss), "accuracy": right / count}
