# SPDX-License-Identifier: MIT
"""The notebooks run from top to bottom, and print what is committed."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="the notebooks run with the `notebooks` extra: make test installs it")

from nbformat import NotebookNode

from fixedpoint_nn import data
from notebooks.execute import executed, paths, read, shortened, shown

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("data", "hardware", "layers", "precision", "training", "training.detection", "zoo")
NEEDS = {  # data that is not in the package
    "04_french_names_lstm_to_fpga": data.tagged_names,
    "03_makemore_bigram_and_nplm": data.names,
    "05_fashion_mnist_to_fpga": data.fashion_mnist,
    "06_convolutions_and_resnet": data.fashion_mnist,
    "07_rnn_gru_lstm": data.mnist,
    "08_bit_width_sweep": data.fashion_mnist,
    "10_bring_your_model": data.fashion_mnist,
    "12_object_detection": data.fashion_mnist,
    "14_shakespeare": data.text,
}
EXTRAS = {"10_bring_your_model": ("onnx", "onnxruntime")}  # packages beyond those of the notebooks
REFERENCE = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
PACKAGES = ("fixedpoint_nn", *(f"fixedpoint_nn.{room}" for room in ROOMS))
QUICK = "01_", "02_", "08_"  # the others take ten seconds and more even where trainings are only begun
each = pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)


def has_quick_cells(path: Path) -> bool:
    return any("quick" in cell.metadata for cell in read(path).cells)


def test_they_are_there_in_the_order_in_which_they_teach() -> None:
    assert [path.stem for path in paths()] == [
        "01_formats",
        "02_micrograd",
        "03_makemore_bigram_and_nplm",
        "04_french_names_lstm_to_fpga",
        "05_fashion_mnist_to_fpga",
        "06_convolutions_and_resnet",
        "07_rnn_gru_lstm",
        "08_bit_width_sweep",
        "09_verify_the_verilog",
        "10_bring_your_model",
        "11_learned_steps",
        "12_object_detection",
        "13_time_series",
        "14_shakespeare",
    ]


@each
def test_a_notebook_imports_what_the_reference_describes(path: Path) -> None:
    code = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    imports = [
        f"{node.module}.{alias.name}"
        for source in code
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fixedpoint_nn"
        for alias in node.names
    ]
    assert imports
    assert [name for name in imports if not described(name)] == []


def described(name: str) -> bool:
    """Whether the reference names it, or a public package holds it."""
    module, _, last = name.rpartition(".")
    public = getattr(importlib.import_module(module), "__all__", ())
    return re.search(
        rf"^::: {re.escape(name)}$|`{last}`|`{re.escape(name)}`", REFERENCE, re.MULTILINE
    ) is not None or (module in PACKAGES and last in public)


@each
def test_a_notebook_can_be_read_alone(path: Path) -> None:
    """A title with its number first, more prose than code, outputs that are committed, a task at the end."""
    cells = read(path).cells
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert cells[0].source.startswith(f"# {int(path.stem[:2])}. ")
    assert "**To try yourself.**" in prose[-1]
    assert sum(map(len, prose)) > 0.8 * sum(len(cell.source) for cell in code)
    text = "".join(cell.source for cell in code)
    assert any(word in text for word in ("RtlModel", "RtlWriter", "verify(")), "it never gets to the Verilog"
    assert all(cell.execution_count for cell in code), "run `python -m notebooks`"
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * (not path.stem.startswith(QUICK)), id=path.stem)
        for path in paths()
    ],
)
def test_a_notebook_prints_what_is_committed(path: Path, tmp_path: Path) -> None:
    """Trainings whose figures are not compared are only begun; the slow test below runs all of them."""
    skip_without_its_data(path)
    committed = shown(read(path))
    assert shown(executed(path, tmp_path, quick=True)) == committed


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in paths() if has_quick_cells(path)], ids=lambda path: path.stem
)
def test_a_notebook_runs_with_its_whole_trainings(path: Path, tmp_path: Path) -> None:
    skip_without_its_data(path)
    assert shown(executed(path, tmp_path)) == shown(read(path))


def test_quick_settings_belong_to_cells_whose_output_is_not_compared() -> None:
    cell = NotebookNode(
        source="fit(epochs=24)", metadata={"tags": ["varies"], "quick": {"epochs=24": "epochs=2"}}
    )
    assert shortened(cell) == "fit(epochs=2)"
    with pytest.raises(
        ValueError, match=r"^'epochs=24' is to stand once, in a cell that varies: 'fit\(epochs=24\)'$"
    ):
        shortened(NotebookNode({**cell, "metadata": {"quick": cell.metadata["quick"]}}))
    with pytest.raises(ValueError, match=r"^'epochs=24' is to stand once"):
        shortened(NotebookNode({**cell, "source": "fit(epochs=12)"}))


def skip_without_its_data(path: Path) -> None:
    for package in EXTRAS.get(path.stem, ()):
        pytest.importorskip(package, reason=f"{path.stem} reads other people's files: the `onnx` extra")
    if path.stem in NEEDS:
        try:
            NEEDS[path.stem]()
        except data.DataError as error:
            pytest.skip(str(error))
