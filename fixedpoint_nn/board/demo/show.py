# SPDX-License-Identifier: MIT
"""The demo's computations: one vector or text on the engine and by the model, with the time of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.board.driver import Driver
from fixedpoint_nn.board.errors import BoardError
from fixedpoint_nn.hardware.pack.reader import Pack
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.arrays import Ints
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.quantizer import Quantizer
from fixedpoint_nn.numerics.rounding import Rounding

SIDE = 28
PIXELS = SIDE * SIDE
WHITE = 255
LARGEST_SEED = (1 << 31) - 1
EXAMPLES = 12


@dataclass(frozen=True)
class DemoModel:
    """The model on this computer: a title, and a function from inputs and seed to output words."""

    title: str
    run: Callable[[Ints, int], Ints]


@dataclass(frozen=True)
class DemoAnswer:
    """The output words of engine and model, and the time of each."""

    words: list[int]
    model_words: list[int]
    cycles: int
    model_seconds: float
    wire_seconds: float

    @property
    def equal(self) -> bool:
        """Whether all words are equal."""
        return self.words == self.model_words


def demo_kind(pack: Pack) -> str:
    """The kind of a pack, "picture" or "text"; raises for any other."""
    if pack.input.words == PIXELS and pack.output.words <= 26:
        return "picture"
    if pack.input.words == 1 and pack.input.format == pack.output.format:
        return "text"
    raise BoardError(
        f"{pack.name} reads {pack.input.words} words, and the demonstration needs a network that reads pictures of "
        f"{SIDE} x {SIDE} or one that writes; try golden_vectors/mnist_rnn or golden_vectors/names_writer"
    )


class Show:
    """An engine with its pack; serves one request at a time."""

    def __init__(
        self, engine: Driver, pack: Pack, model: DemoModel, labels: Sequence[str], place: str, seconds: float
    ) -> None:
        self.engine, self.pack, self.model, self.labels = engine, pack, model, list(labels)
        self.place, self.seconds, self.kind = place, seconds, demo_kind(pack)
        self._lock = threading.Lock()
        if len(self.labels) < self._symbols:
            raise BoardError(
                f"{pack.name} has {self._symbols} answers and {len(self.labels)} names for them; give one for each"
            )

    @property
    def _symbols(self) -> int:
        return self.pack.output.words if self.kind == "picture" else int(self.pack.expected.max()) + 1

    def about(self) -> dict[str, Any]:
        """The description for the page."""
        config = self.engine.config
        return {
            "network": self.pack.name,
            "kind": self.kind,
            "place": self.place,
            "lanes": config.lanes,
            "bits": config.weight_width,
            "clock_khz": self.engine.identity.clock_khz,
            "model": self.model.title,
            "labels": self.labels,
            "length": self.pack.output.words,
            "examples": min(EXAMPLES, len(self.pack.vectors)),
        }

    def picture(self, grey: Sequence[int]) -> dict[str, Any]:
        """The answer for a drawing of 28 x 28 grey levels from 0 to 255."""
        quantizer = Quantizer(self.pack.input.format, Rounding.HALF_EVEN, Overflow.SATURATE)
        inputs = FixedArray.from_float(np.asarray(grey, np.float64) / WHITE, quantizer).ints
        return self._pictured(self._ask(inputs, self.pack.seed))

    def example(self, number: int) -> dict[str, Any]:
        """The answer for one of the pack's vectors, with its grey levels."""
        inputs = self.pack.vectors[number]
        format = self.pack.input.format
        grey = np.clip(inputs.astype(np.float64) * float(format.step) * WHITE, 0, WHITE).round().astype(int)
        return {
            **self._pictured(self._ask(inputs, self.pack.seed + number)),
            "grey": grey.tolist(),
        }

    def text(self, seed: int) -> dict[str, Any]:
        """The texts of engine and model for a seed."""
        answer = self._ask(self.pack.vectors[0], seed)
        letters = [
            "".join(self.labels[word] for word in words) for words in (answer.words, answer.model_words)
        ]
        return {**_told(answer), "text": letters[0], "model_text": letters[1]}

    def _pictured(self, answer: DemoAnswer) -> dict[str, Any]:
        best = int(np.argmax(answer.words))
        step = float(self.pack.output.format.step)
        return {
            **_told(answer),
            "label": self.labels[best],
            "model_label": self.labels[int(np.argmax(answer.model_words))],
            "scores": [word * step for word in answer.words],
        }

    def _ask(self, inputs: Ints, seed: int) -> DemoAnswer:
        with self._lock:
            begin = time.perf_counter()
            outcome = self.engine.run(self.pack, inputs, seed, self.seconds)
            wire = time.perf_counter() - begin
            begin = time.perf_counter()
            words = self.model.run(inputs, seed)
            model = time.perf_counter() - begin
        return DemoAnswer(
            outcome.words.tolist(), np.ravel(words).tolist(), outcome.status.cycles, model, wire
        )


def _told(answer: DemoAnswer) -> dict[str, Any]:
    return {
        "equal": answer.equal,
        "cycles": answer.cycles,
        "model_seconds": answer.model_seconds,
        "wire_seconds": answer.wire_seconds,
    }
