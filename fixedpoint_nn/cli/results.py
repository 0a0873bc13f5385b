# SPDX-License-Identifier: MIT
"""Output of results: text, or with --json a single object on stdout."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn.cli.terminal import fitted


def show(arguments: argparse.Namespace, results: Mapping[str, Any], text: str) -> None:
    """Print the results as JSON with --json, else the text."""
    if arguments.json:
        print(json.dumps(dict(results), indent=1, ensure_ascii=False, default=_plain))
    elif text:
        print(fitted(text, sys.stdout))


def _plain(value: Any) -> Any:
    """NumPy numbers, arrays and paths as JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is no result that JSON can hold")
