# SPDX-License-Identifier: MIT
"""One table of mode codes, which C and Verilog follow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixedpoint_nn.numerics.mode_codes import OVERFLOWS, ROUNDINGS, code_of, overflow_of, rounding_of
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding

ROOT = Path(__file__).parents[2]
KERNELS = (ROOT / "fixedpoint_nn" / "numerics" / "native" / "kernels.c").read_text()
REQUANTIZE = (ROOT / "reference_rtl" / "requantize.v").read_text()


def test_every_mode_has_one_code() -> None:
    assert sorted(ROUNDINGS) == sorted(mode.name for mode in Rounding)
    assert sorted(OVERFLOWS) == sorted(mode.name for mode in Overflow)
    assert [rounding_of(code).name for code in range(len(ROUNDINGS))] == list(ROUNDINGS)
    assert [overflow_of(code).name for code in range(len(OVERFLOWS))] == list(OVERFLOWS)
    assert [ROUNDINGS[code_of(mode)] for mode in Rounding] == [mode.name for mode in Rounding]
    assert [OVERFLOWS[code_of(mode)] for mode in Overflow] == [mode.name for mode in Overflow]


def test_the_compiled_kernels_have_the_same_codes() -> None:
    assert f"enum {{ {', '.join(ROUNDINGS)} }};" in KERNELS
    assert f"enum {{ {', '.join(OVERFLOWS)}, NO_OVERFLOW }};" in KERNELS
    assert len(OVERFLOWS) == library._NO_OVERFLOW


def test_the_header_of_the_requantiser_names_the_same_codes() -> None:
    roundings, overflows = re.search(
        r"// round, by `rounding`:(.*?)// overflow:(.*?)//\n", REQUANTIZE, re.S
    ).groups()  # type: ignore[union-attr]
    assert re.findall(r"(\d) ([A-Z_]{2,})", roundings) == [
        (str(code), name) for code, name in enumerate(ROUNDINGS)
    ]
    assert re.findall(r"(\d) ([A-Z_]{2,})", overflows) == [
        (str(code), name) for code, name in enumerate(OVERFLOWS)
    ]


@pytest.mark.parametrize("room", ["hardware", "numerics"])
def test_no_code_is_taken_from_the_order_of_an_enum(room: str) -> None:
    for path in (ROOT / "fixedpoint_nn" / room).rglob("*.py"):
        assert not re.search(
            r"(?:list|tuple|enumerate)\((?:Rounding|Overflow|type\(mode\))\)", path.read_text()
        ), path
