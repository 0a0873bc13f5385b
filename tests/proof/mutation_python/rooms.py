# SPDX-License-Identifier: MIT
"""The rooms that are mutated, and the tests that must notice: per module, the quickest first."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGE = "fixedpoint_nn"

ROOMS: dict[str, str] = {
    "numerics": "numerics",
    "numbers": "numbers",
    "compiler": "hardware/compiler",
}

# Tests besides the module's own, tests/ROOM/test_MODULE.py.
_FURTHER: dict[str, tuple[str, ...]] = {
    "numerics/accumulate": ("numerics/test_accumulator", "numerics/test_overflow_stats"),
    "numerics/arrays": ("numbers/test_indices", "numbers/fixed/test_array"),
    "numerics/bounded_ints": ("numerics/test_matmul", "numbers/fixed/test_array", "numerics/test_quantizer"),
    "numerics/conversion": (
        "numerics/test_overflow_stats",
        "numerics/test_quantizer",
        "numbers/fixed/test_array",
    ),
    "numerics/exact_functions": ("numerics/test_table",),
    "numerics/matmul": ("numerics/test_accumulator", "numbers/fixed/test_array"),
    "numerics/matmul_blocked": ("numerics/test_matmul",),
    "numerics/matmul_packed": ("numerics/test_matmul",),
    "numerics/native/operands": ("numerics/native/test_library", "numerics/test_deferred_product"),
    "numerics/native/scan": ("numbers/loops/test_loops",),
    "numerics/overflow": ("numerics/test_quantizer",),
    "numerics/overflow_stats": ("network/test_quantized",),
    "numerics/qformat": ("numbers/fixed/test_array",),
    "numerics/quantizer": ("numbers/fixed/test_array",),
    "numerics/requantize": ("numbers/fixed/test_array", "numerics/test_quantizer"),
    "numerics/rounding": ("numerics/test_quantizer",),
    "numbers/functions": ("numbers/tensor/test_tensor",),
    "numbers/image_windows": (
        "numbers/test_sliding_windows",
        "numbers/tensor/test_convolution",
        "numbers/fixed/test_array",
        "layers/test_layers",
    ),
    "numbers/indices": ("numbers/tensor/test_gradients_by_index",),
    "numbers/sliding_windows": (
        "numbers/fixed/test_array",
        "numbers/tensor/test_tensor",
        "layers/test_layers",
    ),
    "numbers/fixed": (
        "numbers/fixed/test_array",
        "numerics/test_fxpmath",
        "numerics/test_overflow_stats",
        "layers/test_layers",
    ),
    "numbers/loops": ("numbers/loops/test_loops",),
    "numbers/places": ("layers/test_graph",),
    "numbers/tensor": (
        "numbers/tensor/test_tensor",
        "numbers/tensor/test_gradients_by_index",
        "numbers/tensor/test_convolution",
        "layers/test_layers",
    ),
    "numbers/traced": ("numbers/traced/test_traced", "layers/test_layers"),
    "hardware/compiler": ("hardware/compiler",),
}


def modules(room: str) -> list[Path]:
    """The source files of a room."""
    if room not in ROOMS:
        raise SystemExit(f"{room!r} is no room that is mutated; use {', '.join(ROOMS)}")
    return sorted(path for path in (ROOT / PACKAGE / ROOMS[room]).rglob("*.py") if path.stem != "__init__")


def judges_of(module: Path) -> tuple[str, ...]:
    """The test files, relative to the root, that judge a module."""
    inside = module.relative_to(ROOT / PACKAGE).with_suffix("")
    names = [str(inside.parent / f"test_{inside.stem}")]
    names += _FURTHER.get(str(inside), _FURTHER.get(str(inside.parent), ()))
    found = [path for name in names for path in _files(ROOT / "tests" / name)]
    if not found:
        raise SystemExit(f"no test is known for {inside}.py; name one in {Path(__file__).name}")
    return tuple(dict.fromkeys(found))


def _files(path: Path) -> list[str]:
    """The test file of that name, or the folder."""
    whole = path if path.is_dir() else path.with_suffix(".py")
    return [str(whole.relative_to(ROOT))] if whole.exists() else []
