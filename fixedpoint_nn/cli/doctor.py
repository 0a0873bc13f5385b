# SPDX-License-Identifier: MIT
"""`fixedpoint-nn doctor`: what is installed and where, and whether the main flow works.

The main flow (train, quantise, emit, verify in Icarus Verilog) is run with one small layer. The exit status is 0 if it
works, 3 if something that it needs is missing or broken, 1 if the Verilog and the model differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fixedpoint_nn import layers
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.cli.errors import FAILURE, TOOL_MISSING
from fixedpoint_nn.cli.findings import Findings, findings
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.files.scratch import PlaceError
from fixedpoint_nn.hardware.sim.rtl_model import RtlModel
from fixedpoint_nn.hardware.sim.run import SimulationError
from fixedpoint_nn.hardware.sim.toolchain import ToolError
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.native.library import KernelError
from fixedpoint_nn.numerics.qformat import Q
from fixedpoint_nn.numerics.quantizer import Quantizer

WORKS = "a layer on the Verilog, in Icarus, equals its model in every bit"


def add(commands: Commands) -> None:
    """Add the command to the program."""
    command(
        commands,
        "doctor",
        "say what is installed, where everything lies, and whether the main job works",
        "fixedpoint-nn doctor --json",
        run,
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    status, sentence = trial()
    results = findings() | {"works": status == 0, "trial": sentence}
    show(arguments, results, "\n".join(lines(results)))
    return status


def trial() -> tuple[int, str]:
    """Run the main flow with a layer of two inputs and three outputs; returns (exit status, sentence)."""
    word = Q(4, 4)
    weight = FixedArray.from_ints([[17, -33, 49], [-64, 81, -97]], word)
    bias = FixedArray.from_ints([5, -6, 7], word)
    fixed = Quantized(layers.Dense(weight, bias, out=Quantizer(word, name="out")), Quantizer(word))
    x = FixedArray.from_ints([[16, -24], [-128, 127], [3, 90]], word)
    try:
        got, expected = RtlModel(fixed, lanes=1)(x).ints, fixed(x).ints
    except (ToolError, PlaceError, KernelError) as error:
        return TOOL_MISSING, f"NOT READY: {error}"
    except SimulationError as error:
        return FAILURE, f"FAIL: {error}"
    if np.array_equal(got, expected):
        return 0, f"PASS: {WORKS}"
    return FAILURE, f"FAIL: a layer gives {got.tolist()} on the Verilog and {expected.tolist()} in the model"


def lines(results: Findings) -> Iterator[str]:
    """The findings as text, one subject per line, with the trial last."""
    python, processor, kernels = results["python"], results["processor"], results["kernels"]
    rows = [
        ("fixedpoint_nn", f"{results['fixedpoint_nn']} in {results['place']}"),
        ("Python", f"{python['version']} ({python['path']}), NumPy {results['numpy']}"),
        ("system", results["system"]),
        ("processor", f"{processor['name']}, {processor['usable_cores']} of {processor['cores']} cores"),
        ("kernels", _kernels(**kernels)),
        *(
            ("threads", f"{blas['threads']} for {blas['library']} {blas['version']}")
            for blas in results["blas"]
        ),
        *((tool["title"], _tool(tool)) for tool in results["tools"].values()),
        *((name, _cache(cache)) for name, cache in results["caches"].items()),
        ("data folder", _folder(results["data"])),
        ("temporary", _folder(results["temporary"])),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield f"{name:<{width}}  {text}"
    yield results["trial"]


def _kernels(name: str, reason: str) -> str:
    return reason if reason.startswith(name) else f"{name}, because: {reason}"


def _tool(tool: Mapping[str, Any]) -> str:
    if tool["missing"]:
        return f"{'needed' if tool['needed'] else 'not needed for the main job'}: {tool['missing']}"
    return f"{tool['version']} ({tool['path']})"


def _cache(cache: Mapping[str, Any]) -> str:
    if not cache["place"]:
        return f"none, because {cache['fault']}"
    limit = f" of {cache['limit'] / 1e6:.0f}" if cache.get("limit") else ""
    text = f"{cache['place']}, {cache['bytes'] / 1e6:.1f}{limit} MB in {cache['files']} files"
    return f"{text}; not used, because {cache['fault']}" if cache["fault"] else text


def _folder(folder: Mapping[str, Any]) -> str:
    return f"{folder['place'] or 'none'}{'; ' + folder['fault'] if folder['fault'] else ''}"
