# SPDX-License-Identifier: MIT
"""The last tenth of the training data, held back as validation data."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from fixedpoint_nn.data.scenes import compose
from fixedpoint_nn.training.batches import Samples, TextWindows, WordBatches, padded
from fixedpoint_nn.zoo.entry import Examples
from fixedpoint_nn.zoo.scene_batches import SceneBatches

HELD_BACK_SCENES = 500


@singledispatch
def hold_back(source: object, limit: int | None = None) -> tuple[Any, Examples]:
    """(the source without the last tenth of its data, that tenth), from the first `limit` samples only."""
    raise TypeError(f"nothing can be held back from a {type(source).__name__}")


@hold_back.register
def _(source: Samples, limit: int | None = None) -> tuple[Any, Examples]:
    x, y = source.x[:limit], source.y[:limit]
    cut = len(x) * 9 // 10
    return replace(source, x=x[:cut], y=y[:cut]), (x[cut:], y[cut:])


@hold_back.register
def _(source: WordBatches, limit: int | None = None) -> tuple[Any, Examples]:
    order = np.random.default_rng(0).permutation(len(source.words))[:limit]
    words = [source.words[i] for i in order]  # the lists are sorted
    cut = len(words) * 9 // 10
    return replace(source, words=words[:cut]), padded(words[cut:], source.end)


@hold_back.register
def _(source: TextWindows, limit: int | None = None) -> tuple[Any, Examples]:
    ids = source.ids[:limit]
    cut = len(ids) * 9 // 10
    rest, length = ids[cut:], source.length
    whole = (len(rest) - 1) // length * length
    examples = rest[:whole].reshape(-1, length), rest[1 : whole + 1].reshape(-1, length)
    return replace(source, ids=ids[:cut]), examples


@hold_back.register
def _(source: SceneBatches, limit: int | None = None) -> tuple[Any, Examples]:
    garments = source.garments[:limit]
    cut = len(garments) * 9 // 10
    examples = compose(garments[cut:], HELD_BACK_SCENES, np.random.default_rng(0))
    return replace(source, garments=garments[:cut]), examples
