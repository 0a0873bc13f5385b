# SPDX-License-Identifier: MIT
"""`load_model`: a network from a file of any supported format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from fixedpoint_nn.interchange.tflite import from_tflite
from fixedpoint_nn.interchange.tflite.file import IDENTIFIER
from fixedpoint_nn.network.serialization import load


def _from_onnx(path: Path, **given: Any) -> Any:
    from fixedpoint_nn.interchange.onnx.importing import from_onnx  # imports `onnx`, which is slow

    return from_onnx(path, **given)


READERS: dict[str, Callable[..., Any]] = {
    "safetensors": load,
    "tflite": from_tflite,
    "onnx": _from_onnx,
}


def load_model(
    path: str | os.PathLike[str],
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    constants: Mapping[str, ArrayLike] | None = None,
    softmax: bool = True,
    outputs: Sequence[str] | None = None,
) -> Any:
    """The network in a .onnx, QONNX, .tflite or .safetensors file: quantised if the file is, else over floats.

    The format is recognised by the content or the name of the file. `shapes` and `constants` are those of `from_onnx`.
    `outputs` names values of the file to compute in place of its own outputs. With `softmax=False` a softmax at the
    end of a quantised file is omitted.

    >>> net = load_model("model.onnx")  # doctest: +SKIP
    """
    kind = kind_of(path)
    if (shapes or constants) and kind != "onnx":
        raise ValueError(f"{path} says all of its shapes and values; they are given for .onnx files only")
    given: dict[str, Any] = {"shapes": shapes, "constants": constants} if kind == "onnx" else {}
    if kind != "safetensors":
        given |= {"softmax": softmax, "outputs": outputs}
    elif outputs:
        raise ValueError(f"{path} is this project's own network, whose outputs are its last layer's")
    return READERS[kind](Path(path), **given)


def kind_of(path: str | os.PathLike[str]) -> str:
    """The key of the reader for this file, such as "onnx"."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            first = file.read(8)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    if first[4:] == IDENTIFIER:
        return "tflite"
    kind = path.suffix.removeprefix(".").lower()
    if kind not in READERS:
        known = ", ".join(f".{name}" for name in READERS)
        raise ValueError(f"{path} is not a network file of a known kind; known are {known}")
    return kind
