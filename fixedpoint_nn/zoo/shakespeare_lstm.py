# SPDX-License-Identifier: MIT
"""A two-layer character LSTM, trained on Shakespeare."""

from __future__ import annotations

from fixedpoint_nn.layers import Sequential
from fixedpoint_nn.training.batches import TextWindows
from fixedpoint_nn.training.optimisers import Adam
from fixedpoint_nn.training.schedules import cosine, warmup
from fixedpoint_nn.zoo.characters import language, play, text_windows
from fixedpoint_nn.zoo.entry import Bar, Entry, TrainingRecipe
from fixedpoint_nn.zoo.writer import writer


def build(seed: int = 0, hidden: int = 128, dropout: float = 0.0) -> Sequential:
    """The untrained network: ids (n, time) -> logits (n, time, symbols)."""
    return writer(seed, 65, 32, hidden, depth=2, dropout=dropout)


ENTRY = Entry(
    name="shakespeare_lstm",
    summary="a character LSTM of 2 x 128 that writes like Shakespeare",
    build=build,
    source=lambda: TextWindows(play().train, length=64, size=64, steps=250),
    examples=lambda split: text_windows(play(), split),
    figures=language,
    recipe=TrainingRecipe(
        epochs=16, optimiser=lambda: Adam(4e-3), schedule=warmup(0.02, cosine(0.02)), clip=5.0
    ),
    bar=Bar("loss", 1.60),
)
