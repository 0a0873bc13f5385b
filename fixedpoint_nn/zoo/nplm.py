# SPDX-License-Identifier: MIT
"""A neural probabilistic language model: Bengio, Ducharme, Vincent and Jauvin, 2003."""

from __future__ import annotations

from functools import cache

from fixedpoint_nn import data
from fixedpoint_nn.layers import Flatten, Sequential, Tanh
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.training.batches import Samples
from fixedpoint_nn.training.optimisers import AdamW
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.characters import language, names
from fixedpoint_nn.zoo.entry import Bar, Entry, Examples, TrainingRecipe

CONTEXT = 3


def build(seed: int = 0, embedding: int = 16, hidden: int = 256) -> Sequential:
    """The untrained network: ids (n, 3) -> logits (n, symbols) of the next character."""
    init = Initialiser(seed)
    return Sequential(
        embedding=init.embedding(27, embedding),
        flatten=Flatten(),
        hidden=init.dense(CONTEXT * embedding, hidden, "xavier"),
        tanh=Tanh(),
        head=init.dense(hidden, 27, "xavier"),
    )


@cache
def examples(split: str) -> Examples:
    """x (n, 3): three ids, and y (n,): the id that follows."""
    words = names()
    found = data.contexts(getattr(words, split), CONTEXT, words.vocabulary)
    return found.x, found.y


ENTRY = Entry(
    name="nplm",
    summary="three characters of context, embedding, tanh, softmax",
    build=build,
    source=lambda: Samples(*examples("train"), size=256),
    examples=examples,
    figures=language,
    recipe=TrainingRecipe(epochs=20, optimiser=lambda: AdamW(2e-3, decay=0.05), schedule=cosine()),
    bar=Bar("loss", 2.15),
    held_out="dev",
)
