# SPDX-License-Identifier: MIT
"""Networks of PyTorch, exported by both of its exporters: the same floats, and on the engine the same integers."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import RtlModel, Tensor, calibrate, emit, quantize, sweep
from fixedpoint_nn.hardware.verify.verify import verify
from fixedpoint_nn.interchange.onnx.reader import Imported, imported

torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
nn = torch.nn

pytestmark = pytest.mark.peers
EXPORTERS = ["torchscript"] + ["dynamo"] * (importlib.util.find_spec("onnxscript") is not None)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, channels, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Any) -> Any:
        return x * self.gate(x)


class Last(nn.Module):
    """The last step of a recurrent layer, through a dense one."""

    def __init__(self, layer: nn.Module, size: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(size, 3)

    def forward(self, x: Any) -> Any:
        ys = self.layer(x)[0]
        return self.head(ys[:, -1] if self.layer.batch_first else ys[-1])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.out = nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        batch, time, size = x.shape
        heads = [
            part(x).view(batch, time, 2, 4).transpose(1, 2) for part in (self.query, self.key, self.value)
        ]
        weights = torch.softmax(heads[0] @ heads[1].transpose(-1, -2) / 2, -1)
        return self.out((weights @ heads[2]).transpose(1, 2).reshape(batch, time, size).mean(1))


class Unet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.up, self.out = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        a = torch.relu(self.down(x))
        b = torch.relu(self.middle(a))
        larger = nn.functional.interpolate(b[:, :1], scale_factor=2)
        return self.out(torch.cat([a, self.up(b)], 1)) + larger


class Patches(nn.Module):
    """An image as a sequence of patches, through an encoder of two heads, with a causal mask."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.places = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.randn(4, 8) / 4)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(4))

    def forward(self, x: Any) -> Any:
        x = self.cut(x).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.encoder(x, self.mask)).mean(1))


class Separable(nn.Module):
    """A depthwise convolution, normalised over channels, then two dense layers, around a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.LayerNorm(4)
        self.wide, self.back = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        y = self.back(nn.functional.gelu(self.wide(self.norm(self.deep(x).permute(0, 2, 3, 1)))))
        return (x + y.permute(0, 3, 1, 2)).mean((2, 3))


def groups() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Mish(), nn.InstanceNorm2d(4, affine=True), nn.SELU(),
        nn.Flatten(), nn.Linear(144, 3), nn.LogSoftmax(-1),
    )  # fmt: skip


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1), nn.ReLU(), Block(4, 4), Block(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 5),
    )  # fmt: skip


def mobile() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.ReLU6(),
        nn.Conv2d(8, 8, 1), nn.LeakyReLU(0.1), Squeeze(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def waves() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 4, 3, dilation=2, padding=2),
        nn.BatchNorm1d(4), nn.ELU(), nn.Flatten(), nn.Linear(32, 4), nn.Softmax(-1),
    )  # fmt: skip


def convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(54, 5),
    )  # fmt: skip


CASES: dict[str, tuple[Any, tuple[int, ...], int]] = {
    "CNN": (convolutions, (2, 3, 8, 8), 0),
    "ResNet": (resnet, (2, 3, 8, 8), 0),
    "MobileNet": (mobile, (2, 3, 8, 8), 0),
    "U-Net": (Unet, (2, 1, 6, 6), 0),
    "1-D convolutions": (waves, (2, 2, 16), 0),
    "LSTM": (lambda: Last(nn.LSTM(5, 4, batch_first=True), 4), (2, 6, 5), 0),
    "LSTM, time first": (lambda: Last(nn.LSTM(5, 4), 4), (6, 2, 5), 1),
    "two bidirectional LSTMs": (
        lambda: Last(nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True), 8), (2, 6, 5), 0,
    ),
    "bidirectional GRU": (lambda: Last(nn.GRU(5, 4, batch_first=True, bidirectional=True), 8), (2, 6, 5), 0),
    "bidirectional RNN": (lambda: Last(nn.RNN(5, 4, batch_first=True, bidirectional=True), 8), (2, 6, 5), 0),
    "attention": (Attention, (2, 5, 8), 0),
    "transformer": (Patches, (2, 3, 8, 8), 0),
    "separable": (Separable, (2, 4, 5, 5), 0),
    "groups": (groups, (2, 3, 6, 6), 0),
}  # fmt: skip


def exported(name: str, exporter: str, path: Path) -> tuple[Imported, Any, Any]:
    """The imported network, samples in the file's order, and PyTorch's results."""
    make, shape, batch = CASES[name]
    torch.manual_seed(0)
    net = make().eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    x = torch.randn(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            axes = {"x": {batch: "batch"}}
            torch.onnx.export(net, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes)
        else:
            axes = ({batch: torch.export.Dim("batch")},)
            torch.onnx.export(
                net, (x,), path, dynamo=True, verbose=False, input_names=["x"], dynamic_shapes=axes,
                external_data=False,
            )  # fmt: skip
    more = torch.randn([12 if axis == batch else size for axis, size in enumerate(shape)])
    with torch.no_grad():
        return imported(path), more.numpy(), net(more).numpy()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", CASES)
def test_an_exported_network_computes_the_same_and_runs_on_the_engine(
    name: str, exporter: str, tmp_path: Path
) -> None:
    found, filed, expected = exported(name, exporter, tmp_path / "net.onnx")
    x = found.inputs[0].inward(filed)
    floats = found.net(Tensor(x)).data
    assert np.allclose(found.outputs[0].outward(floats), expected, atol=1e-5)
    fixed = quantize(found.net, calibrate(found.net, x, 12))
    integers = fixed(x)
    assert np.abs(integers.to_float() - floats).max() < 0.03 * max(1, np.abs(floats).max())
    assert np.array_equal(RtlModel(fixed)(x[:2]).ints, integers[:2].ints)


@pytest.mark.slow
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", ["CNN", "ResNet", "LSTM", "bidirectional GRU"])
def test_the_whole_way_to_both_simulators(name: str, exporter: str, tmp_path: Path) -> None:
    found, filed, expected = exported(name, exporter, tmp_path / "net.onnx")
    x, labels = found.inputs[0].inward(filed), expected.argmax(axis=-1)
    swept = sweep(found.net, (x, labels), (4, 8, 12), samples=x, progress=False)
    scores = [point.metric for point in swept]
    assert len(scores) == 3 and scores[-1] >= 11 / 12
    fixed = quantize(found.net, calibrate(found.net, x, 8))
    emit(fixed, x[:2], tmp_path / "pack", corner_vectors=1)
    for simulator in ("iverilog", "verilator"):
        assert str(verify(tmp_path / "pack", simulator)).startswith("PASS: 3 vectors")
