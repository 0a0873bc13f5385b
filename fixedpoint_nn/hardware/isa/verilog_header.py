# SPDX-License-Identifier: MIT
"""Generates reference_rtl/fields.vh from the instruction table: the place of each field of a Run, and the opcodes.

`python -m fixedpoint_nn.hardware.isa.verilog_header >reference_rtl/fields.vh` writes it; a test compares them.
"""

from __future__ import annotations

import re

from fixedpoint_nn.hardware.isa.instructions import INSTRUCTIONS, WORD_BITS, Run


def header() -> str:
    """The text of fields.vh."""
    operations = [
        f"`define OP_{_upper(kind.__name__)} 3'd{opcode}" for opcode, kind in sorted(INSTRUCTIONS.items())
    ]
    # An address's register is above its base, so it needs no entry.
    fields = [field for field in Run.layout if not field.name.endswith(".register")]
    places = sorted((WORD_BITS * field.word + field.low, field.name) for field in fields)
    return "\n".join(
        [
            "// SPDX-License-Identifier: MIT",
            "// Where the fields of a Run stand in its description: bit = 32 * word + low. Written by",
            "// fixedpoint_nn/hardware/isa/verilog_header.py from fixedpoint_nn/hardware/isa/instructions.py.",
            "`ifndef FIELDS_VH",
            "`define FIELDS_VH",
            f"`define RUN_WORDS {Run.words}",
            f"`define RUN_BITS {WORD_BITS * Run.words}",
            "",
            *operations,
            "",
            *(f"`define RUN_{name.upper().replace('.', '_')} {place}" for place, name in places),
            "`endif",
            "",
        ]
    )


def _upper(name: str) -> str:
    """A name in upper case: JumpEqual -> JUMP_EQUAL."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


if __name__ == "__main__":
    print(header(), end="")
