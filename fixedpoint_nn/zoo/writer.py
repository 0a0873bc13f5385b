# SPDX-License-Identifier: MIT
"""The common architecture of the language models: embedding, LSTM, logits of the next character."""

from __future__ import annotations

from fixedpoint_nn.layers import Dropout, Sequential
from fixedpoint_nn.network.initialise import Initialiser


def writer(
    seed: int, symbols: int, embedding: int, hidden: int, depth: int = 1, dropout: float = 0.0
) -> Sequential:
    """The untrained network: ids (batch, time) -> logits (batch, time, symbols)."""
    init = Initialiser(seed)
    return Sequential(
        embedding=init.embedding(symbols, embedding, 0.5),
        lstm=init.lstm(embedding, hidden, depth),
        drop=Dropout(dropout),
        head=init.dense(hidden, symbols, "xavier"),
    )
