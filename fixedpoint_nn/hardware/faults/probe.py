# SPDX-License-Identifier: MIT
"""`Probe`: one run of a network's program alone, with ports of its own, inputs, and what must come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fixedpoint_nn.hardware.isa import bit_packing
from fixedpoint_nn.hardware.isa.port import Port
from fixedpoint_nn.numerics.arrays import Ints

FILES = ("program", "input", "expected")


@dataclass(frozen=True)
class Probe:
    """A program of one run, for the same engine and the same other images."""

    name: str
    place: int  # of the run in the network's program
    program: tuple[int, ...]
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints
    cycles: int  # of each vector

    def file(self, kind: str) -> str:
        """The name of one of its `FILES`, without suffix."""
        return f"{self.name}_{kind}"

    def words(self, bits: int) -> dict[str, tuple[int, list[int], list[int]]]:
        """For each file its word's bits, its words as bit patterns, and their shape."""
        found = {self.file("program"): (32, list(self.program), [len(self.program)])}
        for kind, ints in (("input", self.vectors), ("expected", self.expected)):
            found[self.file(kind)] = (
                bits,
                bit_packing.unsigned(ints.reshape(-1).tolist(), bits),
                list(ints.shape),
            )
        return found

    def describe(self, describe_port: Any) -> dict[str, Any]:
        """Its entry in the manifest."""
        return {
            "name": self.name,
            "place": self.place,
            "input": describe_port(self.input),
            "output": describe_port(self.output),
            "vectors": len(self.vectors),
            "cycles": self.cycles,
        }

    @staticmethod
    def read(entry: Mapping[str, Any], read_port: Any, words: Any, bits: int) -> Probe:
        """From its entry; `words` gives the words of a file by its name."""
        name, place, vectors, cycles = str(entry["name"]), entry["place"], entry["vectors"], entry["cycles"]
        for count in (place, vectors, cycles):
            if type(count) is not int or count < 0:
                raise ValueError(f"a count, as {count!r}")
        ports = read_port(entry["input"]), read_port(entry["output"])
        inputs, expected = (
            np.array(bit_packing.signed(words(f"{name}_{kind}"), bits), np.int64).reshape(vectors, port.words)
            for kind, port in zip(("input", "expected"), ports, strict=True)
        )
        return Probe(
            name, place, tuple(words(f"{name}_program")), ports[0], ports[1], inputs, expected, cycles
        )
