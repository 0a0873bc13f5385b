# SPDX-License-Identifier: MIT
"""`fixedpoint-nn demo`: the whole flow with one network, from French names to Verilog that generates new ones."""

from __future__ import annotations

import argparse
import platform
import shutil
import time
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint_nn import zoo
from fixedpoint_nn.cli import generate, target
from fixedpoint_nn.cli.arguments import Commands, command
from fixedpoint_nn.cli.emit import CALIBRATION, emit_network
from fixedpoint_nn.cli.progress import bars, chatter, say
from fixedpoint_nn.cli.results import show
from fixedpoint_nn.cli.sweep import lines, summary, sweep_network
from fixedpoint_nn.cli.verify import verify_pack
from fixedpoint_nn.hardware.sim.toolchain import ToolError, find_tool
from fixedpoint_nn.hardware.textgen import RtlWriter
from fixedpoint_nn.hardware.tools.synthesis import xilinx
from fixedpoint_nn.network import serialization
from fixedpoint_nn.precision import Plan, calibrate, quantize
from fixedpoint_nn.report import Stopwatch, write_report
from fixedpoint_nn.report.networks import SHOWN
from fixedpoint_nn.report.record import records_below
from fixedpoint_nn.training.sampling import write_words
from fixedpoint_nn.zoo import characters

NET = "names_lstm"
EPOCHS = 12  # half of those of the shipped weights
WORDS = (3, 4, 5, 6, 7, 8, 10, 12, 16)
MOST_LOST = 1.0  # percent of the float network's NLL
VECTORS, CORNERS, COUNT, TEMPERATURE, SEED = 1, 1, 6, 0.8, 1


def add(commands: Commands) -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "demo",
        "train, quantise, sweep, emit and verify a network that writes French names",
        "fixedpoint-nn demo --out runs/demo",
        run,
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="default: runs/demo"
    )
    parser.add_argument("--fresh", action="store_true", help="forget an earlier demo's training and sweep")
    parser.set_defaults(
        interrupted=lambda given: f"what had ended is kept in {given.out}; the same command goes on"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns its exit status."""
    with redirect_stdout(chatter(arguments)):
        results = run_steps(arguments)
    verb, report = "PASS" if results["passed"] else "FAIL", results["report"]
    show(arguments, results, f"\n{verb} in {results['seconds']:.0f} s; the report: {report}")
    return 0 if results["passed"] else 1


def run_steps(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all steps; returns their results."""
    out: Path = arguments.out
    if arguments.fresh:
        for part in ("training", "sweep"):
            shutil.rmtree(out / part, ignore_errors=True)
    start = time.perf_counter()
    steps = Headings(6)

    steps.begin("What is here")
    icarus = find_tool("iverilog")
    names = characters.french_names()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, Icarus Verilog {icarus.version}")
    print(f"{len(names):,} French names ship with the package: {', '.join(names.train[200::700])} ...")

    steps.begin(f"Training: an LSTM learns the names, letter by letter, in {EPOCHS} epochs")
    chosen = train(out / "training")

    steps.begin("Sweep: how many bits does the network that was trained need?")
    bits = sweep(chosen, out / "sweep")

    steps.begin(f"Emission: {bits}-bit memory images for the engine")
    plan = calibrate(chosen.net, zoo.samples(NET, CALIBRATION, "train"), word=bits)
    emit(chosen, plan, bits, out / "pack")

    steps.begin("Verification: the Verilog runs the pack in Icarus, every word is compared")
    watch = Stopwatch("verify", [out / "pack"])
    verdict, results = verify_pack(out / "pack", progress=bars())
    watch.record(out / "pack", results).save()
    print(verdict.text)

    steps.begin("Generation: the Verilog writes names by itself, feeding back each letter")
    equal = write(chosen, plan, bits, out / "names")

    report = out / "report.html"
    write_report(out, report)
    return {
        "network": NET,
        "passed": verdict.passed and equal,
        "word": bits,
        "seconds": round(time.perf_counter() - start, 1),
        "report": str(report.resolve()),
    }


class Headings:
    """Numbered headings."""

    def __init__(self, count: int) -> None:
        self.count, self.number = count, 0

    def begin(self, title: str) -> None:
        """Print the heading of the next step."""
        self.number += 1
        print(f"\n[{self.number}/{self.count}] {title}", flush=True)


def train(folder: Path) -> target.NetworkTarget:
    """Step 1: train the network, or reuse it, and show text that it generates in float."""
    path = folder / f"{NET}.safetensors"
    chosen = trained_before(path)
    if chosen is None:
        watch = Stopwatch("train", [NET, "--epochs", EPOCHS, "--out", path])
        story = zoo.train_to_file(NET, path, EPOCHS, resume=True, progress=bars())
        chosen = target.resolve(str(path))
        watch.record(folder, {**story, **chosen.about()}).save()
    else:
        story = serialization.load_metadata(path)
        print(f"trained by an earlier demo, {story['epochs']} epochs in {story['seconds']} s; --fresh: again")
    symbols = characters.french_names().vocabulary.symbols
    written = ", ".join(write_words(chosen.net, symbols, 6, SEED, TEMPERATURE))
    print(f"perplexity {story['result']['perplexity']:.2f} on names it has not seen; writes {written}")
    print(f"all that follows is of these weights: {chosen.weights[:SHOWN]}")
    return chosen


def trained_before(path: Path) -> target.NetworkTarget | None:
    """The network of an earlier demo with the same settings, if its record matches the file; else None."""
    if not path.exists() or serialization.load_metadata(path).get("epochs") != EPOCHS:
        return None
    chosen = target.resolve(str(path))
    about = [record.results for record in records_below(path.parent) if record.command == "train"]
    return chosen if any(results.get("weights") == chosen.weights for results in about) else None


def sweep(chosen: target.NetworkTarget, folder: Path) -> int:
    """Step 2: sweep word lengths; returns the shortest with a small loss."""
    watch = Stopwatch("sweep", [chosen.source, "--words", ",".join(map(str, WORDS)), "--out", folder])
    found = sweep_network(chosen, WORDS, folder, progress=bars())
    watch.record(folder, summary(chosen, found)).save()
    print("\n".join(lines(found)))
    bits = min(int(point.value) for point in found if point.loss <= MOST_LOST)
    print(f"{bits} bits are the fewest that lose at most {MOST_LOST:g} %: taken")
    return bits


def emit(chosen: target.NetworkTarget, plan: Plan, bits: int, folder: Path) -> None:
    """Step 3: emit the pack, with the engine's size if yosys is installed."""
    given = [
        chosen.source,
        "--word",
        bits,
        "--vectors",
        VECTORS,
        "--corners",
        CORNERS,
        "--size",
        "--out",
        folder,
    ]
    before = records_below(folder) if folder.exists() else []
    watch = Stopwatch("emit", given)
    pack, results = emit_network(chosen, plan, folder, vectors=VECTORS, corners=CORNERS, say=_indented)
    same = [r.results for r in before if r.results.get("engine") == results["engine"]]
    known = [found["size"] for found in same if found.get("size")]
    if known or _has_yosys():
        _indented("the engine's size, by yosys")
        results["size"] = known[0] if known else asdict(xilinx(pack.config))
    watch.record(folder, results).save()
    images = ", ".join(sorted(path.name for path in folder.glob("*/*.coe")))
    print(f"{folder}: {images}; {pack.cycles[0]:,} clock cycles for a name, predicted")


def write(chosen: target.NetworkTarget, plan: Plan, bits: int, folder: Path) -> bool:
    """Step 4: generate names by Verilog and model; returns whether they are equal."""
    given = [chosen.source, "--count", COUNT, "--temperature", TEMPERATURE, "--seed", SEED, "--word", bits]
    watch = Stopwatch("generate", [*given, "--rtl", "--out", folder])
    fixed = quantize(chosen.net, plan)
    vocabulary = generate.vocabulary_of(chosen)
    how, ids = generate.plan_writing(fixed, vocabulary, COUNT, TEMPERATURE, SEED)
    print(f"{how.length} letters, one by one ...", flush=True)
    results = generate.compared(
        chosen,
        bits,
        SEED,
        TEMPERATURE,
        vocabulary.split(ids),
        vocabulary.split(RtlWriter(fixed, how)(SEED)[0]),
    )
    folder.mkdir(parents=True, exist_ok=True)
    watch.record(folder, results).save()
    print("\n".join(generate.side_by_side(results)))
    return bool(results["equal"])


def _has_yosys() -> bool:
    try:
        find_tool("yosys")
    except ToolError:
        return False
    return True


def _indented(line: str) -> None:
    say(f"  {line}")
