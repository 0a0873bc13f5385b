# SPDX-License-Identifier: MIT
"""The engine as gates between registers, with mutants in it, and modules of parts of it for yosys."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.proof.yosys import SCRATCH, run_yosys

Cell = dict[str, Any]
Bit = int | str
GATES = (
    *(
        "$and",
        "$or",
        "$xor",
        "$xnor",
        "$not",
        "$add",
        "$sub",
        "$mul",
        "$neg",
        "$mux",
        "$pmux",
        "$shl",
        "$shr",
    ),
    *("$sshl", "$sshr", "$shiftx", "$shift", "$eq", "$ne", "$lt", "$le", "$gt", "$ge", "$logic_and"),
    *("$logic_or", "$logic_not", "$reduce_and", "$reduce_or", "$reduce_xor", "$reduce_bool", "$pos"),
)


def flattened(commands: Sequence[str], top: str = "engine") -> dict[str, Any]:
    """The module `top` after these commands, as one."""
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
        path = Path(folder) / "engine.json"
        run_yosys([*commands, "flatten", "opt_clean", f"write_json {path}"])
        module: dict[str, Any] = json.loads(path.read_text())["modules"][top]
    return module


class Machine:
    """The engine between its registers: gates, the bits that come in, and the bits that go out."""

    def __init__(self, module: Mapping[str, Any], original: Mapping[str, Any]) -> None:
        """`original` is the same without mutations: it says what the registers are called."""
        self.gates: list[Cell] = []
        self.inputs: dict[Bit, str] = {}
        self.outputs: list[tuple[str, Bit]] = []
        self.masks: dict[str, list[Bit]] = {}  # of an output: bits without one of which nobody reads it
        self.choice: dict[Bit, int] = {}
        self.aliases: dict[str, Bit] = {}
        names: dict[Bit, list[str]] = defaultdict(list)
        for name, net in original["netnames"].items():
            for place, bit in enumerate(net["bits"]):
                names[bit].append(f"{name}[{place}]")
        for name, port in module["ports"].items():
            for place, bit in enumerate(port["bits"]):
                if name == "mutant":
                    self.choice[bit] = place
                elif port["direction"] == "input":
                    self._input(bit, [f"{name}[{place}]"])
                else:
                    self.outputs.append((f"port {name}[{place}]", bit))
        for name, cell in module["cells"].items():
            kind, pins = cell["type"], cell["connections"]
            if kind in GATES:
                self.gates += _bitwise(cell)
            elif kind == "$dff":
                called = original["cells"][name]["connections"]["Q"]
                for d, q, first in zip(pins["D"], pins["Q"], called, strict=True):
                    self._input(q, names[first])
                    self.outputs.append((f"next {self.inputs[q]}", d))
                    self.outputs.append((f"clock {self.inputs[q]}", pins["CLK"][0]))
            elif kind.startswith("$memrd"):
                where = re.sub(r"[\\\\]", "", cell["parameters"]["MEMID"])
                for place, bit in enumerate(pins["DATA"]):
                    self._input(bit, [f"{where} reads[{place}]"])
                for place, bit in enumerate(pins["ADDR"]):
                    self.outputs.append((f"read address of {where}[{place}]", bit))
            elif kind.startswith("$memwr"):
                for place, bit in enumerate(pins["EN"]):
                    self.outputs.append((f"{name} enable[{place}]", bit))
                for port in ("ADDR", "DATA"):
                    for place, bit in enumerate(pins[port]):
                        self.outputs.append((f"{name} {port}[{place}]", bit))
                        self.masks[f"{name} {port}[{place}]"] = (
                            list(dict.fromkeys(pins["EN"])) if port == "ADDR" else [pins["EN"][place]]
                        )
                self.outputs.append((f"{name} clock", pins["CLK"][0]))
            elif kind.endswith("engine"):  # left out: what it says may be anything
                for port, bits in pins.items():
                    for place, bit in enumerate(bits):
                        if cell["port_directions"][port] == "output":
                            self._input(bit, [f"{name} {port}[{place}]"])
                        else:
                            self.outputs.append((f"{name} {port}[{place}]", bit))
            elif not kind.startswith(("$meminit", "$scopeinfo")):
                raise ValueError(f"a cell of kind {kind} is not understood")
        self._connect()
        by_name = {name: bit for bit, name in self.inputs.items()}
        self._following = {
            by_name[name.removeprefix("next ")]: bit for name, bit in self.outputs if name.startswith("next ")
        }
        # Registers that are read, and not by a mutation alone.
        self.alive: frozenset[str] = (
            self._alive() if module is original else Machine(original, original).alive
        )
        forgotten = {
            name.partition(" ")[2] for name, _ in self.outputs if name.startswith("next ")
        } - self.alive
        self.forgotten = [bit for bit, name in self.inputs.items() if name in forgotten]
        self.outputs = [(name, bit) for name, bit in self.outputs if name.partition(" ")[2] not in forgotten]

    def _input(self, bit: Bit, names: Sequence[str]) -> None:
        assert bit not in self.inputs
        self.inputs[bit] = min(names, key=lambda name: ("$" in name, name))
        for name in names:
            self.aliases[name] = bit

    def _connect(self) -> None:
        self._readers: dict[Bit, list[int]] = defaultdict(list)
        self._driver: dict[Bit, int] = {}
        for number, gate in enumerate(self.gates):
            for port, bits in gate["connections"].items():
                for bit in bits:
                    if gate["port_directions"][port] == "output":
                        self._driver[bit] = number
                    elif isinstance(bit, int):
                        self._readers[bit].append(number)

    def _alive(self) -> frozenset[str]:
        """Registers that reach a port or a memory, and not only themselves and each other."""
        following = {
            name.removeprefix("next "): bit for name, bit in self.outputs if name.startswith("next ")
        }
        waiting: list[Bit] = [bit for name, bit in self.outputs if not name.startswith(("next ", "clock "))]
        seen: set[Bit] = set()
        while waiting:
            bit = waiting.pop()
            if bit in seen:
                continue
            seen.add(bit)
            if bit in self.inputs:
                waiting += [following[self.inputs[bit]]] if self.inputs[bit] in following else []
            elif bit in self._driver:
                waiting += self.behind(self._driver[bit])
        return frozenset(self.inputs[bit] for bit in seen if bit in self.inputs)

    def driver(self, bit: Bit) -> int | None:
        return self._driver.get(bit)

    def behind(self, number: int) -> list[Bit]:
        gate = self.gates[number]
        return [
            bit
            for port, bits in gate["connections"].items()
            if gate["port_directions"][port] != "output"
            for bit in bits
        ]

    def touched(self, mutant: int) -> set[Bit]:
        """Every bit that this mutant may change within a step."""
        waiting: list[Bit] = []
        for gate in self.gates:
            if gate["type"] == "$eq" and _constant(gate) == mutant and self._chooses(gate):
                waiting += gate["connections"]["Y"]
        if not waiting:
            return set()
        reached: set[Bit] = set(waiting)
        while waiting:
            for number in self._readers[waiting.pop()]:
                gate = self.gates[number]
                for port, bits in gate["connections"].items():
                    if gate["port_directions"][port] == "output":
                        new = [bit for bit in bits if bit not in reached]
                        reached.update(new)
                        waiting += new
        return reached

    def _chooses(self, gate: Cell) -> bool:
        return any(bit in self.choice for bits in gate["connections"].values() for bit in bits)

    def register(self, pattern: str) -> list[Bit]:
        """What the registers, memories or ports that match hold."""
        named = {bit for name, bit in self.aliases.items() if re.fullmatch(pattern, name)}
        if not named:
            raise ValueError(f"nothing in the engine is called {pattern}")
        return sorted((bit for bit in named if bit in self.inputs), key=str)  # others are constants

    def following(self) -> dict[Bit, Bit]:
        """What each register will hold, also one that is not compared."""
        return self._following


class Builder:
    """A module of some of the machine's gates, and some more."""

    def __init__(self, machine: Machine, mutant: int = 0) -> None:
        self.machine, self.mutant = machine, mutant
        self.ports: dict[str, Any] = {}
        self.cells: dict[str, Any] = {}
        self._seen: set[Bit] = set()
        self._fresh = 10_000_000
        self.instead: dict[Bit, Bit] = {}
        self.made: dict[Any, Bit] = {}  # what somebody may want again

    def take(self, bit: Bit) -> Bit:
        """The bit, with all the gates behind it."""
        waiting = [bit]
        while waiting:
            one = waiting.pop()
            if one in self._seen:
                continue
            self._seen.add(one)
            if one in self.machine.inputs:
                self.ports[plain(f"in {self.machine.inputs[one]}")] = port_of("input", one)
            elif (number := self.machine.driver(one)) is not None and f"gate{number}" not in self.cells:
                gate = self.machine.gates[number]
                connections = {p: [self._value(b) for b in bits] for p, bits in gate["connections"].items()}
                self.cells[f"gate{number}"] = gate | {"connections": connections}
                waiting += self.machine.behind(number)
        return self._value(bit)

    def _value(self, bit: Bit) -> Bit:
        if bit in self.machine.choice:
            return str(self.mutant >> self.machine.choice[bit] & 1)
        return self.instead.get(bit, bit)

    def new(self) -> Bit:
        self._fresh += 1
        return self._fresh

    def gate(self, kind: str, **inputs: Bit) -> Bit:
        result = self.new()
        connections = {port: [bit] for port, bit in inputs.items()} | {"Y": [result]}
        directions = dict.fromkeys(inputs, "input") | {"Y": "output"}
        self.cells[f"extra{result}"] = {
            "hide_name": 1,
            "type": f"$_{kind}_",
            "parameters": {},
            "attributes": {},
            "port_directions": directions,
            "connections": connections,
        }
        return result

    def any_of(self, bits: Sequence[Bit]) -> Bit:
        result: Bit = "0"
        for bit in bits:
            result = self.gate("OR", A=result, B=bit)
        return result

    def all_of(self, bits: Sequence[Bit]) -> Bit:
        result: Bit = "1"
        for bit in bits:
            result = self.gate("AND", A=result, B=bit)
        return result

    def output(self, name: str, bit: Bit) -> None:
        self.ports[name] = port_of("output", bit)

    def module(self) -> dict[str, Any]:
        return {"attributes": {}, "ports": self.ports, "cells": self.cells, "netnames": {}}


def _bitwise(cell: Cell) -> list[Cell]:
    """A gate bit by bit, if its bits have nothing to do with each other: so that each has its own readers."""
    pins, kind = cell["connections"], cell["type"]
    width = len(pins["Y"])
    alike = all(len(bits) == width for port, bits in pins.items() if port not in ("S", "Y"))
    if width == 1 or kind not in ("$mux", "$and", "$or", "$xor", "$xnor", "$not") or not alike:
        return [cell]
    single = {name: f"{1:032b}" for name in cell["parameters"] if name.endswith("WIDTH")}
    return [
        cell
        | {
            "parameters": cell["parameters"] | single,
            "connections": {port: bits if port == "S" else [bits[place]] for port, bits in pins.items()},
        }
        for place in range(width)
    ]


def _constant(gate: Cell) -> int:
    """The constant side of a comparison, or -1."""
    for port in ("A", "B"):
        bits = gate["connections"][port]
        if all(isinstance(bit, str) for bit in bits):
            return sum(1 << place for place, bit in enumerate(bits) if bit == "1")
    return -1


def port_of(direction: str, bit: Bit) -> dict[str, Any]:
    return {"direction": direction, "bits": [bit]}


def plain(name: str) -> str:
    """A name that needs no escaping."""
    return re.sub(r"\W+", "_", name).strip("_")
