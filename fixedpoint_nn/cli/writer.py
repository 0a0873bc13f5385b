# SPDX-License-Identifier: MIT
"""A network that writes: its symbols, and whether it writes words, which end, or one text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.cli.errors import CommandError
from fixedpoint_nn.cli.target import Target
from fixedpoint_nn.data import Vocabulary
from fixedpoint_nn.data.vocabulary import BOUNDARY
from fixedpoint_nn.hardware.textgen import SamplingConfig, write
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.training.sampling import write_text, write_words
from fixedpoint_nn.zoo import characters

LONGEST_NAME = 40
NAMES, CHARACTERS = 8, 120  # written unless told otherwise
PARTS = ("embedding", "lstm", "head")

VOCABULARIES: dict[str, Callable[[], Vocabulary]] = {
    "names_lstm": lambda: characters.french_names().vocabulary,
    "makemore_lstm": lambda: characters.names().vocabulary,
    "shakespeare_lstm": lambda: characters.play().vocabulary,
}


@dataclass(frozen=True)
class Writer:
    """The symbols by their ids; with `words`, id 0 is the mark that starts and ends each of them."""

    vocabulary: Vocabulary
    words: bool

    def split(self, ids: Any) -> list[str]:
        """Words, each without its end mark; or one text."""
        text = self.vocabulary.decode(ids)
        return text.rstrip(BOUNDARY).split(BOUNDARY) if self.words else [text]

    def in_float(self, net: Any, count: int, seed: int, temperature: float) -> list[str]:
        """So many words, or one text of so many characters, by the float network."""
        symbols = self.vocabulary.symbols
        if self.words:
            return write_words(net, symbols, count, seed, temperature)
        prompt = "\n" if "\n" in symbols else symbols[0]
        return [write_text(net, symbols, prompt, count, seed, temperature)]


def writer_of(chosen: Target) -> Writer:
    """How a network writes: by the symbols of --data, of its file, or of the zoo."""
    symbols = chosen.given.symbols if chosen.given is not None else None
    symbols = symbols or (chosen.metadata or {}).get("symbols")
    if not symbols and chosen.name in VOCABULARIES:
        symbols = VOCABULARIES[chosen.name]().symbols
    parts = getattr(chosen.net, "parts", {})
    if not all(part in parts for part in PARTS):
        raise CommandError(
            f"{chosen.source!r} does not write text; those that do are {', '.join(VOCABULARIES)}, and networks "
            f"with the parts {', '.join(PARTS)}"
        )
    if not symbols:
        raise CommandError(
            f"{chosen.source} does not say which symbols its ids are; save it with metadata "
            "{'symbols': TEXT}, the symbol of each id in order, or give them as `symbols` in --data"
        )
    ids = int(parts["embedding"].weight.shape[0])
    if len(symbols) != ids:
        raise CommandError(
            f"{chosen.source} has {ids} ids, and there are {len(symbols)} symbols; each id needs one"
        )
    return Writer(Vocabulary(str(symbols)), str(symbols).startswith(BOUNDARY))


def plan_writing(
    fixed: Quantized, writer: Writer, count: int, temperature: float, seed: int
) -> tuple[SamplingConfig, Any]:
    """How the engine has to write to get `count` words (or characters), and what the model writes."""
    if not writer.words:
        how = SamplingConfig(count, temperature, restart=False)
        return how, write(fixed, how, seed)
    length = 10 * count
    while True:
        how = SamplingConfig(length, temperature)
        ids = write(fixed, how, seed)
        ends = np.flatnonzero(ids == 0)
        if len(ends) >= count or length >= LONGEST_NAME * count:
            length = int(ends[count - 1]) + 1 if len(ends) >= count else length
            return SamplingConfig(length, temperature), ids[:length]
        length = min(2 * length, LONGEST_NAME * count)
