# SPDX-License-Identifier: MIT
"""The waveforms of the integration guide are what the simulation gives."""

from __future__ import annotations

import runpy
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "hardware"
WAVEFORMS = runpy.run_path(str(FOLDER / "waveforms.py"))


def test_the_pictures_are_those_of_the_simulation() -> None:
    pictures = WAVEFORMS["pictures"]()
    assert len(pictures) == 4
    for name, picture in pictures.items():
        assert (FOLDER / name).read_text("utf-8") == picture, name


def test_a_bus_is_drawn_where_it_counts_and_neighbours_are_joined() -> None:
    clocks = [{"wdata": word, "wvalid": valid} for word, valid in (("01", "0"), ("02", "1"), ("02", "1"))]
    picture = WAVEFORMS["draw"]("x", ("wvalid", "wdata"), clocks)
    assert picture.count('class="bus"') == 1 and ">02<" in picture and ">01<" not in picture
