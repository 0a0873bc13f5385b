# SPDX-License-Identifier: MIT
"""The README's figures are those of the shipped weights and of the golden packs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fixedpoint_nn import calibrate, emit, quantize, zoo
from fixedpoint_nn.network import tree

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    cells[0].strip("`"): cells
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 6 and cells[0].startswith("`")
}


def test_the_readme_lists_every_network() -> None:
    assert tuple(ROWS) == zoo.names()


@pytest.mark.parametrize("name", [name for name in zoo.names() if name != "resnet50"])
def test_the_readme_states_what_the_shipped_network_does(name: str, tmp_path: Path) -> None:
    _, _, size, result, cycles, used = ROWS[name]
    figures = zoo.metadata(name)["result"]
    if result.endswith("nats"):
        assert result == f"{figures['loss']:.3f} nats"
    elif result.endswith("AUC"):
        assert result == f"{figures['auc']:.3f} AUC"
    elif result.endswith("mAP"):
        assert result == f"{figures['map50']:.3f} mAP"
    else:
        assert result == f"{100 * figures['accuracy']:.2f} %"
    parameters = tree.parameters(zoo.load(name)).values()
    assert size == f"{sum(int(np.prod(parameter.shape)) for parameter in parameters):,}"
    manifest = json.loads((_pack(name, tmp_path) / "manifest.json").read_text(encoding="utf-8"))
    assert cycles == f"{manifest['cycles'][0]:,}"
    assert used == f"{100 * manifest['utilisation']:.1f} %"


def _pack(name: str, folder: Path) -> Path:
    """The golden pack, or one that is emitted now."""
    golden = ROOT / "golden_vectors" / name
    if golden.exists():
        return golden
    net, samples = zoo.load(name), zoo.samples(name, 100, split="train")
    return emit(quantize(net, calibrate(net, samples, word=8)), samples[:1], folder / name, corner_vectors=0)


def test_the_example_of_the_readme_is_as_short_as_it_says() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert example is not None
    assert len([line for line in example[1].splitlines() if line.strip()]) <= 15


def test_the_way_of_an_own_model_takes_ten_lines_and_the_page_a_hundred_and_fifty() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(
        r"^## Your own model in ten lines\n\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL
    )
    assert example is not None
    assert len(example[1].splitlines()) <= 10
    assert len(page.splitlines()) <= 150
