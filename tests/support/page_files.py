# SPDX-License-Identifier: MIT
"""The files of their own that readers bring to a page: its code finds them beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


def an_onnx_model(folder: Path) -> None:
    """`model.onnx`, a matrix, a ReLU and a matrix, and `samples.npy`."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {"w1": rng.standard_normal((6, 16)) / 2, "w2": rng.standard_normal((16, 3)) / 4}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"], name="relu"),
            helper.make_node("MatMul", ["b", "w2"], ["y"], name="second"),
        ],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    np.save(folder / "samples.npy", rng.standard_normal((100, 6)).astype(np.float32))


def onnx_models_of_images(folder: Path) -> None:
    """`model.onnx`, a convolution of floats, `quantised.onnx`, the same with quantisers, and `images.npy`."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    from tests.interchange.onnx.test_slice import small_cnn

    model = onnx.load_model_from_string(small_cnn())
    onnx.save(model, str(folder / "model.onnx"))
    taken = model.graph.input[0]
    channels, height, width = (axis.dim_value for axis in taken.type.tensor_type.shape.dim[1:])
    images = np.random.default_rng(0).normal(0, 1, (20, height, width, channels)).astype(np.float32)
    np.save(folder / "images.npy", images)

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(images.transpose(0, 3, 1, 2)[:, np.newaxis])

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.rest, None)
            return None if image is None else {taken.name: image}

    quantize_static(
        str(folder / "model.onnx"), str(folder / "quantised.onnx"), Images(), quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip


def a_tflite_model(folder: Path) -> None:
    """`model.tflite`, depthwise separable convolutions of 8 bits, and `samples.npy`."""
    pytest.importorskip("ai_edge_litert")
    from tests.support.tflite_networks import ds_cnn

    model, samples = ds_cnn(size=(10, 6), channels=4, softmax=False)
    (folder / "model.tflite").write_bytes(model)
    np.save(folder / "samples.npy", samples)


def a_resnet50(folder: Path) -> None:
    """`runs/resnet50/net.safetensors`: in the place of the trained one a narrow one, untrained."""
    from fixedpoint_nn import data
    from fixedpoint_nn.network import serialization
    from fixedpoint_nn.zoo import resnet50

    try:
        data.fashion_mnist()
    except data.DataError as error:
        pytest.skip(str(error))
    (folder / "runs" / "resnet50").mkdir(parents=True)
    net = resnet50.build(size=28, channels=1, classes=10, width=4)
    serialization.save(net, folder / "runs" / "resnet50" / "net.safetensors")


def packages(*names: str) -> Callable[[Path], None]:
    """Nothing but packages that the page tells its readers to install."""

    def wanted(_: Path) -> None:
        for name in names:
            pytest.importorskip(name)

    return wanted


# Pages whose packages only the extra `peers` brings: `make test-all` runs them.
OF_PEERS = ("brevitas.md", "hls4ml.md")
BROUGHT: dict[str, Callable[[Path], None]] = {
    "README.md": an_onnx_model,
    "docs/how-to/brevitas.md": packages("brevitas", "onnxscript"),
    "docs/how-to/hls4ml.md": packages("hls4ml", "torch"),
    "docs/how-to/cocotb.md": packages("cocotb", "cocotb_tools"),
    "docs/how-to/litex-vivado.md": packages("litex"),
    "docs/how-to/resnet50.md": a_resnet50,
    "docs/how-to/tflite.md": a_tflite_model,
    "docs/interchange.md": onnx_models_of_images,
}


def write(page: str, folder: Path) -> None:
    """Write what this page, by its path in the repository, says that its readers have."""
    if page in BROUGHT:
        BROUGHT[page](folder)
