# SPDX-License-Identifier: MIT
"""Every layer, loss and optimiser against PyTorch: values and autograd's gradients to 1e-9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fixedpoint_nn import Tensor, layers
from fixedpoint_nn.network.initialise import Initialiser
from fixedpoint_nn.network.tree import parameters, rebuild, training_mode
from fixedpoint_nn.training import losses
from fixedpoint_nn.training.optimisers import OPTIMISERS, clip_gradients
from tests.support.battery import CASES

torch = pytest.importorskip("torch", reason="PyTorch is in the `peers` extra")
F = torch.nn.functional

pytestmark = pytest.mark.peers

Twin = Callable[[Any, dict[str, Any]], Any]


def close(ours: Any, theirs: Any) -> bool:
    return bool(np.allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-9))


# ---- the layers, written again in PyTorch -----------------------------------------------------------------


def images(layer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """NHWC around a function of NCHW."""
    return lambda x: layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def dense(x: Any, p: dict[str, Any], prefix: str = "") -> Any:
    return F.linear(x, p[f"{prefix}weight"].T, p.get(f"{prefix}bias"))


def conv(
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (1, 1),
    pad: tuple[int, ...] = (1, 1, 1, 1),
    groups: int = 1,
    prefix: str = "",
    dilation: tuple[int, int] = (1, 1),
) -> Twin:
    """`pad` is left, right, top, bottom."""

    def run(x: Any, p: dict[str, Any]) -> Any:
        weight = p[f"{prefix}weight"]
        weight = weight if groups > 1 else weight[None]
        taps, outputs = weight.shape[1], weight.shape[2]
        weight = weight.reshape(groups, *kernel, taps // (kernel[0] * kernel[1]), outputs)
        weight = weight.permute(0, 4, 3, 1, 2).flatten(0, 1)
        bias = p.get(f"{prefix}bias")
        return images(lambda z: F.conv2d(F.pad(z, pad), weight, bias, stride, 0, dilation, groups))(x)

    return run


def rnn(x: Any, p: dict[str, Any]) -> Any:
    module = torch.nn.RNN(3, 4, 2, batch_first=True, dtype=torch.float64)
    given = {}
    for k in range(2):
        given[f"weight_ih_l{k}"] = p[f"cells.{k}.input_weight"].T
        given[f"weight_hh_l{k}"] = p[f"cells.{k}.state_weight"].T
        given[f"bias_ih_l{k}"] = p[f"cells.{k}.bias"]
        given[f"bias_hh_l{k}"] = torch.zeros(4, dtype=torch.float64)
    return torch.func.functional_call(module, given, (x,))[0]


def rectified_rnn(x: Any, p: dict[str, Any]) -> Any:
    module = torch.nn.RNN(3, 4, nonlinearity="relu", batch_first=True, dtype=torch.float64)
    given = {
        "weight_ih_l0": p["cells.0.input_weight"].T,
        "weight_hh_l0": p["cells.0.state_weight"].T,
        "bias_ih_l0": p["cells.0.bias"],
        "bias_hh_l0": torch.zeros(4, dtype=torch.float64),
    }
    return torch.func.functional_call(module, given, (x,))[0]


def conv_transpose(kernel: tuple[int, int], stride: tuple[int, int], cut: tuple[slice, slice]) -> Twin:
    """`cut` says which rows and columns stay of those that the whole windows reach."""

    def run(x: Any, p: dict[str, Any]) -> Any:
        outputs = p["weight"].shape[1]
        taps = p["weight"].reshape(*kernel, x.shape[3], outputs).flip(0, 1).permute(2, 3, 0, 1)
        y = images(lambda z: F.conv_transpose2d(z, taps, p.get("bias"), stride))(x)
        return y[:, cut[0], cut[1]]

    return run


def joins(x: Any, p: dict[str, Any]) -> Any:
    one = dense(x, p, "one.")
    rows = torch.cat([one, p["more.value"].expand(len(x), 1, 3)], 1)
    least = torch.minimum(torch.minimum(x, torch.maximum(x, one)), one)
    return least + rows[:, :2]


def gate(x: Any, p: dict[str, Any]) -> Any:
    mean = x.sum((1, 2), keepdim=True) * p["mean.reciprocal"]
    return x * mean - mean


def graph(x: Any, p: dict[str, Any]) -> Any:
    stem = dense(x, p, "stem.")
    scaled = stem * torch.sigmoid(stem)
    less = p["base.value"] - scaled
    return dense(torch.cat([scaled, less, x], -1), p, "head.") + stem + less


def lstm(depth: int, inputs: int = 3, hidden: int = 4, prefix: str = "", states: bool = False) -> Twin:
    def order(z: Any) -> Any:  # ours i f o g, theirs i f g o
        i, f, o, g = z.chunk(4, -1)
        return torch.cat([i, f, g, o], -1)

    def run(x: Any, p: dict[str, Any]) -> Any:
        module = torch.nn.LSTM(inputs, hidden, depth, batch_first=True, dtype=torch.float64)
        given = {}
        for k in range(depth):
            given[f"weight_ih_l{k}"] = order(p[f"{prefix}cells.{k}.input_weight"]).T
            given[f"weight_hh_l{k}"] = order(p[f"{prefix}cells.{k}.state_weight"]).T
            given[f"bias_ih_l{k}"] = order(p[f"{prefix}cells.{k}.bias"])
            given[f"bias_hh_l{k}"] = torch.zeros(4 * hidden, dtype=torch.float64)
        ys, (h, c) = torch.func.functional_call(module, given, (x,))
        return torch.cat([h[-1], c[-1]], -1) if states else ys

    return run


def lstm_with_peepholes(x: Any, p: dict[str, Any]) -> Any:
    """Gers and Schmidhuber, 2000; PyTorch has no such cell, so its operations are put together here."""
    w = {name.removeprefix("cells.0."): value for name, value in p.items()}
    of_i, of_f, of_o = w["peepholes"].chunk(3)
    h = c = torch.zeros(len(x), 4, dtype=torch.float64)
    outputs = []
    for t in range(x.shape[1]):
        i, f, o, g = (x[:, t] @ w["input_weight"] + h @ w["state_weight"] + w["bias"]).chunk(4, -1)
        c = torch.sigmoid(f + of_f * c) * c + torch.sigmoid(i + of_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + of_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1)


def gru_reset_after(x: Any, p: dict[str, Any]) -> Any:
    module = torch.nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    c = {name.removeprefix("cells.0."): value for name, value in p.items()}
    zero = torch.zeros(8, dtype=torch.float64)
    given = {
        "weight_ih_l0": torch.cat([c["input_weight"], c["candidate_input_weight"]], 1).T,
        "weight_hh_l0": torch.cat([c["state_weight"], c["candidate_state_weight"]], 1).T,
        "bias_ih_l0": torch.cat([c["bias"], c["candidate_bias"]]),
        "bias_hh_l0": torch.cat([zero, c["candidate_state_bias"]]),
    }
    return torch.func.functional_call(module, given, (x,))[0]


def gru_reset_before(x: Any, p: dict[str, Any]) -> Any:
    """Cho and others, 2014; PyTorch has only the other kind, so its operations are put together here."""
    c = {name.removeprefix("cells.0."): value for name, value in p.items()}
    h, outputs = torch.zeros(len(x), 4, dtype=torch.float64), []
    for t in range(x.shape[1]):
        gates = torch.sigmoid(x[:, t] @ c["input_weight"] + h @ c["state_weight"] + c["bias"])
        r, z = gates.chunk(2, -1)
        into = x[:, t] @ c["candidate_input_weight"]
        n = torch.tanh(into + (r * h) @ c["candidate_state_weight"] + c["candidate_bias"])
        h = z * h + (1 - z) * n
        outputs.append(h)
    return torch.stack(outputs, 1)


def sequential(x: Any, p: dict[str, Any]) -> Any:
    x = images(lambda z: F.max_pool2d(F.relu(z), (2, 1)))(conv(prefix="conv.")(x, p))
    return dense(torch.tanh(dense(x.flatten(1), p, "head.0.")), p, "head.2.")


def positive(x: Any, p: Any) -> Any:
    return x.abs() * p["line.scale"] + p["line.shift"]


def standardized(x: Any, p: Any) -> Any:
    return x * torch.rsqrt((x * x).sum(-1, keepdim=True) * p["share"] + p["eps"])


TWINS: dict[str, Twin] = {
    "Dense": dense,
    "Dense without bias": dense,
    "Dense over time steps": dense,
    "Conv2D same": conv(),
    "Conv2D valid, stride 2": conv((3, 2), (2, 1), (0, 0, 0, 0)),
    "Conv2D explicit padding": conv(stride=(2, 2), pad=(1, 1, 2, 0)),
    "Conv2D without bias": conv((1, 1), pad=(0, 0, 0, 0)),
    "Conv2D grouped": conv(groups=2),
    "Conv2D depthwise": conv(groups=4),
    "MaxPool2D": lambda x, p: images(lambda z: F.max_pool2d(z, 2))(x),
    "MaxPool2D overlapping, padded": lambda x, p: images(lambda z: F.max_pool2d(z, 3, 2, 1))(x),
    "AvgPool2D": lambda x, p: images(lambda z: F.avg_pool2d(z, 2))(x),
    "AvgPool2D overlapping, padded": lambda x, p: images(lambda z: F.avg_pool2d(z, 3, 2, 1))(x),
    "GlobalAvgPool": lambda x, p: x.mean((1, 2)),
    "ScaleShift": lambda x, p: x * p["scale"] + p["shift"],
    "ReLU": lambda x, p: F.relu(x),
    "LeakyReLU": lambda x, p: F.leaky_relu(x, 0.25),
    "Sigmoid": lambda x, p: torch.sigmoid(x),
    "Tanh": lambda x, p: torch.tanh(x),
    "Softmax": lambda x, p: torch.softmax(x, -1),
    "Flatten": lambda x, p: x.flatten(1),
    "Reshape": lambda x, p: x.reshape(-1, 10, 12),
    "Dropout": lambda x, p: x,
    "Embedding": lambda x, p: F.embedding(x.long(), p["weight"]),
    "OneHot": lambda x, p: F.one_hot(x.long(), 9).double() + 0 * p["weight"].sum(),
    "RNN": rnn,
    "Rectified RNN": rectified_rnn,
    "GRU, reset before": gru_reset_before,
    "GRU, reset after": lambda x, p: gru_reset_after(x, p)[:, -1],
    "LSTM": lstm(2),
    "LSTM with peepholes": lstm_with_peepholes,
    "LSTM, last step": lambda x, p: lstm(1)(x, p)[:, -1],
    "Residual": lambda x, p: x + dense(x, p, "body."),
    "Residual with shortcut": lambda x, p: dense(x, p, "body.") + dense(x, p, "shortcut."),
    "Sequential": sequential,
    "Conv2D dilated": conv((2, 3), (2, 1), (2, 0, 1, 1), dilation=(3, 2)),
    "Conv2D dilated and depthwise": conv((2, 2), pad=(0, 0, 0, 0), groups=4, dilation=(2, 2)),
    "ConvTranspose2D": conv_transpose((3, 2), (2, 3), (slice(None), slice(-1))),
    "ConvTranspose2D cut": conv_transpose((1, 1), (2, 1), (slice(1, None), slice(2, -1))),
    "MaxPool2D dilated": lambda x, p: images(lambda z: F.max_pool2d(z, 2, 1, 1, (2, 3)))(x),
    "AvgPool2D that does not count padding": lambda x, p: (
        9 * images(lambda z: F.avg_pool2d(F.pad(z, (1, 1, 2, 1)), 3, 2))(x) * p["reciprocal"]
    ),
    "GlobalMaxPool": lambda x, p: x.amax((1, 2)),
    "Mean": lambda x, p: x.sum((1, 2), keepdim=True) * p["reciprocal"],
    "PReLU": lambda x, p: F.relu(x) - F.relu(-x) * p["slope"],
    "Clip": lambda x, p: torch.minimum(torch.maximum(x, p["low"]), p["high"]),
    "Clip above": lambda x, p: torch.minimum(x, p["high"]),
    "Elu": lambda x, p: F.relu(x) + (torch.exp(-F.relu(-x)) - 1) * p["alpha"],
    "Erf": lambda x, p: torch.erf(x),
    "Gelu": lambda x, p: F.gelu(x),
    "Softplus": lambda x, p: F.softplus(x),
    "Exp": lambda x, p: torch.exp(x),
    "Reciprocal": lambda x, p: 1 / x,
    "Step": lambda x, p: (x > 0) + 0 * x,
    "Abs": lambda x, p: x.abs(),
    "Log": lambda x, p: torch.log(positive(x, p)),
    "Sqrt": lambda x, p: torch.sqrt(positive(x, p)),
    "ReciprocalSqrt": lambda x, p: torch.rsqrt(positive(x, p)),
    "LogSoftmax": lambda x, p: torch.log_softmax(x, -1),
    "Softmax with a mask": lambda x, p: torch.softmax(x.masked_fill(p["mask"] == 0, -torch.inf), -1),
    "LayerNorm": lambda x, p: (
        standardized(x - x.sum(-1, keepdim=True) * p["share"], p) * p["gain"] + p["bias"]
    ),
    "LayerNorm without gain and bias": lambda x, p: standardized(x - x.sum(-1, keepdim=True) * p["share"], p),
    "RMSNorm": lambda x, p: standardized(x, p) * p["gain"],
    "Largest": lambda x, p: x.amax((1, 3), keepdim=True),
    "Transpose": lambda x, p: x.permute(0, 3, 1, 2),
    "Transpose before a dense layer": lambda x, p: dense(x.permute(0, 2, 1), p, "1."),
    "Transpose and flatten": lambda x, p: dense(x.permute(0, 3, 1, 2).flatten(1), p, "2."),
    "Slice": lambda x, p: x[:, :, 1:5:2],
    "Slice backwards": lambda x, p: x.flip(1),
    "Slice of channels": lambda x, p: x[..., 1:3],
    "Select": lambda x, p: x[:, [0, 2, 4, 3, 3, 1]],
    "Select channels": lambda x, p: x[..., [3, 0, 1, 1]],
    "Select repeated": lambda x, p: x.repeat_interleave(2, 2),
    "Pad": lambda x, p: F.pad(x, (0, 0, 0, 1, 1, 2)),
    "Pad channels and cut rows": lambda x, p: F.pad(x[:, 1:], (1, 2)),
    "Pad with a value": lambda x, p: F.pad(x, (1, 0)) + p["fill"],
    "Heads apart, and their mean": lambda x, p: x.sum(1, keepdim=True) * p["mean.reciprocal"],
    "Pixels shuffled, then mirrored": lambda x, p: (
        x.reshape(-1, 3, 2, 2, 2, 2).permute(0, 1, 3, 2, 4, 5).reshape(-1, 6, 4, 2).flip(1)
    ),
    "Graph": graph,
    "Graph of joins": joins,
    "Graph of attention": lambda x, p: dense(x, p, "query.") @ dense(x, p, "key.").transpose(1, 2) @ x,
    "Graph of a gate over an image": gate,
    "Graph with a recurrent layer": lambda x, p: lstm(1, 4, 2, "lstm.")(
        torch.tanh(dense(dense(x, p, "first."), p, "again.a.")), p
    )[:, -1],
    "Graph with last states": lstm(1, prefix="lstm.", states=True),
    "text model": lambda x, p: dense(
        lstm(1, 4, 5, "lstm.")(F.embedding(x.long(), p["embedding.weight"]), p), p, "head."
    ),
}


# Networks whose parameters are not any numbers: a mask, a share, the ends of a table's domain.
FIXED = (
    "OneHot", "Log", "Sqrt", "ReciprocalSqrt", "Softmax with a mask", "LayerNorm", "LayerNorm without gain and bias",
    "RMSNorm",
)  # fmt: skip


def test_no_layer_of_the_battery_is_left_out() -> None:
    assert set(TWINS) == set(CASES)


@pytest.mark.parametrize("name", TWINS)
def test_values_and_gradients_are_autograd_s(name: str) -> None:
    case = CASES[name]
    net = case.build(Initialiser(3, np.float64))
    rng = np.random.default_rng(8)
    values = {
        path: p.data if name in FIXED or "Pool" in name else rng.standard_normal(p.shape)
        for path, p in parameters(net, trained_only=False).items()
    }
    net = rebuild(net, {path: Tensor(value.copy()) for path, value in values.items()})
    x = Tensor(case.floats())
    theirs = {path: torch.tensor(value, requires_grad=True) for path, value in values.items()}
    their_x = torch.tensor(x.data, requires_grad=not case.ids)
    y, their_y = net(x), TWINS[name](their_x, theirs)
    assert close(y.data, their_y)
    weights = rng.standard_normal(y.shape)
    (y * Tensor(weights)).sum().backward()
    (their_y * torch.tensor(weights)).sum().backward()
    if not case.ids:
        assert close(x.grad, their_x.grad)
    if "Pool" in name or name in ("OneHot", "Softmax with a mask"):
        return  # their constants are not parameters in PyTorch
    for path, parameter in parameters(net, trained_only=False).items():
        assert close(parameter.grad, theirs[path].grad), path


def test_batch_normalisation_in_training_is_autograd_s() -> None:
    rng = np.random.default_rng(1)
    gain, bias, x = rng.standard_normal(4), rng.standard_normal(4), rng.standard_normal((3, 5, 2, 4))
    net = training_mode(
        layers.BatchNorm(Tensor(gain), Tensor(bias), Tensor(np.zeros(4)), Tensor(np.ones(4))), rng
    )
    ours = Tensor(x)
    t_gain, t_bias, t_x = (torch.tensor(v, requires_grad=True) for v in (gain, bias, x))
    mean, variance = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    y = net(ours)
    their_y = images(lambda z: F.batch_norm(z, mean, variance, t_gain, t_bias, True, 0.1, 1e-5))(t_x)
    assert close(y.data, their_y)
    weights = rng.standard_normal(x.shape)
    (y * Tensor(weights)).sum().backward()
    (their_y * torch.tensor(weights)).sum().backward()
    assert close(ours.grad, t_x.grad)
    assert close(net.gain.grad, t_gain.grad)
    assert close(net.bias.grad, t_bias.grad)
    assert close(net.mean.data, mean)
    # PyTorch keeps the unbiased variance, this project the one it normalises with.
    assert close(0.9 + (net.variance.data - 0.9) * 30 / 29, variance)


# ---- losses -----------------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
LOGITS = 2 * RNG.standard_normal((6, 4))
LOSSES: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "cross_entropy": (np.array([3, 0, -1, 1, 2, -1]), lambda z, y: F.cross_entropy(z, y, ignore_index=-1)),
    "binary_cross_entropy": (RNG.integers(0, 2, (6, 4)).astype(float), F.binary_cross_entropy_with_logits),
    "mean_squared_error": (RNG.standard_normal((6, 4)), F.mse_loss),
    "hinge": (RNG.choice([-1.0, 1.0], (6, 4)), lambda z, y: F.relu(1 - z * y).mean()),
}


def test_no_loss_is_left_out() -> None:
    assert set(LOSSES) == set(losses.LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_autograd_s(name: str) -> None:
    target, twin = LOSSES[name]
    ours, theirs = Tensor(LOGITS.copy()), torch.tensor(LOGITS, requires_grad=True)
    value, their_value = losses.LOSSES[name](ours, target), twin(theirs, torch.tensor(target))
    assert close(value.data, their_value)
    value.backward()
    their_value.backward()
    assert close(ours.grad, theirs.grad)


# ---- optimisers -------------------------------------------------------------------------------------------

RIVALS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05),
    "momentum": lambda p: torch.optim.SGD(p, 0.05, 0.9),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, 0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.05, alpha=0.99, eps=1e-8),
    "adam": lambda p: torch.optim.Adam(p, 0.05),
    "adamw": lambda p: torch.optim.AdamW(p, 0.05, weight_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_twenty_steps_end_where_pytorch_s_do(name: str) -> None:
    start, target = RNG.standard_normal((3, 4)), RNG.standard_normal((3, 4))
    ours, theirs = Tensor(start.copy()), torch.tensor(start, requires_grad=True)
    optimiser, rival = OPTIMISERS[name](0.05), RIVALS[name]([theirs])
    for _ in range(20):
        ((ours - Tensor(target)) ** 4).sum().backward()
        optimiser.step({"w": ours})
        rival.zero_grad()
        ((theirs - torch.tensor(target)) ** 4).sum().backward()
        rival.step()
    assert close(ours.data, theirs)


def test_clipping_is_pytorch_s() -> None:
    gradient = RNG.standard_normal((3, 4))
    ours, theirs = Tensor(np.zeros((3, 4))), torch.zeros(3, 4, dtype=torch.float64)
    ours.grad, theirs.grad = gradient.copy(), torch.tensor(gradient)
    norm = clip_gradients({"w": ours}, 0.7)
    assert norm == pytest.approx(float(torch.nn.utils.clip_grad_norm_([theirs], 0.7)))
    assert np.allclose(ours.grad, theirs.grad, rtol=1e-5)  # PyTorch adds 1e-6 to the norm
