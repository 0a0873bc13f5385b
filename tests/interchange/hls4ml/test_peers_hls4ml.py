# SPDX-License-Identifier: MIT
"""Networks of hls4ml: every word of `predict`, which compiles its C++."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn.interchange.hls4ml.convert import from_hls4ml
from fixedpoint_nn.network.serialization import load, save

pytestmark = pytest.mark.peers
hls4ml = pytest.importorskip("hls4ml", reason="hls4ml is in the `peers` extra")
torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
nn = torch.nn


def mlp() -> tuple[Any, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)), (8,)


def cnn() -> tuple[Any, tuple[int, ...]]:
    parts = (
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 3, 2),
        nn.ReLU(),
        nn.Flatten(),
    )
    return nn.Sequential(*parts, nn.Linear(12, 4)), (2, 6, 6)


def converted(make: Any, precision: str, accumulator: str | None, folder: Path) -> tuple[Any, Any]:
    torch.manual_seed(0)
    net, shape = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = hls4ml.utils.config_from_pytorch_model(
            net.eval(), input_shape=shape, granularity="name", default_precision=precision, backend="Vivado"
        )
        for layer in config["LayerName"].values():
            if "accum" in layer["Precision"] and accumulator:
                layer["Precision"]["accum"] = accumulator
        model = hls4ml.converters.convert_from_pytorch_model(
            net, hls_config=config, output_dir=str(folder / "hls"), backend="Vivado", io_type="io_parallel"
        )
        model.compile()
    x = np.random.default_rng(0).normal(0, 1.5, (100, *shape)).astype(np.float32)
    return model, x


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize(
    ("precision", "accumulator"),
    [
        ("fixed<16,6,RND_CONV,SAT,0>", None),
        ("ap_fixed<10,4>", None),
        ("ap_fixed<12,4,AP_RND,AP_SAT>", "ap_fixed<9,3>"),
        ("ap_fixed<12,4>", "ap_fixed<9,3,AP_RND_CONV,AP_SAT>"),
        ("ap_fixed<8,4,AP_TRN_ZERO,AP_WRAP>", "ap_fixed<7,2,AP_TRN,AP_WRAP>"),
    ],
)
def test_every_word_of_predict(make: Any, precision: str, accumulator: str | None, tmp_path: Path) -> None:
    model, x = converted(make, precision, accumulator, tmp_path)
    fixed = from_hls4ml(model)
    expected = model.predict(x)
    assert fixed.input.format == fixed.inputs[0].format
    assert np.array_equal(fixed(x).to_float().reshape(expected.shape), expected.astype(np.float64))
    assert len(np.unique(expected)) > 10
    save(fixed, tmp_path / "net.safetensors")
    assert np.array_equal(load(tmp_path / "net.safetensors")(x).ints, fixed(x).ints)
