# SPDX-License-Identifier: MIT
"""The activation functions of recurrent layers: their names, their parameters, and the clip before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.onnx.operators.activations import leaky, scalar
from fixedpoint_nn.interchange.onnx.step import OnnxStep
from fixedpoint_nn.interchange.onnx.value import Refused


def _hard_sigmoid(alpha: float, beta: float) -> Any:
    line = layers.ScaleShift(scalar(alpha), scalar(beta))
    return layers.Sequential(line=line, clip=layers.Clip(scalar(0.0), scalar(1.0)))


def _scaled_tanh(alpha: float, beta: float) -> Any:
    inner, outer = (layers.ScaleShift(scalar(factor), scalar(0.0)) for factor in (beta, alpha))
    return layers.Sequential(inner=inner, tanh=layers.Tanh(), outer=outer)


# The layer of each function by its name in lower case, and the defaults of alpha and beta where it has them.
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[float, ...]]] = {
    "sigmoid": (layers.Sigmoid, ()),
    "tanh": (layers.Tanh, ()),
    "relu": (layers.Rectifier, ()),
    "softplus": (layers.Softplus, ()),
    "leakyrelu": (leaky, (0.01,)),
    "elu": (lambda alpha: layers.Elu(scalar(alpha)), (1.0,)),
    "affine": (lambda alpha, beta: layers.ScaleShift(scalar(alpha), scalar(beta)), (1.0, 0.0)),
    "hardsigmoid": (_hard_sigmoid, (0.2, 0.5)),
    "scaledtanh": (_scaled_tanh, (1.0, 1.0)),
}


def gate_functions(step: OnnxStep, usual: list[str], count: int) -> list[list[Any]]:
    """The layers of the activation functions, for each of `count` directions; `usual` are the operator's own."""
    names = [str(name) for name in step.attribute("activations", usual * count)]
    if len(names) != len(usual) * count:
        raise Refused(f"its activations are {names}, and {len(usual) * count} are needed")
    alphas, betas = (iter(step.attribute(f"activation_{name}") or ()) for name in ("alpha", "beta"))
    limit = float(step.attribute("clip") or 0.0)
    if limit < 0:
        raise Refused(f"its clip is {limit}, and a limit above 0 is needed")
    made = []
    for name in names:
        if name.lower() not in FUNCTIONS:
            raise Refused(f"its activation is {name!r}, and {', '.join(FUNCTIONS)} are supported")
        layer, defaults = FUNCTIONS[name.lower()]
        function = layer(*(float(next(values, own)) for values, own in zip((alphas, betas), defaults)))
        if limit:
            within = layers.Clip(scalar(-limit), scalar(limit))
            function = layers.Sequential(clip=within, function=function)
        made.append(function)
    return [made[start : start + len(usual)] for start in range(0, len(made), len(usual))]


def coupled(step: OnnxStep, usual: list[str]) -> bool:
    """Whether the forget gate of an LSTM is 1 - its input gate, which sigmoid(-z) = 1 - sigmoid(z) then gives."""
    if not step.attribute("input_forget", 0):
        return False
    names = step.attribute("activations", usual)
    if any(str(name).lower() != "sigmoid" for name in names[:: len(usual)]):
        raise Refused(f"its attribute input_forget is supported with a Sigmoid of the gates, not {names}")
    return True
