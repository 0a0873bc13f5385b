# SPDX-License-Identifier: MIT
"""The committed packs: small, whole, and what the code of today emits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixedpoint_nn.hardware import verify
from golden_vectors.__main__ import HERE, PACKS, write

QUICK_TO_SEARCH = ("moons", "bigram", "names_writer", "fashion_mlp", "lenet", "shakespeare_lstm")
QUICK_TO_SIMULATE = ("moons", "bigram", "nplm")
MOST = 2.5e6


def content(folder: Path) -> dict[str, bytes]:
    """The pack's files; `fixedpoint-nn verify` leaves its record beside them, which git ignores."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.match("run-*.json")}


def same(name: str, tmp_path: Path) -> None:
    assert (HERE / name / "manifest.json").exists(), f"run `make golden` to write {name}"
    again = write(name, tmp_path / name, HERE / name, lambda line: None)
    assert content(again) == content(HERE / name)


@pytest.mark.parametrize("name", PACKS)
def test_a_golden_pack_is_small(name):
    assert 0 < sum(map(len, content(HERE / name).values())) <= MOST


@pytest.mark.parametrize("name", QUICK_TO_SEARCH)
def test_a_golden_pack_is_emitted_identically(name, tmp_path):
    same(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PACKS) - set(QUICK_TO_SEARCH)))
def test_a_golden_pack_of_a_long_search_is_emitted_identically(name, tmp_path):
    same(name, tmp_path)


@pytest.mark.parametrize("name", QUICK_TO_SIMULATE)
def test_a_golden_pack_passes_in_icarus_with_every_write_traced(name):
    verdict = verify(HERE / name, trace=True, vectors=30)
    assert verdict.passed, verdict.text


@pytest.mark.parametrize("name", ["moons", "bigram", "nplm", "fashion_mlp"])
def test_every_corner_of_a_small_pack_is_met_or_proven_out_of_reach(name):
    corners = json.loads((HERE / name / "manifest.json").read_text())["corners"]
    assert not [(layer, corner) for layer, met in corners.items() for corner, hits in met.items() if not hits]


@pytest.mark.slow
@pytest.mark.parametrize("simulator", ["iverilog", "verilator"])
@pytest.mark.parametrize("name", PACKS)
def test_every_golden_pack_passes(name, simulator):
    verdict = verify(HERE / name, simulator)
    assert verdict.passed, verdict.text
