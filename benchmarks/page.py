# SPDX-License-Identifier: MIT
"""`python -m benchmarks.page` writes docs/performance.md and its picture from benchmarks/results.json."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import peaks, sweep
from benchmarks.networks import FLOAT
from benchmarks.results import RESULTS, read

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "performance.md", ROOT / "docs" / "roofline.svg"
HEAD = """# Performance

How fast the bit-accurate model is, beside plain float32 NumPy. This page is written by `python -m benchmarks.page` from
`benchmarks/results.json`, which `make bench` writes; nothing on it is typed by hand. A ratio is the median over rounds
in which the engines take turns, so that a busy machine is busy for all of them; it is larger than 1 where the engine is
faster than the float32 pass in the first line. All engines run on one thread, except where two are compared with one.
"""
PARTS = {
    "networks": "Networks of the zoo",
    "mlp": "A perceptron beside other packages",
    "lstm": "An LSTM",
    "quantising": "Rounding floats to words",
    "accumulators": "Modelled accumulators",
    "sweep": "A sweep of bit widths",
    "training": "Training",
    "memory": "Memory",
    "two_cores": "Two cores",
    "simulators": "Simulators",
    "peaks": "The processor's limits",
}

NOTES = {
    "networks": """What keeps NumPy alone from more: its matrix products are the same calls of BLAS as the float
network's, and rounding, saturation and tables come on top of them. At batch 1 every operation is a call that takes at
least half a microsecond whatever it computes, and a step of an LSTM of integers has twice as many of them as one of
floats.
""",
    "sweep": """What bounds a sweep is measured beside it. In NumPy alone nothing can be faster than its bare matrix
products: words of 12 bits and more have sums of more than 24 bits, so they need float64, which takes twice the time.
With the compiled kernels the passes themselves cannot be saved, each of which reads the float images, rounds them, and
counts what overflows: of words of 9 bits and more they run at the kernels' limit for 16 bits (see the processor's
limits). What is added to them is the float network's own pass, the digest of all images, the calibration, and for each
word the packing of the weights, the choice of formats and the pass for the signal-to-noise ratios. Loops over
time are counted verb by verb in a sweep, so the compiled kernels do not help there.
""",
    "training": """More than half of a step of a convolutional network is matrix products, by the same BLAS as NumPy's
and in an order of sums that the shipped weights fix: a retraining gives their bits. The rest waits for memory: windows
are copied for BLAS three times (forward, for the weights' and for the images' gradient), and every operation element by
element reads and writes whole arrays, at the speed at which bytes are copied (see the processor's limits). The memory
itself goes from one step to the next.
""",
    "memory": """More of a quantised network fits: its weights are words of one or two bytes, once as they were rounded
and once in the order in which the compiled kernels read them. NumPy alone keeps them in float32 beside their words.
""",
    "two_cores": """`FIXEDPOINT_NN_THREADS=2` shares a batch among two threads, each of which takes the next few blocks
of samples through the whole network, and `sweep(..., jobs=2)` its points among two processes. What the machine gives is
measured beside it: two processes that know nothing of each other, each with half of the batch. Wall clock.
""",
}


def page(results: dict[str, Any]) -> str:
    """The page in Markdown."""
    parts = [HEAD]
    if "peaks" in results and "networks" in results:
        parts.append(_roofline_text())
    for name, title in PARTS.items():
        if name in results:
            parts.append("\n".join([f"## {title}\n", *_part(name, results[name])]))
    return "\n".join(parts)


def _part(name: str, part: dict[str, Any]) -> Iterator[str]:
    date = datetime.fromisoformat(part["date"])
    versions = ", ".join(f"{package} {version}" for package, version in part["versions"].items())
    clock = "processor time" if part["clock"] == "cpu" else "wall clock"
    yield (
        f"`python -m benchmarks {name} --clock {part['clock']}` on {date.day} {date:%B %Y}: {part['processor']}, "
        f"{part['cores']} cores, {part['system']}; {versions}; {clock}.\n"
    )
    if name in NOTES:
        yield NOTES[name]
    for comparison in part["comparisons"]:
        yield f"**{comparison['title']}**\n"
        per = comparison.get("per", "second")
        yield f"| engine | {comparison['unit']} per {per} | times {comparison['baseline']} |"
        yield "|---|---|---|"
        for engine, figures in comparison["engines"].items():
            yield f"| {engine} | {_rate(figures['rate'])} | {figures['ratio']:.3g} |"
        yield ""
        if name == "sweep":
            yield from _passes(comparison["engines"])
        yield from _targets(comparison["targets"])


def _passes(engines: dict[str, Any]) -> Iterator[str]:
    """The time of each row for all words, in passes of the float network."""
    times = [
        f"{name}: {len(sweep.WORDS) / figures['ratio']:.3g}"
        for name, figures in engines.items()
        if name in (sweep.SWEEP, sweep.SWEEP_ALONE, sweep.PRODUCTS, sweep.KERNELS_ALONE)
    ]
    yield f"In float32 passes over all images: {'; '.join(times)}.\n"


def _rate(rate: float) -> str:
    """Four digits, without an exponent: 294,300 or 24.3."""
    digits = f"{rate:.4g}"
    return f"{float(digits):,.0f}" if float(digits) >= 1000 else digits


def _targets(targets: list[dict[str, Any]]) -> Iterator[str]:
    if not targets:
        return
    yield "| aim | measured | |"
    yield "|---|---|---|"
    for target in targets:
        verdict = "reached" if target["holds"] else "**missed**"
        aim = f"{target['engine']} at least {target['aim']:.3g} × {target['baseline']}"
        yield f"| {aim} | {target['ratio']:.3g} | {verdict} |"
    yield ""


def _roofline_text() -> str:
    return f"""## Where the limit is

Each point is a network at its largest batch: how many multiply-accumulates it does for a byte that its matrix
products read and write (in float32, windows of convolutions copied out), and how many it does in a second. The roofs
are this processor's own: memory on the left, multipliers on the right, for float32 and for the compiled kernels'
8 bits. A point far below its roof waits for something else than multipliers: tables, calls of Python, copies of
windows. One of 8 bits may stand above the slope: its words are a quarter as long, and its windows are not copied.

![Multiply-accumulates per second over multiply-accumulates per byte, under the roofs]({PICTURE.name})
"""


def points(results: dict[str, Any]) -> Iterator[tuple[str, str, float, float]]:
    """Network, engine, multiply-accumulates per byte, and per second: the largest batch of each network."""
    largest: dict[str, dict[str, Any]] = {}
    for comparison in results["networks"]["comparisons"]:
        largest[comparison["title"].split(",")[0]] = comparison  # batches rise
    for name, comparison in largest.items():
        intensity = comparison["macs"] / comparison["bytes"]
        for engine in (FLOAT, "8 bits", "8 bits, NumPy alone"):
            if engine in comparison["engines"]:
                rate = comparison["engines"][engine]["rate"] * comparison["macs"]
                yield name, engine, intensity, rate


def draw(results: dict[str, Any], path: Path) -> None:
    """The roofline as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from fixedpoint_nn.training.pictures import COLOURS, GRID, INK, SOFT

    (limits,) = results["peaks"]["comparisons"]
    rates = {name: figures["rate"] for name, figures in limits["engines"].items()}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "roofline", "font.size": 10}):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        axes = figure.subplots()
        found = list(points(results))
        left, right = min(x for _, _, x, _ in found) / 2, max(x for _, _, x, _ in found) * 3
        roofs = [(peaks.BLAS, SOFT)] + ([(peaks.BYTES, INK)] if peaks.BYTES in rates else [])
        for name, colour in roofs:
            bend = rates[name] / rates[peaks.COPY]
            heights = [rates[peaks.COPY] * min(x, bend) / 1e9 for x in (left, bend, right)]
            axes.plot([left, bend, right], heights, color=colour, linewidth=1.2)
            axes.annotate(
                name, (right, heights[-1]), (-2, 4), textcoords="offset points", ha="right", color=colour
            )
        marks = {FLOAT: "o", "8 bits": "D", "8 bits, NumPy alone": "s"}
        names = list(dict.fromkeys(name for name, *_ in found))
        for name, engine, intensity, rate in found:
            colour = COLOURS[names.index(name) % len(COLOURS)]
            axes.plot([intensity], [rate / 1e9], marks[engine], color=colour, markersize=7, alpha=0.9)
        for name in names:
            best = max((rate, x) for other, _, x, rate in found if other == name)
            at = (best[1], best[0] / 1e9)
            axes.annotate(name, at, (0, 8), textcoords="offset points", ha="center", color=INK)
        for engine, mark in marks.items():
            axes.plot([], [], mark, color=SOFT, label=engine)
        axes.set(xscale="log", yscale="log", xlabel="multiply-accumulates per byte")
        axes.set_xticks([5, 10, 20, 50, 100], [5, 10, 20, 50, 100])
        axes.set_yticks([10, 20, 50, 100, 200], [10, 20, 50, 100, 200])
        axes.minorticks_off()
        axes.set_ylim(min(rate for *_, rate in found) / 2e9, max(rates[name] for name, _ in roofs) / 7e8)
        axes.set_ylabel("10⁹ multiply-accumulates per second")
        axes.grid(True, which="major", color=GRID, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    results = read(RESULTS)
    PAGE.write_text(page(results), "utf-8")
    if "peaks" in results and "networks" in results:
        draw(results, PICTURE)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
