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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.proof.machine import Bit, Builder, Machine, plain, port_of
from tests.proof.yosys import SCRATCH, answers_of_yosys

AT_ONCE = 48  # proofs of one process
Literal = tuple[str, int]
# What must hold of some registers that another one is read: one of them is high, or all literals of a case hold.
Guards = tuple[str | tuple[Literal, ...], ...]
# The same of bits: one of the cases.
Cases = tuple[tuple[tuple[Bit, int], ...], ...]


@dataclass(frozen=True)
class Facts:
    """What may be used in a proof. Names are patterns; every bit that matches is meant."""

    # In every state at least one literal of a clause holds, for each bit that the first pattern matches.
    clauses: tuple[tuple[Literal, ...], ...] = ()
    # The same, not proven but assumed of programs.
    assumed: tuple[tuple[Literal, ...], ...] = ()
    # Registers, and when they are read.
    idle: Mapping[str, Guards] = field(default_factory=dict)
    # Memories, and when what they answer is used.
    unread: Mapping[str, Guards] = field(default_factory=dict)


class Prover:
    """Compares mutants with the engine under facts that hold."""

    def __init__(self, machine: Machine, facts: Facts) -> None:
        self.machine, self.facts = machine, facts
        self._following = machine.following()
        self._clauses = self._bits(facts.clauses)
        self._assumed = self._bits(facts.assumed)
        # Bits of which a clause alone says what they hold.
        self._settled = {clause[0][0] for clause in self._clauses if len(clause) == 1}
        self._guards: dict[Bit, Cases] = {}
        for name, guards in facts.idle.items():
            self._guards |= dict.fromkeys(machine.register(name), self._cases(guards))
        self._unread = {name: self._cases(guards) for name, guards in facts.unread.items()}

    # ---- pieces --------------------------------------------------------------------------------------------

    def _legal(self, builder: Builder) -> Bit:
        """The facts about the present state, of what the module has already."""
        known = [
            clause
            for clause in (*self._assumed, *self._clauses)
            if plain(f"in {self.machine.inputs[clause[0][0]]}") in builder.ports
        ]
        return builder.all_of([self._holds(builder, clause, builder.take) for clause in known])

    def _bits(self, clauses: Sequence[tuple[Literal, ...]]) -> list[list[tuple[Bit, int]]]:
        """Clauses of bits, from clauses of patterns."""
        found = []
        for (name, value), *rest in clauses:
            others = [(self.machine.register(other)[0], wanted) for other, wanted in rest]
            found += [[(bit, value), *others] for bit in self.machine.register(name)]
        return found

    def _cases(self, guards: Guards) -> Cases:
        cubes = [((guard, 1),) if isinstance(guard, str) else guard for guard in guards]
        return tuple(tuple((self.machine.register(name)[0], value) for name, value in cube) for cube in cubes)

    @staticmethod
    def _holds(builder: Builder, clause: Sequence[tuple[Bit, int]], of: Callable[[Bit], Bit]) -> Bit:
        return builder.any_of([of(bit) if value else builder.gate("NOT", A=of(bit)) for bit, value in clause])

    def _next(self, builder: Builder) -> Callable[[Bit], Bit]:
        return lambda bit: builder.take(self._following.get(bit, bit))

    def _seen(self, builder: Builder, name: str, bit: Bit) -> Bit:
        """An output, or what a register will hold if somebody will read it."""
        value = builder.take(bit)
        if name in self.machine.masks:
            enables = tuple(((mask, 1),) for mask in self.machine.masks[name])
            return self._masked(builder, value, enables, following=False)
        if name.startswith("read address of "):
            memory = re.sub(r"(\[\d+\])+$", "", name.removeprefix("read address of "))
            guards = next((g for m, g in self._unread.items() if re.fullmatch(m, memory)), None)
            return value if guards is None else self._masked(builder, value, guards, following=False)
        register = self._register_of.get(name)
        if register is None or register not in self._guards:
            return value
        return self._masked(builder, value, self._guards[register], following=True)

    def _masked(self, builder: Builder, value: Bit, cases: Cases, following: bool) -> Bit:
        return builder.gate("AND", A=value, B=self._one_of(builder, cases, following))

    def _one_of(self, builder: Builder, cases: Cases, following: bool) -> Bit:
        """One of the cases holds, of what the registers hold or of what they will hold; made once in a module."""
        if (cases, following) not in builder.made:
            of = self._next(builder) if following else builder.take
            all_of = [
                builder.all_of([of(bit) if value else builder.gate("NOT", A=of(bit)) for bit, value in case])
                for case in cases
            ]
            builder.made[cases, following] = builder.any_of(all_of)
        return builder.made[cases, following]

    @cached_property
    def _input_of(self) -> dict[str, Bit]:
        return {plain(f"in {name}"): bit for bit, name in self.machine.inputs.items()}

    @cached_property
    def _register_of(self) -> dict[str, Bit]:
        return {f"next {name}": bit for bit, name in self.machine.inputs.items()}

    # ---- proofs --------------------------------------------------------------------------------------------

    def broken(self, workers: int, seconds: int = 120) -> list[str]:
        """Facts that a step can break: clauses that are not kept, what is idle and read nevertheless."""
        wanted: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for clause in self.facts.clauses:
            builder = Builder(self.machine)
            kept = [self._holds(builder, bits, self._next(builder)) for bits in self._bits([clause])]
            builder.output("kept", builder.all_of(kept))
            builder.output("legal", self._legal(builder))
            name = plain(" or ".join(f"{pattern} is {value}" for pattern, value in clause))
            commands = [f"log PROOF {name}", f"sat -set legal 1 -prove kept 1 {name}"]
            wanted[name] = {name: builder.module()}, commands
        guarded = dict(self._guards)
        for memory, guards in self._unread.items():
            guarded |= dict.fromkeys(self.machine.register(rf"{memory} reads\[\d+\]"), guards)
        together: dict[str, list[tuple[str, Bit]]] = defaultdict(list)
        for name, bit in self.machine.outputs:
            together[re.sub(r"\[\d+\]$", "", name)].append((name, bit))
        for name, outputs in together.items():
            module = self._while_idle(plain(f"idle {name}"), outputs, guarded)
            if module is not None:
                wanted[plain(f"idle {name}")] = module, _miter(plain(f"idle {name}"))
        done = self._all(wanted, workers, seconds)
        return sorted(set(wanted) - done)

    def _while_idle(
        self, title: str, outputs: Sequence[tuple[str, Bit]], guarded: Mapping[Bit, Cases]
    ) -> dict[str, Any] | None:
        """Two engines in the same state but for what is idle, to be compared; None if nothing idle is near."""
        gold, gate, reached = Builder(self.machine), Builder(self.machine), Builder(self.machine)
        for name, bit in outputs:
            self._seen(reached, name, bit)
        near = [idle for idle in guarded if plain(f"in {self.machine.inputs[idle]}") in reached.ports]
        if not near:
            return None
        for idle in near:
            guard = self._one_of(gate, guarded[idle], following=False)
            other = gate.new()
            gate.ports[plain(f"other {self.machine.inputs[idle]}")] = port_of("input", other)
            gate.ports[plain(f"in {self.machine.inputs[idle]}")] = port_of("input", idle)
            gate.instead[idle] = gate.gate("MUX", A=other, B=idle, S=guard)
        for builder in (gold, gate):
            for number, (name, bit) in enumerate(outputs):
                builder.output(f"out_{number}", self._seen(builder, name, bit))
        return self._pair(title, gold, gate)

    def _pair(self, name: str, gold: Builder, gate: Builder) -> dict[str, Any]:
        """Two modules with the same ports; the facts hold for the first."""
        for port, about in gate.ports.items():  # what is known about all that either depends on
            if about["direction"] == "input" and port in self._input_of:
                gold.take(self._input_of[port])
        gold.output("legal", self._legal(gold))
        gate.output("legal", "1")
        for one, other in ((gold, gate), (gate, gold)):
            for port in set(one.ports) - set(other.ports):
                other.ports[port] = port_of("input", other.new())
        return {f"gold_{name}": gold.module(), f"gate_{name}": gate.module()}

    def equal(self, mutants: Sequence[int], workers: int, seconds: int = 60) -> set[int]:
        """Those of the mutants that are the same machine."""
        wanted: dict[str, tuple[dict[str, Any], list[str]]] = {}
        proven = set()
        for mutant in mutants:
            touched = self.machine.touched(mutant)
            behind = [(name, bit) for name, bit in self.machine.outputs if bit in touched]
            if not behind:  # nobody reads it
                proven.add(mutant)
                continue
            gold, gate = Builder(self.machine), Builder(self.machine, mutant)
            for bit in self.machine.forgotten:  # they are not compared, so a mutation may find anything there
                if bit in self._settled and self._following[bit] not in touched:
                    continue  # but what a clause says of every state
                other = gate.new()
                gate.ports[plain(f"other {self.machine.inputs[bit]}")] = port_of("input", other)
                gate.instead[bit] = other
            for builder in (gold, gate):
                for name, bit in behind:
                    builder.output(plain(f"out {name}"), self._seen(builder, name, bit))
            wanted[str(mutant)] = self._pair(str(mutant), gold, gate), _miter(str(mutant))
        return proven | {int(name) for name in self._all(wanted, workers, seconds)}

    @staticmethod
    def _all(wanted: Mapping[str, tuple[dict[str, Any], list[str]]], workers: int, seconds: int) -> set[str]:
        """The names of the proofs that succeed, several processes at once."""
        names = list(wanted)
        groups = [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]

        def run(group: Sequence[str]) -> set[str]:
            return successes({name: wanted[name] for name in group}, seconds)

        with ThreadPoolExecutor(workers) as pool:
            return set().union(*pool.map(run, groups))


def _miter(name: str) -> list[str]:
    return [
        f"log PROOF {name}",
        f"miter -equiv -flatten -make_outputs gold_{name} gate_{name} both_{name}",
        f"sat -set gold_legal 1 -prove trigger 0 both_{name}",
    ]


def successes(wanted: Mapping[str, tuple[dict[str, Any], list[str]]], seconds: int) -> set[str]:
    """The names of the proofs that succeed, each in so much processor time, or five times as much alone.

    All are asked of one process, until one uses up its time; that one is asked again alone, and the rest of another.
    """
    found: set[str] = set()
    waiting, alone = list(wanted), list[str]()
    while waiting or alone:
        group, limit = (waiting, seconds) if waiting else ([alone.pop()], 5 * seconds)
        design = {module: content for name in group for module, content in wanted[name][0].items()}
        with tempfile.TemporaryDirectory(prefix="fixedpoint_nn-", dir=SCRATCH) as folder:
            path = Path(folder) / "design.json"
            path.write_text(json.dumps({"creator": "", "modules": design}))
            commands = [command for name in group for command in wanted[name][1]]
            said = dict(_proofs(answers_of_yosys([f"read_json {path}", *commands, "log PROOF end"], limit)))
        found |= {name for name in group if "no model found: SUCCESS" in said.get(name, "")}
        if waiting and "end" not in said:
            alone += list(said)[-1:]
        waiting = [name for name in waiting if name not in said] if said else []
    return found


def _proofs(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^PROOF ", text, flags=re.M)[1:]:
        name, _, said = part.partition("\n")
        yield name.strip(), said
