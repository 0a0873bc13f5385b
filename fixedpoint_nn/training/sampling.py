# SPDX-License-Identifier: MIT
"""Text generation with a recurrent network: one token at a time, with the states carried along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.tensor.tape import no_gradient
from fixedpoint_nn.numerics.arrays import Array


def choose(
    logits: Array, rng: np.random.Generator, temperature: float = 1.0, top_k: int | None = None
) -> Array:
    """Sample one id per row of logits (rows, symbols) from softmax(logits / temperature); temperature 0 is argmax.

    With `top_k` only the largest logits are candidates.
    """
    if temperature < 0 or (top_k is not None and top_k < 1):
        raise ValueError(f"temperature is 0 or more and top_k 1 or more, not {temperature} and {top_k}")
    if temperature == 0 or top_k == 1:
        return np.asarray(logits.argmax(-1))
    scaled = logits.astype(np.float64) / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        smallest = np.partition(scaled, -top_k, axis=-1)[:, -top_k, None]
        scaled = np.where(scaled >= smallest, scaled, -np.inf)
    # The Gumbel trick: argmax(logits / temperature + Gumbel noise) is a sample of the softmax.
    return np.asarray((scaled + rng.gumbel(size=scaled.shape)).argmax(-1))


def continue_text(
    net: Any,
    prompt: Array,
    length: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> Array:
    """`length` more ids after each row of `prompt` (rows, tokens): (rows, length); `net` is float or quantised."""
    layers: Any = net.net if isinstance(net, Quantized) else net
    states: tuple[Any, ...] = ()
    ids, written = np.asarray(prompt, np.int64), []
    with no_gradient():
        for _ in range(length):
            sequence, states = layers["lstm"].run(layers["embedding"](ids), *states)
            logits = layers["head"](sequence).to_float()[:, -1]
            ids = choose(logits, rng, temperature, top_k)[:, None]
            written.append(ids[:, 0])
    return np.stack(written, axis=1)


def write_text(
    net: Any,
    symbols: Sequence[str],
    prompt: str = "\n",
    length: int = 400,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> str:
    """`length` characters of text that continue the prompt (which is not repeated)."""
    unknown = sorted(set(prompt) - set(symbols))
    if unknown or not prompt:
        raise ValueError(f"a prompt is one or more of the known characters; it has {unknown or 'none'}")
    place = {symbol: index for index, symbol in enumerate(symbols)}
    ids = np.array([[place[character] for character in prompt]])
    rng = np.random.default_rng(seed)
    return "".join(symbols[i] for i in continue_text(net, ids, length, rng, temperature, top_k)[0])


def write_words(
    net: Any,
    symbols: Sequence[str],
    count: int = 10,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    longest: int = 30,
) -> list[str]:
    """`count` words, each generated from the boundary (id 0) to the next boundary."""
    start = np.zeros((count, 1), np.int64)
    rows = continue_text(net, start, longest, np.random.default_rng(seed), temperature, top_k)
    ends = [int((row == 0).argmax()) if (row == 0).any() else longest for row in rows]
    return ["".join(symbols[i] for i in row[:end]) for row, end in zip(rows, ends, strict=True)]
