# SPDX-License-Identifier: MIT
"""Every input: the requantiser at every sum, shift, rounding and overflow, and tables at every input code."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from fixedpoint_nn import RtlModel, layers
from fixedpoint_nn.hardware.isa.instructions import OVERFLOWS, ROUNDINGS
from fixedpoint_nn.hardware.sim.toolchain import find_tool, rtl_folder
from fixedpoint_nn.network.quantized import Quantized
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat
from fixedpoint_nn.numerics.quantizer import Overflow, Quantizer, Rounding
from fixedpoint_nn.numerics.table import Table

BENCH = "requantize_exhaustive_tb"
SUM_WIDTH, BIAS_WIDTH, OUTPUT_WIDTH = 16, 8, 8
SHIFTS = range(SUM_WIDTH + 3)  # from none to more than the sum and its bias have
BIAS = -77
MULTIPLIER_WIDTH = 20
TABLES = (
    ("sigmoid", QFormat(4, 8), Quantizer(QFormat(0, 8, signed=False))),
    ("sigmoid", QFormat(3, 3), Quantizer(QFormat(1, 15))),
    ("tanh", QFormat(3, 9), Quantizer(QFormat(1, 7))),
    ("tanh", QFormat(3, 3), Quantizer(QFormat(1, 15), Rounding.FLOOR)),
)


@dataclass(frozen=True)
class Setting:
    """What stands still while all sums and shifts pass."""

    quantizer: Quantizer
    relu_before: bool = False
    relu_after: bool = False
    leak: int = 0
    multiplier: int = 0  # 0: the engine has none
    twice: bool = False

    @property
    def shifts(self) -> range:
        """From none to more than the product has, or to all that the two roundings can drop."""
        return range(63 - self.leak + 1) if self.multiplier else SHIFTS

    def plusargs(self) -> list[str]:
        q = self.quantizer
        numbers = {
            "relu_before": self.relu_before,
            "relu_after": self.relu_after,
            "leak": self.leak,
            "rounding": ROUNDINGS.index(q.rounding.name),
            "overflow": OVERFLOWS.index(q.overflow.name),
            "out_bits": q.format.bits,
            "out_signed": q.format.signed,
            "bias": BIAS,
            "shifts": self.shifts[-1],
            "multiplier": self.multiplier,
            "twice": self.twice,
        }
        return [f"+{name}={int(value)}" for name, value in numbers.items()]

    def expected(self) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        """The model's words, and where they did not fit: (shifts, sums by bit pattern)."""
        half = 1 << SUM_WIDTH - 1
        products = np.concatenate([np.arange(half), np.arange(-half, 0)]) + BIAS
        products *= self.multiplier or 1
        words, misfits = [], []
        for shift in self.shifts:
            sums, rounding = products, self.quantizer.rounding
            if self.twice and shift > 31:
                sums, shift = Quantizer(QFormat(40, 0), Rounding.HALF_UP).from_ints(products, 31), shift - 31
            elif self.twice:
                rounding = Rounding.HALF_UP
            if self.relu_before:
                sums = np.maximum(sums, 0)
            fitted, rounded = (
                np.where(sums < 0, q.from_ints(sums, shift + self.leak), q.from_ints(sums, shift))
                for q in (replace(self.quantizer, rounding=rounding), Quantizer(QFormat(40, 0), rounding))
            )
            words.append(np.maximum(fitted, 0) if self.relu_after else fitted)
            misfits.append(fitted != rounded)
        return np.stack(words), np.stack(misfits)


def settings() -> list[Setting]:
    """Each rounding with each overflow and both kinds of format; ReLU and leak take turns."""
    chosen = []
    kinds = product(
        Rounding, Overflow, (QFormat(OUTPUT_WIDTH, 0), QFormat(OUTPUT_WIDTH - 1, 0, signed=False))
    )
    for number, (rounding, overflow, format) in enumerate(kinds):
        quantizer = Quantizer(format, rounding, overflow)
        chosen.append(Setting(quantizer, number % 5 == 1, number % 5 == 3, 3 if number % 5 == 4 else 0))
    return chosen


def multiplied_settings() -> list[Setting]:
    """The same with a multiplier, a different one each time; every other one rounds twice."""
    return [
        replace(setting, multiplier=(-1) ** number * (524287 - 7919 * number), twice=number % 2 == 1)
        for number, setting in enumerate(settings())
    ]


def build(folder: Path, multiplier_width: int = 0) -> Path:
    """The bench in Verilator."""
    rtl = rtl_folder()
    command = [
        str(find_tool("verilator").path),
        "--binary",
        "--timing",
        "-O3",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--top-module",
        BENCH,
        "--Mdir",
        str(folder / "obj"),
        "-o",
        "../sim",
        f"-GMULTIPLIER_WIDTH={multiplier_width}",
        str(rtl / "tb" / f"{BENCH}.v"),
        str(rtl / "requantize.v"),
        str(rtl / "multiply.v"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"verilator could not compile {BENCH}: {(done.stdout + done.stderr)[-1000:]}")
    return folder / "sim"


def requantize(simulator: Path, setting: Setting, folder: Path) -> int:
    """Compare all words; returns how many, and raises at the first that differs."""
    with tempfile.NamedTemporaryFile(dir=folder) as results:
        command = [str(simulator), *setting.plusargs(), f"+results={results.name}"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        count = len(setting.shifts) << SUM_WIDTH
        if done.returncode or f"PASS: {count} words" not in done.stdout:
            raise RuntimeError(f"{setting}: {(done.stdout + done.stderr).strip()[-300:]}")
        codes = _hexadecimal(Path(results.name).read_bytes(), OUTPUT_WIDTH + 1)
    words, misfits = setting.expected()
    due = (words & (1 << OUTPUT_WIDTH) - 1 | misfits.astype(np.int64) << OUTPUT_WIDTH).ravel()
    if not np.array_equal(codes, due):
        first = int(np.flatnonzero(codes != due)[0]) if len(codes) == len(due) else len(codes)
        shift, pattern = divmod(first, 1 << SUM_WIDTH)
        raise RuntimeError(f"{setting}, shift {shift}, sum {pattern:#x}: the Verilog gave another word")
    return count


def _hexadecimal(text: bytes, bits: int) -> np.ndarray:  # type: ignore[type-arg]
    """Lines of fixed width as integers."""
    width = -(-bits // 4)
    characters = np.frombuffer(text, np.uint8).reshape(-1, width + 1)[:, :width].astype(np.int64)
    values = np.where(characters >= ord("a"), characters - ord("a") + 10, characters - ord("0"))
    place = 16 ** np.arange(width - 1, -1, -1)
    return np.asarray(values @ place)


def table(function: str, source: QFormat, output: Quantizer, simulator: str = "verilator") -> int:
    """Every input code through the engine; returns how many, and raises if one differs from the model."""
    layer = {"sigmoid": layers.Sigmoid, "tanh": layers.Tanh}[function]
    cast = Quantizer(source, name=f"{function}.input")
    net = Quantized(layer(cast, Table(function, source, output)), cast)
    codes = np.arange(source.int_min, source.int_max + 1)
    x = FixedArray.from_ints(codes.reshape(-1, 64), source)
    due = net(x)
    got = RtlModel(net, simulator=simulator)(x)
    if not np.array_equal(got.ints, due.ints):
        raise RuntimeError(f"{function} over {source}: the engine and the model differ")
    return len(codes)


def run(chosen: Sequence[Setting], workers: int) -> int:
    """How many words of the requantiser were compared."""
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-") as name, ThreadPoolExecutor(workers) as pool:
        simulator = build(Path(name), MULTIPLIER_WIDTH if chosen[0].multiplier else 0)
        counts = pool.map(lambda setting: requantize(simulator, setting, Path(name)), chosen)
        return sum(tqdm(counts, total=len(chosen), desc="requantize", unit="setting", leave=False))


def report(workers: int) -> tuple[list[str], bool]:
    chosen, multiplied = settings(), multiplied_settings()
    lines = [
        f"requantize {SUM_WIDTH} -> {OUTPUT_WIDTH}: {run(chosen, workers)} words equal: "
        f"all 2^{SUM_WIDTH} sums, shifts 0 to "
        f"{SHIFTS[-1]}, {len(chosen)} settings "
        f"({len(Rounding)} roundings, {len(Overflow)} overflows, signed and unsigned)",
        f"requantize {SUM_WIDTH} x {MULTIPLIER_WIDTH} -> {OUTPUT_WIDTH}: {run(multiplied, workers)} words equal: "
        f"all 2^{SUM_WIDTH} sums, all shifts, {len(multiplied)} settings with as many multipliers, "
        f"{sum(setting.twice for setting in multiplied)} of them rounded twice",
    ]
    for function, source, output in TABLES:
        certificate = Table(function, source, output).certificate()
        lines.append(
            f"{function} over {source} to {output.format}: "
            f"{table(function, source, output)} words of the engine equal; "
            f"largest error {certificate.max_error_lsb:.4f} LSB, monotonic {certificate.monotonic}, "
            f"symmetric {certificate.symmetric}"
        )
    return lines, True
