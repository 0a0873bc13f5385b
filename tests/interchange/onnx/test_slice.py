# SPDX-License-Identifier: MIT
"""From a file to the engine: imported, calibrated, quantised, emitted, and equal in Icarus Verilog."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fixedpoint_nn
from fixedpoint_nn import Tensor, calibrate, emit, from_onnx, quantize
from fixedpoint_nn.hardware.verify.verify import verify
from tests.interchange.onnx.models import model, node, reference


def small_cnn() -> bytes:
    rng = np.random.default_rng(0)
    constants = {
        "conv.w": rng.standard_normal((4, 2, 3, 3)).astype(np.float32) / 4,
        "conv.b": rng.standard_normal(4).astype(np.float32) / 4,
        "fc.w": rng.standard_normal((5, 4 * 3 * 4)).astype(np.float32) / 6,
        "fc.b": rng.standard_normal(5).astype(np.float32) / 4,
    }
    return model(
        [
            node("Conv", "image conv.w conv.b", "a", "/conv1/Conv", pads=[1, 1, 1, 1]),
            node("Relu", "a", "b"),
            node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "c", "d"),
            node("Gemm", "d fc.w fc.b", "logits", "fc", transB=1),
        ],
        {"image": ["N", 2, 6, 8]},
        ["logits"],
        constants,
    )


def test_a_small_cnn_goes_from_its_file_to_the_verilog(tmp_path: Path) -> None:
    path = tmp_path / "cnn.onnx"
    path.write_bytes(small_cnn())
    filed = np.random.default_rng(1).standard_normal((20, 2, 6, 8)).astype(np.float32)
    images = filed.transpose(0, 2, 3, 1)

    net = from_onnx(path)
    assert np.allclose(net(Tensor(images)).data, reference(small_cnn(), {"image": filed})[0], atol=1e-5)

    fixed = quantize(net, calibrate(net, images, 10))
    assert np.abs(fixed(images).to_float() - net(Tensor(images)).data).max() < 0.05
    pack = emit(fixed, images[:3], tmp_path / "pack", name="cnn", corner_vectors=1)
    assert verify(pack).passed


def test_images_are_arranged_once_and_flattened_features_find_their_weights() -> None:
    assert str(from_onnx(small_cnn())).splitlines() == [
        "Graph: image -> fc",
        "node                 layer      takes",
        "conv1/Conv           Conv2D     image",
        "Relu_b               ReLU       conv1/Conv",
        "MaxPool_c            MaxPool2D  Relu_b",
        "Flatten_d_unordered  Flatten    MaxPool_c",
        "fc                   Dense      Flatten_d_unordered",
    ]


def test_importing_the_package_does_not_import_the_reader_or_onnx() -> None:
    code = "import sys, fixedpoint_nn; print(sorted(m for m in sys.modules if 'onnx' in m)); fixedpoint_nn.from_onnx"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_what_the_package_does_not_have_is_still_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'fixedpoint_nn' has no attribute 'from_onyx'$"):
        fixedpoint_nn.from_onyx  # noqa: B018


def test_without_the_package_onnx_a_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ImportError,
        match=r"^reading an \.onnx file takes the package 'onnx': pip install 'fixedpoint_nn\[onnx\]'$",
    ):
        from_onnx(small_cnn())
