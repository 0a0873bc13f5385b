# SPDX-License-Identifier: MIT
"""makemore's bigram model: as one trained layer, and by counting pairs, which is the exact solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fixedpoint_nn import data
from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.numbers.tensor.tensor import Tensor
from fixedpoint_nn.training.batches import WordBatches
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.characters import encoded_words, language, names, word_rows
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe


def build(seed: int = 0, symbols: int = 27) -> Sequential:
    """One-hot characters times one matrix: ids (...) -> logits (..., symbols) of the next character."""
    init = Initialiser(seed)
    return Sequential(one_hot=init.one_hot(symbols), table=init.dense(symbols, symbols, "random", bias=False))


def counted(words: data.Words | None = None, smoothing: float = 1.0) -> Sequential:
    """The same network by counting: its logits are the log of each pair's share among the training words."""
    if smoothing <= 0:
        raise ValueError(f"smoothing {smoothing} makes unseen pairs impossible; use more than 0")
    words = names() if words is None else words
    symbols = len(words.vocabulary)
    pairs = np.full((symbols, symbols), smoothing)
    for word in encoded_words(words, "train"):
        marked = np.concatenate([[0], word, [0]])
        np.add.at(pairs, (marked[:-1], marked[1:]), 1)
    logits = np.log(pairs / pairs.sum(1, keepdims=True)).astype(np.float32)
    net = build(symbols=symbols)
    return Sequential(one_hot=net["one_hot"], table=replace(net["table"], weight=Tensor(logits)))  # type: ignore[type-var]


ENTRY = Entry(
    name="bigram",
    summary="the next character from the one before, as one matrix",
    build=build,
    source=lambda: WordBatches(encoded_words(names(), "train"), size=512),
    examples=lambda split: word_rows(names(), split),
    figures=language,
    recipe=TrainingRecipe(epochs=30, optimiser=lambda: Adam(0.05), schedule=cosine()),
    bar=Bar("loss", 2.46),
    held_out="dev",
)
