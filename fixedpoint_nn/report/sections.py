# SPDX-License-Identifier: MIT
"""The sections of the report for each kind of run, each from one record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from fixedpoint_nn.report.figures import latency_bars, pareto_front
from fixedpoint_nn.report.page import ReportSection, ReportTable, ReportVerdict
from fixedpoint_nn.report.record import Record
from fixedpoint_nn.report.theme import saved

Values = Mapping[str, Any]

SWEEP = {
    "95 % interval": "interval",
    "lost": "loss",
    "changed": "changed",
    "saturated": "saturated",
    "wrapped": "wrapped",
    "weight bits": "weight_bits",
    "bit operations": "bit_operations",
    "RAMB36": "bram_blocks",
}
ABBREVIATED = ("nll", "mse", "mae", "auc")  # metrics whose names are written in capitals
ENGINE_COLUMNS = {"engine cycles": "cycles", "LUTs": "luts", "DSPs": "dsps"}  # where computed
SIZE = {"LUTs": "luts", "flip-flops": "flip_flops", "DSPs": "dsps", "RAMB36": "block_rams"}
IMAGES = {"image": "name", "words": "words", "bits of a word": "bits", "kilobytes": "kilobytes"}
LEDGER = {
    "cast point": "path",
    "values": "values",
    "saturated": "saturated",
    "wrapped": "wrapped",
    "rounded": "rounded",
    "headroom bits": "headroom_bits",
    "first overflow": "first",
}
TABLES = {
    "table": "path",
    "function": "function",
    "input": "input",
    "output": "output",
    "entries": "entries",
    "largest error (LSB)": "max_error_lsb",
    "monotonic": "monotonic",
    "symmetric": "symmetric",
}


def training(record: Record) -> list[ReportSection]:
    """The training, with its learning curves."""
    story = record.results
    text = (
        f"{story['network']} was trained from scratch in NumPy: {story['epochs']} epochs with seed "
        f"{story['seed']} in {story['seconds']} s. These are its figures on held-out data."
    )
    grid = ReportTable(("figure", "value"), list(story["result"].items()), aligned=False)
    return [ReportSection("Training", text, grids=[grid], line=record.line)]


def sweep(record: Record) -> list[ReportSection]:
    """Metric and cost at every word length."""
    found = record.results
    points: list[Values] = [
        {
            **point,
            "point": f"{point['axis']} {point['value']} {point['method']}",
            "interval": f"{point['low']:.3f} to {point['high']:.3f}",
        }
        for point in found["points"]
    ]
    metric, better = found["metric"], "more" if found["more_is_better"] else "less"
    known = {title: key for title, key in ENGINE_COLUMNS.items() if any(key in point for point in points)}
    unit = found.get("loss_unit", "points, or percent of the float network's")
    grid = _grid(
        {"point": "point", metric: "metric", **SWEEP, **known},
        points,
        f"lost: in {unit}; changed: predictions other than the float network's",
    )
    text = (
        f"{found['network']} over integers, at {len(points)} points; {metric} on held-out data "
        f"({better} is better), with 95 % bootstrap intervals. The float network has "
        f"{found['float_score']:.4f}."
    )
    front = (
        "Each point is a network; those on the line are the cheapest for what they give: no other one is "
        "both better and smaller."
    )
    noise = (
        "For each place and word: the signal against the noise of quantisation, and the share of values "
        "that were too large for their format. Where a column turns dark on the right, bits are missing on "
        "the left."
    )
    name = metric.upper() if metric in ABBREVIATED else f"{metric[:1].upper()}{metric[1:]}"
    heading = f"{name} against bits"
    against_bits = saved(record.folder / "accuracy.svg", heading)
    by_layer = saved(record.folder / "noise.svg", "Noise and saturation by layer")
    return [
        ReportSection(heading, text, against_bits, [grid], line=record.line),
        ReportSection("Pareto front", front, [pareto_front(found)], line=record.line),
        ReportSection("Noise and saturation", noise, by_layer, line=record.line),
        *(_mixed(record) if found.get("mixed") else []),
    ]


def _mixed(record: Record) -> list[ReportSection]:
    """The section about plans with a word length for each place."""
    mixed: Values = record.results["mixed"]
    text = (
        f"A word length of its own for each place, found by walking down from a uniform plan over "
        f"{mixed['tried']} plans. The front dominates {mixed['hypervolume']:.3f} of the box, the uniform "
        "plans "
        f"{mixed['uniform_hypervolume']:.3f}."
    )
    columns = {
        "bit operations": "bit_operations",
        "weight bits": "weight_bits",
        mixed["metric"]: "score",
        "lost": "loss",
        "word lengths": "words",
    }
    picture = saved(record.folder / "pareto.svg", "Mixed and uniform word lengths")
    return [
        ReportSection("Mixed precision", text, picture, [_grid(columns, mixed["front"])], line=record.line)
    ]


def emission(record: Record) -> list[ReportSection]:
    """The pack: engine, images, layers."""
    pack = record.results
    parameters = [(name.replace("_", " "), value) for name, value in pack["engine"].items()]
    images = [{**image, "kilobytes": image["words"] * image["bits"] / 8192} for image in pack["images"]]
    text = (
        f"{pack['network']} as memory images for the engine of {pack['engine']['lanes']} lanes: "
        f"{pack['cycles']:,} clock cycles for {pack['vectors']} vectors, predicted by the lowering and hit "
        "exactly by the simulation."
    )
    grids = [_grid(IMAGES, images), ReportTable(("parameter of the engine", "value"), parameters)]
    if pack.get("size"):
        text += f" Its size is that of yosys' synthesis for {pack['size']['family']}."
        grids.insert(0, _grid(SIZE, [pack["size"]]))
    else:
        text += f" It has {pack['engine']['lanes']} multipliers; emit with --size adds the LUTs that yosys counts."
    further = {"layers": _layers, "ledger": _ledger, "tables": _tables, "latency": _latency}
    return [
        ReportSection("Engine", text, grids=grids, line=record.line),
        *(section(record) for name, section in further.items() if pack.get(name)),
    ]


def _layers(record: Record) -> ReportSection:
    """Every run of the program; the remaining cycles of a vector are set-up, loops and waits."""
    runs, vectors = record.results["layers"], record.results["vectors"]
    known = [run for run in runs if run.get("cycles") is not None]
    rows: list[Sequence[Any]] = [
        (run["layer"] or "a copy", run["format"], run["channels"], run.get("cycles"), run.get("mac_cycles"))
        for run in runs
    ]
    columns: tuple[str, ...] = ("layer", "format of its results", "channels", "cycles", "of these MAC cycles")
    text = "Every run of the program, in its order: whose layer, the format that it writes, and for how many cycles."
    if known and vectors:
        whole = record.results["cycles"] // vectors
        spent, macs = (sum(run[key] or 0 for run in known) for key in ("cycles", "mac_cycles"))
        rows.append(("between the runs", None, None, whole - spent, None))
        rows = [(*row, None if row[3] is None else 100 * row[3] / max(whole, 1)) for row in rows]
        columns = (*columns, "% of all cycles")
        text += f" One vector takes {whole:,} cycles, and the multipliers work in {macs:,} of them."
    return ReportSection("Layers", text, grids=[ReportTable(columns, rows)], line=record.line)


def _ledger(record: Record) -> ReportSection:
    entries = [
        {**entry, "first": None if entry["first"] is None else str(tuple(entry["first"]))}
        for entry in record.results["ledger"]
    ]
    text = (
        "What every cast did to the values of the vectors: how many were too large, how many lost a "
        "fraction, and how many leading bits no value needed (negative: bits that were missing)."
    )
    return ReportSection("Ledger", text, grids=[_grid(LEDGER, entries)], line=record.line)


def _tables(record: Record) -> ReportSection:
    text = (
        "Functions are tables, correctly rounded from exact decimals. Each certificate was checked over all "
        "inputs; half an LSB is the best that any table can do, and more stands only where the output format "
        "ends."
    )
    grid = _grid(TABLES, record.results["tables"])
    return ReportSection("Table certificates", text, grids=[grid], line=record.line)


def _latency(record: Record) -> ReportSection:
    latency: Values = record.results["latency"]
    milliseconds, batch = latency["milliseconds"], record.results.get("batch", 1)
    samples = "one sample" if batch == 1 else f"{batch} samples"
    text = (
        f"{samples.capitalize()} from input to output. The engine takes {latency['cycles']:,} cycles, at "
        f"{latency['clock_mhz']:g} MHz ({latency.get('clock_of', 'as stated')}); the processor's times were "
        "measured here, with NumPy, as the median of "
        f"{latency['repeats']} runs of {samples}, and include Python's overhead, which a larger batch would share."
    )
    grid = ReportTable(("on", "milliseconds"), list(milliseconds.items()))
    bars = latency_bars(milliseconds, samples)
    return ReportSection("Latency", text, [bars], [grid], line=record.line)


def verification(record: Record) -> list[ReportSection]:
    """The result of the simulation."""
    result = record.results
    text = (
        f"The Verilog ran in {result['simulator']}; every word of its outputs was compared with the model's, "
        "as integers and without tolerance."
    )
    return [ReportSection("Verification", text, quotation=str(result["text"]), line=record.line)]


def verdict(record: Record, of: str = "") -> ReportVerdict:
    """The first line of the verification's result, with the network if there are several."""
    first = str(record.results["text"]).splitlines()[0]
    return ReportVerdict(bool(record.results["passed"]), f"{of}: {first}" if of else first)


def generation(record: Record) -> list[ReportSection]:
    """The text generated by the model and by the Verilog."""
    model, verilog = record.results["model"], record.results["verilog"]
    if verilog is None:
        text = f"What {record.results['network']} wrote in NumPy."
        return [ReportSection("Generation", text, quotation="\n".join(model), line=record.line)]
    columns = ("written by the Verilog", "written by the Python model", "equal")
    pairs = [(left, right, left == right) for left, right in zip_longest(verilog, model, fillvalue="")]
    text = (
        f"What {record.results['network']} wrote by itself: each character was drawn on the engine and fed "
        "back to it. The Python model drew the same integers from the same seed."
    )
    return [ReportSection("Generation", text, grids=[ReportTable(columns, pairs)], line=record.line)]


def _grid(columns: Mapping[str, str], entries: Iterable[Values], caption: str = "") -> ReportTable:
    """A table with one row per entry; missing values are dashes."""
    rows = [tuple(entry.get(key) for key in columns.values()) for entry in entries]
    return ReportTable(tuple(columns), rows, caption)


BUILDERS = {
    "train": training,
    "sweep": sweep,
    "emit": emission,
    "verify": verification,
    "generate": generation,
}
