# SPDX-License-Identifier: MIT
"""A character LSTM that generates French given names."""

from __future__ import annotations

from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.training.batches import WordBatches
from fixedpoint_nn.training.optimisers import AdamW
from fixedpoint_nn.training.schedules import cosine
from fixedpoint_nn.zoo.characters import encoded_words, french_names, language, word_rows
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.writer import writer


def build(seed: int = 0, hidden: int = 128, dropout: float = 0.4) -> Sequential:
    """The untrained network: ids (n, time) -> logits (n, time, symbols)."""
    return writer(seed, len(french_names().vocabulary), 32, hidden, dropout=dropout)


ENTRY = Entry(
    name="names_lstm",
    summary="a character LSTM of 128 that writes French given names",
    build=build,
    source=lambda: WordBatches(encoded_words(french_names(), "train"), size=32),
    examples=lambda split: word_rows(french_names(), split),
    figures=language,
    recipe=TrainingRecipe(
        epochs=24, optimiser=lambda: AdamW(2e-3, decay=0.1), schedule=cosine(0.02), clip=1.0
    ),
    bar=Bar("loss", 2.133),  # a tenth below the counted bigram, 2.3705
    held_out="dev",
)
