# SPDX-License-Identifier: MIT
"""One entry for files of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixedpoint_nn import load_model, zoo
from fixedpoint_nn.interchange.load import READERS, kind_of
from fixedpoint_nn.network.serialization import save


def test_our_own_files_are_loaded(tmp_path: Path) -> None:
    net = zoo.build("moons", seed=0)
    save(net, tmp_path / "moons.safetensors")
    assert type(load_model(tmp_path / "moons.safetensors")) is type(net)


def test_a_tflite_file_is_told_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"\x1c\0\0\0TFL3\0\0")
    assert kind_of(tmp_path / "model.bin") == "tflite"


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF")
    with pytest.raises(ValueError) as refused:
        load_model(path)
    known = ", ".join(f".{name}" for name in READERS)
    assert str(refused.value) == f"{path} is not a network file of a known kind; known are {known}"
    with pytest.raises(FileNotFoundError) as absent:
        load_model(tmp_path / "none.onnx")
    assert str(absent.value) == f"there is no file {tmp_path / 'none.onnx'}"
