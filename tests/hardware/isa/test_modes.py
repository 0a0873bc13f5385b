# SPDX-License-Identifier: MIT
"""One table of mode codes: the engine's, that of the C kernels, and that of the Verilog's headers are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixedpoint_nn.hardware.isa.modes import OVERFLOWS, ROUNDINGS, overflow_of, rounding_of
from fixedpoint_nn.numerics.native import library
from fixedpoint_nn.numerics.overflow import Overflow
from fixedpoint_nn.numerics.rounding import Rounding

ROOT = Path(__file__).parents[3]
KERNELS = (ROOT / "fixedpoint_nn" / "numerics" / "native" / "kernels.c").read_text()
REQUANTIZE = (ROOT / "reference_rtl" / "requantize.v").read_text()


def test_every_mode_has_one_code() -> None:
    assert sorted(ROUNDINGS) == sorted(mode.name for mode in Rounding)
    assert sorted(OVERFLOWS) == sorted(mode.name for mode in Overflow)
    assert [rounding_of(code).name for code in range(len(ROUNDINGS))] == list(ROUNDINGS)
    assert [overflow_of(code).name for code in range(len(OVERFLOWS))] == list(OVERFLOWS)


def test_the_codes_of_the_compiled_kernels_are_the_engines() -> None:
    assert [library.code_of(rounding_of(code)) for code in range(len(ROUNDINGS))] == list(
        range(len(ROUNDINGS))
    )
    assert [library.code_of(overflow_of(code)) for code in range(len(OVERFLOWS))] == list(
        range(len(OVERFLOWS))
    )
    assert f"enum {{ {', '.join(ROUNDINGS)} }};" in KERNELS
    assert f"enum {{ {', '.join(OVERFLOWS)}, NO_OVERFLOW }};" in KERNELS
    assert len(OVERFLOWS) == library._NO_OVERFLOW


def test_the_codes_in_the_header_of_the_requantiser_are_the_engines() -> None:
    roundings, overflows = re.search(
        r"// round, by `rounding`:(.*?)// overflow:(.*?)//\n", REQUANTIZE, re.S
    ).groups()  # type: ignore[union-attr]
    assert re.findall(r"(\d) ([A-Z_]{2,})", roundings) == [
        (str(code), name) for code, name in enumerate(ROUNDINGS)
    ]
    assert re.findall(r"(\d) ([A-Z_]{2,})", overflows) == [
        (str(code), name) for code, name in enumerate(OVERFLOWS)
    ]


@pytest.mark.parametrize("room", ["hardware", "numerics/native"])
def test_no_code_is_taken_from_the_order_of_an_enum(room: str) -> None:
    for path in (ROOT / "fixedpoint_nn" / room).rglob("*.py"):
        assert not re.search(
            r"(?:list|tuple|enumerate)\((?:Rounding|Overflow|type\(mode\))\)", path.read_text()
        ), path
