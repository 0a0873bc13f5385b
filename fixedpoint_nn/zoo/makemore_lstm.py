# SPDX-License-Identifier: MIT
"""A character LSTM that generates names, trained on the 32,033 names of makemore."""

from __future__ import annotations

from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.training.batches import WordBatches
from fixedpoint_nn.training.optimisers import AdamW
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.characters import encoded_words, language, names, word_rows
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.writer import writer


def build(seed: int = 0, hidden: int = 128, dropout: float = 0.1) -> Sequential:
    """The untrained network: ids (n, time) -> logits (n, time, symbols)."""
    return writer(seed, 27, 32, hidden, dropout=dropout)


ENTRY = Entry(
    name="makemore_lstm",
    summary="a character LSTM of 128 that writes given names",
    build=build,
    source=lambda: WordBatches(encoded_words(names(), "train"), size=64),
    examples=lambda split: word_rows(names(), split),
    figures=language,
    recipe=TrainingRecipe(
        epochs=14, optimiser=lambda: AdamW(3e-3, decay=0.02), schedule=cosine(0.02), clip=1.0
    ),
    bar=Bar("loss", 2.02),
    held_out="dev",
)
