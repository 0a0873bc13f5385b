# SPDX-License-Identifier: MIT
"""Is a mutated engine the same machine as the original? One step of induction by yosys' SAT solver.

The engine is flattened, and its registers and memories are cut: what they hold or answer becomes a free input,
what goes into them an output. If no state and no input makes any output or any next state differ, the two are the
same machine. Only what lies behind the mutation is compared, since the rest is the same gates.

`Facts` narrow that: clauses say what holds in every state that a legal program reaches, and are proven to be kept
by each step; `idle` registers are those that nobody reads while their guard is low, which is proven too: then they
may differ. So what is proven equal gives a host the same words, status and cycles from every legal program.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.proof.yosys import SCRATCH, run_yosys

Cell = dict[str, Any]
Bit = int | str
REGISTER = "$_DFF_P_"
AT_ONCE = 24  # proofs of one process


def flattened(commands: Sequence[str]) -> dict[str, Any]:
    """The module `engine` after these commands, as one, its registers bit by bit, without what nobody reads."""
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
        path = Path(folder) / "engine.json"
        run_yosys([*commands, "flatten", "simplemap t:$dff", "opt_clean -purge", f"write_json {path}"])
        module: dict[str, Any] = json.loads(path.read_text())["modules"]["engine"]
    return module


Literal = tuple[str, int]


@dataclass(frozen=True)
class Facts:
    """What may be used in a proof. Names are patterns; every bit that matches is meant."""

    # Assumed of programs and hosts: these bits hold this value.
    assumed: Mapping[str, int] = field(default_factory=dict)
    # In every state at least one literal holds, for each bit that the first pattern matches.
    clauses: tuple[tuple[Literal, ...], ...] = ()
    # Registers, and the registers of which one is high when they are read.
    idle: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Machine:
    """The engine between its registers: gates, the bits that come in, and the bits that go out."""

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.gates: list[Cell] = []
        self.inputs: dict[Bit, str] = {}
        self.outputs: list[tuple[str, Bit]] = []
        self.choice: dict[Bit, int] = {}
        names: dict[Bit, str] = {}
        self.aliases: dict[str, Bit] = {}
        for name, net in sorted(module["netnames"].items(), key=lambda item: (item[1]["hide_name"], item[0])):
            for place, bit in enumerate(net["bits"]):
                names.setdefault(bit, f"{name}[{place}]")
                self.aliases[f"{name}[{place}]"] = bit
        for name, port in module["ports"].items():
            for place, bit in enumerate(port["bits"]):
                if name == "mutant":
                    self.choice[bit] = place
                elif port["direction"] == "input":
                    self.inputs[bit] = f"{name}[{place}]"
                else:
                    self.outputs.append((f"port {name}[{place}]", bit))
        for name, cell in module["cells"].items():
            kind: str = cell["type"]
            if kind == REGISTER:
                (q,), (d,) = cell["connections"]["Q"], cell["connections"]["D"]
                self.inputs[q] = names[q]
                self.outputs.append((f"next {names[q]}", d))
                clock = cell["connections"]["C"][0]
                self.outputs.append((f"clock of {names[q]}", clock))
            elif kind.startswith("$mem"):
                for port, bits in cell["connections"].items():
                    for place, bit in enumerate(bits):
                        if cell["port_directions"][port] == "output":
                            self.inputs[bit] = f"{name}.{port}[{place}]"
                        else:
                            self.outputs.append((f"{name}.{port}[{place}]", bit))
            elif not kind.startswith("$assert"):
                self.gates.append(cell)
        self._connect()
        self._forget_what_nobody_reads()

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

    def _forget_what_nobody_reads(self) -> None:
        """Registers that reach no port and no memory, except perhaps themselves and each other."""
        following = {name.removeprefix("next "): bit for name, bit in self.outputs if name.startswith("next ")}
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
        alive = {self.inputs[bit] for bit in seen if bit in self.inputs}
        self.outputs = [
            (name, bit)
            for name, bit in self.outputs
            if not name.startswith(("next ", "clock ")) or re.sub("^(next|clock of) ", "", name) in alive
        ]

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
        """What each register will hold."""
        by_name = {name: bit for bit, name in self.inputs.items()}
        return {by_name[n.removeprefix("next ")]: bit for n, bit in self.outputs if n.startswith("next ")}


class Builder:
    """A module of some of the machine's gates, and some more."""

    def __init__(self, machine: Machine, mutant: int = 0) -> None:
        self.machine, self.mutant = machine, mutant
        self.ports: dict[str, Any] = {}
        self.cells: dict[str, Any] = {}
        self._seen: set[Bit] = set()
        self._fresh = 10_000_000
        self.instead: dict[Bit, Bit] = {}

    def take(self, bit: Bit) -> Bit:
        """The bit, with all the gates behind it."""
        waiting = [bit]
        while waiting:
            one = waiting.pop()
            if one in self._seen:
                continue
            self._seen.add(one)
            if one in self.machine.inputs:
                self.ports[plain(f"in {self.machine.inputs[one]}")] = _port("input", one)
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
        directions = {port: "input" for port in inputs} | {"Y": "output"}
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
        self.ports[name] = _port("output", bit)

    def module(self) -> dict[str, Any]:
        return {"attributes": {}, "ports": self.ports, "cells": self.cells, "netnames": {}}


def _constant(gate: Cell) -> int:
    """The constant side of a comparison, or -1."""
    for port in ("A", "B"):
        bits = gate["connections"][port]
        if all(isinstance(bit, str) for bit in bits):
            return sum(1 << place for place, bit in enumerate(bits) if bit == "1")
    return -1


def _port(direction: str, bit: Bit) -> dict[str, Any]:
    return {"direction": direction, "bits": [bit]}


def plain(name: str) -> str:
    """A name that needs no escaping."""
    return re.sub(r"\W+", "_", name).strip("_")


class Prover:
    """Compares mutants with the engine under facts that hold."""

    def __init__(self, machine: Machine, facts: Facts) -> None:
        self.machine, self.facts = machine, facts
        self._following = machine.following()
        self._clauses: list[list[tuple[Bit, int]]] = []
        for clause in facts.clauses:
            rest = [(machine.register(name)[0], value) for name, value in clause[1:]]
            name, value = clause[0]
            self._clauses += [[(bit, value), *rest] for bit in machine.register(name)]
        self._assumed = [(bit, v) for name, v in facts.assumed.items() for bit in machine.register(name)]
        self._guards = {
            bit: [machine.register(guard)[0] for guard in guards]
            for name, guards in facts.idle.items()
            for bit in machine.register(name)
        }

    # ---- pieces --------------------------------------------------------------------------------------------

    def _legal(self, builder: Builder) -> Bit:
        """The facts about the present state."""
        alone = [[pair] for pair in self._assumed]
        return builder.all_of([self._holds(builder, clause, builder.take) for clause in [*alone, *self._clauses]])

    @staticmethod
    def _holds(builder: Builder, clause: Sequence[tuple[Bit, int]], of: Callable[[Bit], Bit]) -> Bit:
        return builder.any_of([of(bit) if value else builder.gate("NOT", A=of(bit)) for bit, value in clause])

    def _next(self, builder: Builder) -> Callable[[Bit], Bit]:
        return lambda bit: builder.take(self._following.get(bit, bit))

    def _seen(self, builder: Builder, name: str, bit: Bit) -> Bit:
        """An output, or what a register will hold if somebody will read it."""
        register = self._register_of.get(name) if name.startswith("next ") else None
        value = builder.take(bit)
        if register is None or register not in self._guards:
            return value
        guard = builder.any_of([self._next(builder)(bit) for bit in self._guards[register]])
        return builder.gate("AND", A=value, B=guard)

    @cached_property
    def _register_of(self) -> dict[str, Bit]:
        return {f"next {name}": bit for bit, name in self.machine.inputs.items()}

    # ---- proofs --------------------------------------------------------------------------------------------

    def broken(self, seconds: int = 60) -> list[str]:
        """Facts that a step can break: clauses that are not kept, idle registers that are read."""
        builder = Builder(self.machine)
        builder.output("legal", self._legal(builder))
        design, commands = {}, []
        for number, clause in enumerate(self._clauses):
            builder.output(f"clause{number}", self._holds(builder, clause, self._next(builder)))
            commands += [
                f"log PROOF {number}",
                f"sat -timeout {seconds} -set legal 1 -prove clause{number} 1 facts",
            ]
        design["facts"] = builder.module()
        kept = _successes(design, commands)
        wrong = [
            " or ".join(f"{self.machine.inputs[bit]} = {value}" for bit, value in clause)
            for number, clause in enumerate(self._clauses)
            if str(number) not in kept
        ]
        return wrong + self._read_while_idle(seconds)

    def _read_while_idle(self, seconds: int) -> list[str]:
        """Two engines in the same state but for what is idle must stay so."""
        gold, gate = Builder(self.machine), Builder(self.machine)
        active = {bit: gate.any_of([gate.take(g) for g in guards]) for bit, guards in self._guards.items()}
        for number, (bit, guard) in enumerate(active.items()):
            other = gate.new()
            for builder in (gold, gate):  # both have the port, one uses it
                builder.ports[f"in_other_{number}"] = _port("input", other if builder is gate else gold.new())
                builder.ports[plain(f"in {self.machine.inputs[bit]}")] = _port("input", bit)
            gate.instead[bit] = gate.gate("MUX", A=other, B=bit, S=guard)
        for builder in (gold, gate):
            for name, bit in self.machine.outputs:
                builder.output(plain(f"out {name}"), self._seen(builder, name, bit))
        for builder in (gold, gate):
            builder.output("legal", self._legal(builder))
        ports = set(gold.ports) | set(gate.ports)
        for builder in (gold, gate):
            for name in ports - set(builder.ports):
                builder.ports[name] = _port("input", builder.new())
        commands = [
            "miter -equiv -flatten -make_outputs gold gate both",
            "log PROOF idle",
            f"sat -timeout {seconds} -set gold_legal 1 -prove trigger 0 both",
        ]
        found = _successes({"gold": gold.module(), "gate": gate.module()}, commands)
        return [] if found or not self._guards else ["registers that are idle are not"]

    def equal(self, mutants: Sequence[int], seconds: int, workers: int) -> set[int]:
        """Those of the mutants that are the same machine."""
        groups = [mutants[start : start + AT_ONCE] for start in range(0, len(mutants), AT_ONCE)]
        with ThreadPoolExecutor(workers) as pool:
            return set().union(*pool.map(lambda group: self._equal(group, seconds), groups))

    def _equal(self, mutants: Collection[int], seconds: int) -> set[int]:
        design: dict[str, Any] = {}
        commands, proven = [], set()
        for mutant in mutants:
            touched = self.machine.touched(mutant)
            behind = [(name, bit) for name, bit in self.machine.outputs if bit in touched]
            if not behind:  # nobody reads it
                proven.add(mutant)
                continue
            gold, gate = Builder(self.machine), Builder(self.machine, mutant)
            for builder in (gold, gate):
                for name, bit in behind:
                    builder.output(plain(f"out {name}"), self._seen(builder, name, bit))
            for builder in (gold, gate):
                legal = self._legal(gold) if builder is gold else "1"
                builder.output("legal", legal)
            for name in set(gold.ports) - set(gate.ports):
                gate.ports[name] = _port("input", gate.new())
            for name in set(gate.ports) - set(gold.ports):
                gold.ports[name] = _port("input", gold.new())
            design |= {f"gold{mutant}": gold.module(), f"gate{mutant}": gate.module()}
            outs = " ".join(f"-prove {name} 0" for name in ())
            commands += [
                f"miter -equiv -flatten -make_outputs -ignore_gold_x gold{mutant} gate{mutant} both{mutant}",
                f"log PROOF {mutant}",
                f"sat -timeout {seconds} -set gold_legal 1 {outs} -prove trigger 0 both{mutant}",
            ]
        return proven | {int(name) for name in _successes(design, commands)}


def _successes(design: Mapping[str, Any], commands: Sequence[str]) -> set[str]:
    """The names of the proofs that succeeded."""
    if not commands:
        return set()
    with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
        path = Path(folder) / "design.json"
        path.write_text(json.dumps({"creator": "", "modules": design}))
        text = run_yosys([f"read_json {path}", *commands])
    return {name for name, said in _proofs(text) if "no model found: SUCCESS" in said}


def _proofs(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^PROOF ", text, flags=re.M)[1:]:
        name, _, said = part.partition("\n")
        yield name.strip(), said
