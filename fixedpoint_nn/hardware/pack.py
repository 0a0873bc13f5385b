# SPDX-License-Identifier: MIT
"""Packs: a network for the engine as files, written all at once and read back checksum by checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fixedpoint_nn.fixed import FixedArray
from fixedpoint_nn.hardware import (
    candidates,
    coe,
    corners,
    exposure,
    golden,
    manifest,
    probes,
    reach,
)
from fixedpoint_nn.hardware.contents import (
    STATUS,
    VECTORS,
    Contents,
    check_replaceable,
    write,
)
from fixedpoint_nn.hardware.divergence import Twin
from fixedpoint_nn.hardware.engine import SHIFT_BITS, EngineConfig, Images
from fixedpoint_nn.hardware.lowered import Lowered, lower
from fixedpoint_nn.hardware.manifest import PackError
from fixedpoint_nn.hardware.model import taken
from fixedpoint_nn.hardware.port import Port
from fixedpoint_nn.hardware.probe import Probe
from fixedpoint_nn.hardware.schedule import Schedule, schedule
from fixedpoint_nn.hardware.simulate import Image
from fixedpoint_nn.qformat import QFormat
from fixedpoint_nn.quantized import Quantized

Ints = NDArray[np.int64]
IMAGES = ("program", "weights", "parameters", "tables", "activations")


def emit(
    fixed: Quantized,
    inputs: ArrayLike | FixedArray,
    directory: str | Path,
    *,
    name: str = "network",
    lanes: int = 8,
    engine: EngineConfig | None = None,
    radix: int = 16,
    mif: bool = False,
    corner_vectors: int = 8,
    exposing_vectors: int = 0,
    probing_vectors: int = 0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write a pack: images as .coe and .mem, the inputs with corner vectors, and what must come out.

    At most so many `exposing_vectors` follow, each of which shows flipped bits that no other vector shows.
    At most so many `probing_vectors` are for each run of the program alone, to show the bits of its images.
    The engine is the smallest one of so many `lanes`, or `engine`, if the network fits into it. The folder
    appears whole or not at all; one that is there already is replaced if it is a pack.
    """
    say = progress or (lambda line: None)
    samples = taken(fixed, inputs)
    directory = Path(directory)
    check_replaceable(directory)
    say(f"lowering {name} for {lanes} lanes")
    lowered = lower(fixed.net, samples.shape[1:], fixed.input.format, lanes, engine)
    say("searching for corner vectors")
    beyond = reach.unreachable(lowered.program, samples)
    vectors, origins = golden.golden(lowered.program, samples, corner_vectors, seed, beyond)
    if exposing_vectors:
        say("searching for inputs that show flipped bits")
        found = exposure.exposing(lowered, vectors, exposing_vectors, seed)
        if found is not None:
            vectors, origins = vectors.concat([found], axis=0), origins + ["exposing"] * len(found)
    alone: list[Probe] = []
    if probing_vectors:
        say("searching for inputs of each run alone")
        images, ports = lowered.images, (lowered.input, lowered.output)
        allowed, rng = candidates.codes(lowered.program, samples), np.random.default_rng(seed)
        alone = probes.probes(lowered.config, images, *ports, allowed, probing_vectors, rng, say)
    expected = fixed(vectors)
    say(f"writing {directory}")
    return emit_lowered(
        directory, lowered, vectors, expected, origins, name, radix=radix, mif=mif, beyond=beyond, alone=alone
    )


def emit_lowered(
    directory: str | Path,
    lowered: Lowered,
    vectors: FixedArray,
    expected: FixedArray,
    origins: list[str],
    name: str,
    *,
    radix: int = 16,
    mif: bool = False,
    seed: int = 1,
    beyond: Mapping[corners.Key, str] | None = None,
    alone: Sequence[Probe] = (),
) -> Path:
    """Write a pack of what has been lowered: in a temporary folder beside the place, then renamed."""
    check_replaceable(Path(directory))
    plan = schedule(lowered.instructions, lowered.config.lanes)
    cycles, macs = _predicted(lowered, plan, vectors, seed)
    contents = Contents(
        name=name,
        config=lowered.config,
        images=lowered.images,
        input=lowered.input,
        output=lowered.output,
        vectors=vectors.ints,
        expected=expected.ints,
        origins=origins,
        cycles=cycles,
        mac_cycles=macs,
        listing=manifest.listing(lowered, plan),
        runs=manifest.describe_runs(lowered, plan),
        corners=corners.count(lowered.program, vectors, beyond) if plan is not None else {},
        seed=seed,
        probes=alone,
    )
    return write(Path(directory), contents, radix, mif)


def _predicted(
    lowered: Lowered, plan: Schedule | None, vectors: FixedArray, seed: int
) -> tuple[list[int], list[int]]:
    """Cycles of each vector. A program that jumps on what it has written is run on the engine's twin."""
    if plan is not None:
        return [plan.cycles] * len(vectors), [plan.mac_cycles] * len(vectors)
    rows = vectors.ints.reshape(len(vectors), -1)
    twins = [
        Twin(lowered.config, lowered.images, lowered.input, row).run(seed + n) for n, row in enumerate(rows)
    ]
    return [twin.cycles for twin in twins], [twin.mac_cycles for twin in twins]


@dataclass(frozen=True)
class Pack:
    """A pack in memory: its engine, its images, and its vectors, all from the .coe files."""

    directory: Path
    manifest: Mapping[str, Any]
    config: EngineConfig
    images: Images
    input: Port
    output: Port
    vectors: Ints  # (vectors, words)
    expected: Ints
    status: Ints | None = None  # (vectors, status registers), of packs that state them
    probes: tuple[Probe, ...] = ()
    program_file: str = "program"

    @property
    def name(self) -> str:
        return str(self.manifest["network"])

    @property
    def cycles(self) -> list[int]:
        """Predicted cycles of each vector."""
        return [int(cycles) for cycles in self.manifest["cycles"]]

    @property
    def seed(self) -> int:
        """Of the noise generator for the first vector; each further one has the next seed."""
        return int(self.manifest["seed"])

    def mem_files(self) -> dict[str, Image]:
        """The images for `$readmemh`."""
        files = self.manifest["files"]
        names = {kind: f"{self.program_file if kind == 'program' else kind}.mem" for kind in IMAGES}
        return {
            kind: Image(self.directory / name, files[name]["words"] if name in files else 0)
            for kind, name in names.items()
        }

    def alone(self, probe: Probe) -> Pack:
        """The pack with one run as its whole program."""
        runs = [{**run, "place": 0} for run in self.manifest["runs"] if run["place"] == probe.place]
        about = {**self.manifest, "cycles": [probe.cycles] * len(probe.vectors), "runs": runs}
        about["network"] = f"{self.name}, {probe.name}"
        return replace(
            self,
            manifest=about,
            images=replace(self.images, program=list(probe.program)),
            input=probe.input,
            output=probe.output,
            vectors=probe.vectors,
            expected=probe.expected,
            status=None,
            probes=(),
            program_file=probe.file("program"),
        )


def load_pack(directory: str | Path) -> Pack:
    """Read a pack: every file's checksum is verified, and the integers come from the .coe files alone."""
    directory = Path(directory)
    about = manifest.read(directory)
    try:
        files = about["files"]
        config = EngineConfig(**about["engine"])
        ports = manifest.read_port(about["input"]), manifest.read_port(about["output"])
        for name, entry in files.items():
            if Path(name).name != name:
                raise PackError(f"{name!r} is no file of a pack, which has no folders in it; emit it again")
            verify_file(directory / name, entry)
        _check_statements(about)
        words = {kind: _from_coe(directory, kind, files) for kind in (*IMAGES, *VECTORS, "status")}
        images = _images(words, config)
        bits, vectors = config.activation_width, about["vectors"]
        rows = [
            _vectors(words[kind], bits, vectors, port, kind)
            for kind, port in zip(VECTORS, ports, strict=True)
        ]
        status = _status(words["status"], vectors) if "status.coe" in files else None
        alone = tuple(
            Probe.read(entry, manifest.read_port, lambda name: _from_coe(directory, name, files), bits)
            for entry in about.get("probes", ())
        )
    except PackError:
        raise
    except coe.ImageError as error:
        raise PackError(f"{directory}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise PackError(
            f"{directory / manifest.NAME} lacks or misstates {_short(error)}; emit the pack again"
        ) from None
    return Pack(directory, about, config, images, ports[0], ports[1], rows[0], rows[1], status, alone)


def _vectors(words: list[int], bits: int, vectors: int, port: Port, kind: str) -> Ints:
    if len(words) != vectors * port.words:
        raise PackError(
            f"{kind} holds {len(words)} words, and {vectors} vectors of {port.words} are stated; emit "
            f"it again"
        )
    return np.array(coe.signed(words, bits), np.int64).reshape(vectors, port.words)


def _status(words: list[int], vectors: int) -> Ints:
    if len(words) != vectors * len(STATUS):
        raise PackError(
            f"status holds {len(words)} words, and {vectors} vectors of {len(STATUS)} registers are stated; "
            f"emit it again"
        )
    return np.array(words, np.int64).reshape(vectors, len(STATUS))


def _check_statements(about: Mapping[str, Any]) -> None:
    """What is used after loading; a statement of the wrong kind is an error here already."""
    for count in (about["vectors"], about["seed"], *about["cycles"]):
        if type(count) is not int or count < 0:
            raise ValueError(f"a count, as {count!r}")
    for run in about["runs"]:
        QFormat.parse(run["format"])
        if type(run["place"]) is not int or type(run["channels"]) is not int or run["channels"] < 1:
            raise ValueError(f"a run, as {run!r}")
        str(run["layer"])
    for layer in about["corners"].values():
        for hits in layer.values():
            reason = isinstance(hits, str) and hits.startswith(reach.UNREACHABLE)
            if not reason and (type(hits) is not int or hits < 0):
                raise ValueError(f"hits of a corner, as {hits!r}")


def _short(error: Exception) -> str:
    """The key that is missing, or what was said, on one line of some length."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def verify_file(path: Path, entry: Mapping[str, Any]) -> None:
    """Does the file have the size and the checksum of its entry in the manifest?"""
    if not path.is_file():
        raise PackError(f"{path} is missing; emit the pack again")
    size = path.stat().st_size  # before the file is read: it may be of any size
    if size != entry["bytes"]:
        raise PackError(f"{path} has {size} bytes and {entry['bytes']} were written; emit the pack again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
        raise PackError(f"{path} does not have the checksum that the manifest states; emit the pack again")


def _from_coe(directory: Path, kind: str, files: Mapping[str, Any]) -> list[int]:
    name = f"{kind}.coe"
    if name not in files:
        return []
    words = coe.read_coe((directory / name).read_text(), files[name]["bits"], str(directory / name))
    if len(words) != files[name]["words"]:
        raise PackError(f"{directory / name} holds {len(words)} words and {files[name]['words']} are stated")
    return words


def _images(words: Mapping[str, list[int]], config: EngineConfig) -> Images:
    """Integers from bit patterns."""
    lanes = config.lanes
    weights = coe.unpack(words["weights"], lanes, config.weight_width)
    mask = (1 << config.bias_width) - 1
    assert SHIFT_BITS == 6
    parameters = [
        (word >> config.bias_width, coe.signed([word & mask], config.bias_width)[0])
        for word in words["parameters"]
    ]
    rows = coe.unpack(words["activations"], lanes, config.activation_width)
    return Images(
        list(words["program"]),
        np.array([coe.signed(row, config.weight_width) for row in weights], np.int64).reshape(-1, lanes),
        np.array(parameters, np.int64).reshape(-1, 2),
        np.array(coe.signed(words["tables"], config.activation_width), np.int64),
        np.array([coe.signed(row, config.activation_width) for row in rows], np.int64).reshape(-1),
    )
