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


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(3, 4, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.layer(x)[0]


def lstm() -> tuple[Any, tuple[int, ...]]:
    return Recurrent("LSTM"), (6, 3)


def gru() -> tuple[Any, tuple[int, ...]]:
    return Recurrent("GRU"), (6, 3)


def curves() -> tuple[Any, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Tanh()), (5,)


def classifier() -> tuple[Any, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=-1)), (5,)


def converted(
    make: Any, precision: str, accumulator: str | None, folder: Path, channels_last: str = "full"
) -> tuple[Any, Any]:
    torch.manual_seed(0)
    net, shape = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = hls4ml.utils.config_from_pytorch_model(
            net.eval(), input_shape=shape, granularity="name", default_precision=precision, backend="Vivado",
            channels_last_conversion=channels_last,
        )  # fmt: skip
        for layer in config["LayerName"].values():
            if "accum" in layer["Precision"] and accumulator:
                layer["Precision"]["accum"] = accumulator
        model = hls4ml.converters.convert_from_pytorch_model(
            net, hls_config=config, output_dir=str(folder / "hls"), backend="Vivado", io_type="io_parallel"
        )
        model.compile()
    x = np.random.default_rng(0).normal(0, 1.5, (100, *shape)).astype(np.float32)
    return model, x


@pytest.mark.parametrize("make", [lstm, gru, curves, classifier])
@pytest.mark.parametrize(
    "precision",
    [
        "ap_fixed<12,4,AP_RND_CONV,AP_SAT>",
        pytest.param("ap_fixed<16,6>", marks=pytest.mark.slow),
        pytest.param("ap_fixed<10,3,AP_TRN,AP_WRAP>", marks=pytest.mark.slow),
    ],
)
def test_every_word_of_recurrent_layers_and_of_tables(make: Any, precision: str, tmp_path: Path) -> None:
    model, x = converted(make, precision, None, tmp_path, "off" if make in (lstm, gru) else "full")
    fixed = from_hls4ml(model)
    expected = model.predict(x)
    assert np.array_equal(fixed(x).to_float().reshape(expected.shape), expected.astype(np.float64))
    save(fixed, tmp_path / "net.safetensors")
    assert np.array_equal(load(tmp_path / "net.safetensors")(x).ints, fixed(x).ints)


def test_a_sequence_that_was_turned_is_refused(tmp_path: Path) -> None:
    model, _ = converted(lstm, "ap_fixed<16,6>", None, tmp_path)
    with pytest.raises(
        ValueError, match=r"LSTM 'layer' takes .* convert the model with channels_last_conversion='off'"
    ):
        from_hls4ml(model)


@pytest.mark.parametrize("make", [mlp, cnn])
@pytest.mark.parametrize(
    ("precision", "accumulator"),
    [
        ("fixed<16,6,RND_CONV,SAT,0>", None),
        ("ap_fixed<10,4>", None),
        ("ap_fixed<12,4,AP_RND,AP_SAT>", "ap_fixed<9,3>"),
        ("ap_fixed<12,4>", "ap_fixed<9,3,AP_RND_CONV,AP_SAT>"),
        ("ap_fixed<12,4>", "ap_fixed<9,3,AP_TRN,AP_SAT_SYM>"),
        ("ap_fixed<12,4>", "ap_fixed<9,3,AP_RND,AP_SAT_ZERO>"),
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
