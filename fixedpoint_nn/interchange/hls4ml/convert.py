# SPDX-License-Identifier: MIT
"""Conversion of an hls4ml model to a quantised network with equal integers, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.interchange.affine.constants import Unsuited
from fixedpoint_nn.interchange.affine.sums import sums_of
from fixedpoint_nn.interchange.hls4ml.accumulated import AccumulatedConv2D, AccumulatedDense, Affine, Cast
from fixedpoint_nn.interchange.hls4ml.curves import REACH, curve, softmax
from fixedpoint_nn.interchange.hls4ml.recurrent import AccumulatedGRU, AccumulatedLSTM
from fixedpoint_nn.interchange.unsupported import UnsupportedModel
from fixedpoint_nn.layers import Graph, Node
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.accumulator import Accumulator
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Quantizer


def from_hls4ml(model: Any, *, softmax: bool = True) -> Quantized:
    """The quantised network of an hls4ml model, or of the configuration (a dictionary) of one.

    It computes the integers of `model.predict`: products and sums in the accumulator's type, from the bias on, in the
    order of the C++ of the latency strategy. It takes floats, which the input's type rounds. With `softmax=False` a
    softmax at the end is omitted. Raises `UnsupportedModel` for layers without an exact form.

    >>> fixed = from_hls4ml(hls_model)  # doctest: +SKIP
    >>> np.array_equal(fixed(x).to_float(), hls_model.predict(x))  # doctest: +SKIP
    True
    """
    if isinstance(model, Mapping):
        try:
            convert_from_config = import_module("hls4ml.converters").convert_from_config
        except ImportError:
            raise ImportError(
                "a configuration takes the package 'hls4ml': pip install hls4ml, or give the model that it made"
            ) from None
        model = convert_from_config(dict(model))
    if not hasattr(model, "get_layers"):
        raise TypeError(
            f"from_hls4ml takes a model of hls4ml, or its configuration, not a {type(model).__name__}"
        )
    return _Hls4mlConversion(list(model.get_layers()), softmax).network()


@dataclass
class _Hls4mlConversion:
    """The state of a conversion: nodes, quantizers, formats and shapes by the names of hls4ml's variables."""

    given: list[Any]
    softmax: bool
    parts: dict[str, Node] = field(default_factory=dict)
    inputs: dict[str, Quantizer] = field(default_factory=dict)
    formats: dict[str, QFormat] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def network(self) -> Quantized:
        """The converted network; raises `UnsupportedModel` with all problems."""
        if not self.softmax and self.given[-1].class_name == "Softmax":
            self.given = self.given[:-1]
        for layer in self.given:
            try:
                self._convert(layer)
            except (Unsuited, ValueError) as reason:
                self.problems.append(f"{layer.class_name} {layer.name!r} {reason}")
        if self.problems:
            raise UnsupportedModel.of("layer", self.problems)
        if not self.inputs or not self.parts:
            raise UnsupportedModel("the model has no input, or no layer")
        first, *further = self.inputs.values()
        shapes = [self.shapes[name] for name in self.inputs]
        net = Graph(self.parts, tuple(self.nodes[name] for name in self.inputs))
        return Quantized(net, first, further=tuple(further), shape=shapes[0] if len(shapes) == 1 else None)

    def _convert(self, layer: Any) -> None:
        """Add one layer of hls4ml as a node, or as an input of the network."""
        (output,) = layer.outputs
        variable = layer.get_output_variable(output)
        quantizer = _quantizer(variable.type.precision, f"{layer.name}.out")
        name = str(layer.name).strip("_") or "layer"
        while name in self.parts or name in self.nodes.values():
            name += "_"
        shape = tuple(int(size) for size in variable.shape)
        if layer.class_name in ("Input", "InputLayer"):
            self.inputs[output] = quantizer
        else:
            convert = CONVERTERS.get(layer.class_name)
            if convert is None:
                raise Unsuited("is a kind of layer that is not supported")
            missing = [source for source in layer.inputs if source not in self.formats]
            if missing:
                return  # its layer was refused
            step = _Hls4mlStep(
                layer,
                quantizer,
                [self.formats[i] for i in layer.inputs],
                [self.shapes[i] for i in layer.inputs],
            )
            made = convert(step)
            self.parts[name] = Node(made, tuple(self.nodes[source] for source in layer.inputs))
        self.nodes[output], self.formats[output], self.shapes[output] = name, quantizer.format, shape


@dataclass
class _Hls4mlStep:
    """One layer of hls4ml, the quantizer of its result, and the formats and shapes of its inputs."""

    layer: Any
    out: Quantizer
    formats: list[QFormat]
    shapes: list[tuple[int, ...]]

    def number(self, name: str, default: int | None = None) -> int:
        """An integer attribute of the layer."""
        value = self.layer.get_attr(name, default)
        if value is None:
            raise Unsuited(f"lacks its {name}")
        return int(value)

    def weight(self, name: str) -> FixedArray:
        """A parameter, quantised to its type."""
        variable = self.layer.weights[name]
        quantizer = _quantizer(variable.type.precision, name)
        return FixedArray.from_float(np.asarray(variable.data, np.float64), quantizer)


def _quantizer(precision: Any, name: str) -> Quantizer:
    """The quantizer for a precision of hls4ml."""
    try:
        found = Quantizer.parse(str(precision))
    except ValueError as error:
        raise Unsuited(f"has the type {precision}, which is not modelled: {error}") from None
    return Quantizer(found.format, found.rounding, found.overflow, name)


def _accumulated(
    step: _Hls4mlStep, weight: FixedArray, bias_of: str = "bias", source: QFormat | None = None
) -> tuple[FixedArray, Accumulator | None]:
    """(bias in the accumulator's type, accumulator); the accumulator is None if it can neither round nor overflow."""
    if step.layer.get_attr("strategy", "latency") not in ("latency", "Latency", "resource", "Resource"):
        raise Unsuited(
            f"has the strategy {step.layer.get_attr('strategy')!r}, and latency and resource are supported"
        )
    kind = _quantizer(step.layer.get_attr("accum_t").precision, f"{step.layer.name}.accum")
    bias = step.weight(bias_of).cast(kind)
    source = source or step.formats[0]
    products = source.frac_bits + weight.format.frac_bits
    if kind.format.frac_bits >= products:
        up = kind.format.frac_bits - products
        wide = weight.ints.astype(object) << up
        low, high = sums_of(wide.T, bias.ints.astype(object), source.int_min, source.int_max)
        most = sum(abs(end) for end in (low, high)) * 2  # in any order of the sum
        if most <= kind.format.int_max:
            return bias, None
    return bias, Accumulator(kind.format, kind.overflow, kind)


def _dense(step: _Hls4mlStep) -> Any:
    weight = step.weight("weight")
    if len(step.shapes[0]) != 1 or weight.ndim != 2:
        raise Unsuited(
            f"takes a value of shape {step.shapes[0]}, and a row is supported; use a flattened one"
        )
    bias, accumulator = _accumulated(step, weight)
    if accumulator is None:
        return layers.Dense(weight, bias, step.out)
    return AccumulatedDense(weight, bias, step.out, accumulator)


def _conv(step: _Hls4mlStep) -> Any:
    """Convert a convolution, with the padding that hls4ml states."""
    if str(step.layer.get_attr("data_format", "channels_last")) != "channels_last":
        raise Unsuited("has its channels first; convert the model with ChannelsLastConversion 'full'")
    kernel = step.number("filt_height"), step.number("filt_width")
    stride = step.number("stride_height"), step.number("stride_width")
    edges = (
        (step.number("pad_top", 0), step.number("pad_bottom", 0)),
        (step.number("pad_left", 0), step.number("pad_right", 0)),
    )
    raw = step.weight("weight")
    if raw.ndim != 4:
        raise Unsuited(f"has weights of shape {raw.shape}")
    weight = raw.reshape(-1, raw.shape[-1])
    bias, accumulator = _accumulated(step, weight)
    if accumulator is None:
        return layers.Conv2D(weight, bias, kernel, stride, edges, out=step.out)
    return AccumulatedConv2D(weight, bias, kernel, stride, edges, step.out, accumulator)


def _activation(step: _Hls4mlStep) -> Any:
    kind = str(step.layer.get_attr("activation")).lower()
    if kind in REACH:
        return _curve(step, kind, step.out)
    if kind not in ("relu", "linear"):
        raise Unsuited(f"has the activation {kind!r}, and relu, linear, sigmoid and tanh are supported")
    return Cast(step.out, kind == "relu")


def _curve(step: _Hls4mlStep, kind: str, out: Quantizer) -> Any:
    """The layer of a sigmoid or tanh table."""
    if kind not in REACH:
        raise Unsuited(f"has the activation {kind!r}, and sigmoid and tanh are supported")
    kept = _quantizer(step.layer.get_attr("table_t").precision, f"{step.layer.name}.table")
    return curve(kind, step.number("table_size"), kept, out)


def _softmax(step: _Hls4mlStep) -> Any:
    """The layer of a softmax; some of its types stand only in its C++ configuration."""
    text = str(step.layer.get_attr("config_cpp", ""))
    found = dict(re.findall(r"(\w+) = ([^;]+);", text))
    if found.get("implementation", "").rpartition("::")[2] != "stable":
        raise Unsuited(
            f"is a softmax of the implementation {found.get('implementation')}, and stable is supported"
        )
    if found.get("n_outer", "1") != "1" or found.get("n_inner", "1") != "1":
        raise Unsuited("is a softmax of several rows")
    norm = re.search(r"typedef (\S+ ?\S*) inp_norm_t;", text)
    types = {
        name: _quantizer(step.layer.get_attr(name).precision, f"{step.layer.name}.{name}")
        for name in ("exp_table_t", "inv_table_t", "inv_inp_t", "accum_t")
    }
    types["inp_norm_t"] = _quantizer(norm.group(1) if norm else "", f"{step.layer.name}.norm")
    first, second = (int(found[name]) for name in ("exp_table_size", "inv_table_size"))
    return softmax(types, first, second, step.out, step.shapes[0][-1], float(found.get("exp_scale", "1")))


def _recurrent(step: _Hls4mlStep) -> dict[str, Any]:
    """The arguments that both kinds of recurrent layers share."""
    layer = step.layer
    for name, plain in (("direction", "forward"), ("pass_initial_states", False), ("return_state", False)):
        if layer.get_attr(name, plain) != plain:
            raise Unsuited(f"has the {name} {layer.get_attr(name)!r}, and {plain!r} is supported")
    shape = step.number("n_timesteps"), step.number("n_in")
    if step.shapes[0] != shape:
        raise Unsuited(
            f"takes {shape} of a value of shape {step.shapes[0]}; convert the model with channels_last_conversion='off'"
        )
    accum = _quantizer(layer.get_attr("accum_t").precision, f"{layer.name}.accum")
    products = []
    for weight_of, bias_of, source in (
        ("weight", "bias", step.formats[0]), ("recurrent_weight", "recurrent_bias", step.out.format)
    ):  # fmt: skip
        weight = step.weight(weight_of)
        bias, accumulator = _accumulated(step, weight, bias_of, source)
        given = (weight, bias, accum)
        products.append(
            layers.Dense(*given) if accumulator is None else AccumulatedDense(*given, accumulator)
        )
    gates, candidate = (str(layer.get_attr(name)).lower() for name in ("recurrent_activation", "activation"))
    return {
        "from_input": products[0], "from_state": products[1], "gates": _curve(step, gates, accum),
        "candidate": _curve(step, candidate, accum), "units": step.number("n_out"),
        "whole": bool(layer.get_attr("return_sequences", False)), "sums": accum, "state": step.out,
    }  # fmt: skip


def _lstm(step: _Hls4mlStep) -> Any:
    about = _recurrent(step)
    return AccumulatedLSTM(**about, cell_curve=about["candidate"])


def _gru(step: _Hls4mlStep) -> Any:
    if step.layer.get_attr("apply_reset_gate", "after") != "after":
        raise Unsuited("applies its reset gate before the product, which hls4ml does not compute either")
    return AccumulatedGRU(**_recurrent(step), reset_first=bool(step.layer.get_attr("pytorch", False)))


def _normalisation(step: _Hls4mlStep) -> Any:
    return Affine(step.weight("scale"), step.weight("bias"), step.out)


def _pooling(step: _Hls4mlStep) -> Any:
    if str(step.layer.get_attr("pool_op")).lower() != "max":
        raise Unsuited("takes means, and maxima are supported")
    if any(step.number(name, 0) for name in ("pad_top", "pad_bottom", "pad_left", "pad_right")):
        raise Unsuited("pads, and pooling without padding is supported")
    kernel = step.number("pool_height"), step.number("pool_width")
    stride = step.number("stride_height"), step.number("stride_width")
    return layers.Sequential(max=layers.MaxPool2D(kernel, stride), out=Cast(step.out))


def _reshape(step: _Hls4mlStep) -> Any:
    shape = tuple(int(size) for size in step.layer.get_output_variable().shape)
    return layers.Sequential(shape=layers.Reshape(shape), out=Cast(step.out))


def _transpose(step: _Hls4mlStep) -> Any:
    axes = tuple(int(axis) + 1 for axis in step.layer.get_attr("perm"))
    return layers.Sequential(axes=layers.Transpose((0, *axes)), out=Cast(step.out))


def _merge(step: _Hls4mlStep) -> Any:
    if str(step.layer.get_attr("op")).lower() != "add":
        raise Unsuited(f"merges by {step.layer.get_attr('op')}, and add is supported")
    return layers.Add(step.out)


CONVERTERS: dict[str, Callable[[_Hls4mlStep], Any]] = {
    "Dense": _dense,
    "Conv2D": _conv,
    "Activation": _activation,
    "BatchNormalization": _normalisation,
    "Pooling2D": _pooling,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Merge": _merge,
    "Softmax": _softmax,
    "LSTM": _lstm,
    "GRU": _gru,
}
