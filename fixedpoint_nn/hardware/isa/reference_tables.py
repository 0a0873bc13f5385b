# SPDX-License-Identifier: MIT
"""The tables of docs/engine.md and reference_rtl/README.md, generated from the instruction set and the timing rules.

`python -m fixedpoint_nn.hardware.isa.reference_tables` prints them; a test compares the pages with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fixedpoint_nn.hardware.isa.config import LATENCY
from fixedpoint_nn.hardware.isa.instructions import (
    INSTRUCTIONS,
    OVERFLOWS,
    ROUNDINGS,
    Address,
    Field,
    Halt,
    Run,
    encode,
    listing,
)
from fixedpoint_nn.hardware.isa.schedule import schedule
from fixedpoint_nn.hardware.isa.timing import FIRST_DECODE, HANDOVER, LOAD_CYCLES


@dataclass(frozen=True)
class MemoryDescription:
    """One of the engine's memories; `bits` and `words` are formulas over the Verilog's parameters."""

    image: str
    bits: str
    words: str
    port: str
    contents: str


MEMORIES = (
    MemoryDescription("program", "32", "PROGRAM_DEPTH", "load 0", "instructions; execution starts at word 0"),
    MemoryDescription(
        "weights",
        "LANES * WEIGHT_WIDTH",
        "WEIGHT_DEPTH",
        "load 1",
        "one row per step; lane 0 in the least significant bits",
    ),
    MemoryDescription(
        "parameters",
        "DRAIN * (MULTIPLIER_WIDTH + 6 + BIAS_WIDTH)",
        "PARAMETER_DEPTH",
        "load 2",
        "rows of `{multiplier, shift, bias}` of DRAIN output channels, the first in the least significant bits; "
        "shift 0 to 63",
    ),
    MemoryDescription(
        "tables",
        "ACTIVATION_WIDTH",
        "TABLE_DEPTH",
        "load 3",
        "table words, indexed by the input's bit pattern; a table of n input bits starts at a multiple of 2**n",
    ),
    MemoryDescription(
        "activations",
        "LANES * ACTIVATION_WIDTH",
        "ACTIVATION_DEPTH / LANES",
        "host, word by word",
        "rows from word 0 on: constants, embeddings; word 0 of the row in the least significant bits",
    ),
)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
    return text.replace("| --- ", "|---").replace("|--- |", "|---|")


def memory_map() -> str:
    """The memories with widths, depths and load ports, as a Markdown table."""
    rows = [(m.image, f"`{m.bits}`", f"`{m.words}`", m.port, m.contents) for m in MEMORIES]
    return markdown_table(("image", "bits of a word", "words", "port", "contents"), rows)


def instruction_set() -> str:
    """Every instruction with its fields, as a Markdown table; of `Run` only their number."""
    rows = []
    for opcode, kind in INSTRUCTIONS.items():
        fields = "below" if kind is Run else "; ".join(_words(kind.layout)) or "none"
        rows.append((opcode, f"`{kind.__name__}`", kind.words, fields, (kind.__doc__ or "").splitlines()[0]))
    return markdown_table(("opcode", "instruction", "words", "fields", "what it does"), rows)


def description() -> str:
    """The fields of `Run`, as a Markdown table with one row per word."""
    rows = []
    for word in range(Run.words):
        fields = [field for field in Run.layout if field.word == word]
        rows.append((word, ", ".join(map(_place, fields))))
    codes = "; ".join(
        f"`{name}`: " + ", ".join(f"{code} {mode}" for code, mode in enumerate(modes))
        for name, modes in (("rounding", ROUNDINGS), ("overflow", OVERFLOWS))
    )
    return markdown_table(("word", "fields (bits)"), rows) + f"\n{codes}.\n"


def _words(layout: Sequence[Field]) -> list[str]:
    words = sorted({field.word for field in layout})
    return [f"word {w}: " + ", ".join(_place(f) for f in layout if f.word == w) for w in words]


def _place(field: Field) -> str:
    last = field.low + field.bits - 1
    bits = str(last) if field.bits == 1 else f"{last}..{field.low}"
    return f"`{field.name}{' - 1' * field.minus_one}` {bits}{' signed' * field.signed}"


def markdown() -> str:
    """The instruction tables of docs/engine.md."""
    lines = []
    for opcode, kind in INSTRUCTIONS.items():
        summary = (kind.__doc__ or "").splitlines()[0]
        lines += [
            f"### {kind.__name__} (opcode {opcode}, {kind.words} word{'s' * (kind.words > 1)})",
            "",
            summary,
            "",
        ]
        if kind.layout:
            lines += ["| word | bits | field | meaning |", "|---|---|---|---|"]
            lines += [
                f"| {f.word} | {f.low + f.bits - 1}..{f.low} | `{f.name}`{' - 1' * f.minus_one}"
                f"{' (signed)' * f.signed} | {f.meaning} |"
                for f in kind.layout
            ]
            lines.append("")
    return "\n".join(lines)


def latencies() -> str:
    """The latencies in clocks, as a Markdown table; D is the number of clocks in which a tile is drained."""
    rows = (
        ("`start`", "first word of the program decoded", FIRST_DECODE),
        ("a word of the program", "the next word", 1),
        ("a taken jump or loop", "its target decoded", FIRST_DECODE),
        ("first word of a `Run`", "its description is whole", Run.words),
        ("a description that is handed over", "its first step", HANDOVER),
        ("last step of a run", "first step of the next one, without `barrier`", HANDOVER),
        ("last step of a run", "first step of the next one, with `barrier`", f"D + {LATENCY}"),
        (
            "last step of a tile",
            "its channels d * DRAIN and on are written (d from 0 to D - 1)",
            f"{LATENCY} + d",
        ),
        ("last step of a tile", "last step of the next tile, at least", "D"),
        ("last step of a run", "`Halt`, `Load` or `Store` goes on", f"D + {LATENCY}"),
        ("`Load`, last word", "the next word", f"{LOAD_CYCLES} + shift"),
        ("`host_address`", "`host_read_data`", 2),
    )
    return markdown_table(("from", "to", "clocks"), rows)


EXAMPLE = (
    Run(
        activation=Address(32), output=Address(0), counts=(4, 1, 1, 2, 1, 1), strides=(1, 0, 0, 0, 0, 0),
        last_channels=8, barrier=False, relu_before=True, out_bits=8, out_signed=False,
    ),
    Run(
        activation=Address(0), weight=Address(8), parameter=Address(16), output=Address(40),
        counts=(16, 1, 1, 1, 1, 1), strides=(1, 0, 0, 0, 0, 0), last_channels=3, out_bits=8,
    ),
    Halt(),
)  # fmt: skip


def example() -> str:
    """The program of a two-layer perceptron and its cycles, as Markdown."""
    plan = schedule(EXAMPLE, 8)
    assert plan is not None
    return (
        f"```text\n{listing(encode(EXAMPLE))}```\n\n"
        f"It takes {plan.cycles} clocks, {plan.mac_cycles} of them steps.\n"
    )


PARTS = {
    "instruction set": instruction_set,
    "the words of Run": description,
    "memory map": memory_map,
    "latencies": latencies,
    "example": example,
}

if __name__ == "__main__":
    for title, part in PARTS.items():
        print(f"{title}\n\n{part()}")
