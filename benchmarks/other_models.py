# SPDX-License-Identifier: MIT
"""Models of other people beside their own runtimes: `python -m benchmarks.other_models FOLDER`.

Every .onnx and .tflite file of the folder is imported and compared, tensor by tensor, for random samples. Sizes and
settings that a file leaves open are in OPEN. The exit status is 1 if a file is refused or differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.interchange.comparison import compare
from fixedpoint_nn.interchange.contents import contents

SAMPLES = 2
STREAMED = 60  # samples of a model that keeps variables, one after the other
IMAGE = {"shapes": {"x": (1, 3, 96, 160)}}
VOICE = {"shapes": {"input": (1, 576), "state": (2, 1, 128)}, "constants": {"sr": 16000}}
# What has to be said about a file whose name contains this text.
OPEN: dict[str, dict[str, Any]] = {
    "320n": {"shapes": {"images": (1, 3, 160, 160)}},
    "_det_": IMAGE,
    "_rec_": {"shapes": {"x": (1, 3, 48, 160)}},
    "_cls_": {"shapes": {"x": (1, 3, 48, 96)}},
    "silero_vad_half": {"shapes": VOICE["shapes"]},
    "silero_vad_openvino": {},
    "_sequence": {},
    "silero_vad": VOICE,
}


def outcome(path: Path) -> tuple[bool, str]:
    """Whether a file is equal to its runtime, and in words."""
    given = next((about for name, about in OPEN.items() if name in path.stem), {})
    try:
        found = contents(path, **given)
        if found.refusals:
            return False, f"refused: {'; '.join(found.refusals)}"
        streamed = any(entry.startswith("the variable ") for entry in found.inputs)
        samples = _samples(found, STREAMED if streamed else SAMPLES)
        outside = len(found.inputs) - sum(entry.startswith("the variable ") for entry in found.inputs)
        return _judged(path, samples[:outside], given.get("constants"))
    except (ValueError, ImportError) as error:
        return False, f"refused: {error}"


def _judged(path: Path, samples: list[Any], constants: Any) -> tuple[bool, str]:
    found = compare(path, samples, constants=constants)
    return found.equal, str(found)


def _samples(found: Any, count: int) -> list[Any]:
    """Random samples of every input: floats, small whole numbers, or codes."""
    rng = np.random.default_rng(0)
    made: list[Any] = []
    for number, shape in enumerate(found.shapes):
        whole = found.whole[number] if number < len(found.whole) else False
        codes = found.kind == "tflite" and whole
        if codes:
            ends = np.iinfo(found.inputs[number].rsplit(" (", 1)[0].rsplit(" ", 1)[1])
            made.append(rng.integers(ends.min, ends.max + 1, (count, *shape)).astype(ends.dtype))
        elif whole:
            made.append(rng.integers(0, 256, (count, *shape)).astype(np.int32))
        else:
            made.append(rng.standard_normal((count, *shape)).astype(np.float32))
    return made


def main(arguments: list[str]) -> int:
    """Compare every file of a folder; returns the exit status."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("python -m benchmarks.other_models FOLDER, with .onnx and .tflite files in it", file=sys.stderr)
        return 2
    files = sorted(path for path in Path(arguments[0]).iterdir() if path.suffix in (".onnx", ".tflite"))
    failed = 0
    for path in files:
        equal, text = outcome(path)
        failed += not equal
        print(f"{path.name}: {text[:300]}", flush=True)
    print(f"{len(files) - failed} of {len(files)} files are equal to their runtimes")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
