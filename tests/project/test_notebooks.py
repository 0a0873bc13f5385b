# SPDX-License-Identifier: MIT
"""The notebooks run from top to bottom, and print what is committed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="the notebooks run with the `notebooks` extra: make test installs it")

from fixedpoint_nn import data
from notebooks.execute import executed, paths, read, shown

NEEDS = {  # data that is not in the package
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
        "13_time_series",
        "14_shakespeare",
    ]


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_a_notebook_can_be_read_alone(path: Path) -> None:
    """A title first, more prose than code, outputs that are committed, a task at the end."""
    cells = read(path).cells
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert cells[0].source.startswith("# ")
    assert "**To try yourself.**" in prose[-1]
    assert sum(map(len, prose)) > 0.8 * sum(len(cell.source) for cell in code)
    text = "".join(cell.source for cell in code)
    assert any(word in text for word in ("RtlModel", "RtlWriter", "verify(")), "it never gets to the Verilog"
    assert all(cell.execution_count for cell in code), "run `python -m notebooks`"
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_a_notebook_prints_what_is_committed(path: Path, tmp_path: Path) -> None:
    for package in EXTRAS.get(path.stem, ()):
        pytest.importorskip(package, reason=f"{path.stem} reads other people's files: the `onnx` extra")
    if path.stem in NEEDS:
        try:
            NEEDS[path.stem]()
        except data.DataError as error:
            pytest.skip(str(error))
    committed = shown(read(path))
    assert shown(executed(path, tmp_path)) == committed
