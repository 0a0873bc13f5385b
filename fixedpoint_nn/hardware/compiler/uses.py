# SPDX-License-Identifier: MIT
"""The uses of each value of a traced program, which decide whether and how it is stored."""

from __future__ import annotations

from fixedpoint_nn.numbers.traced.program import Program

MOVES = ("reshape", "index", "windows")
WAITS = ("add", "sub", "neg", "relu", "scaled", "cast", "lookup", "mul")


class Consumers:
    """The uses of a program's values."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.users: dict[int, list[int]] = {place: [] for place in range(len(program.nodes))}
        for place, node in enumerate(program.nodes):
            for i in node.inputs:
                self.users[i].append(place)
        self.leaky: dict[int, tuple[int, int]] = {}
        self.skipped: set[int] = set()
        self._find_leaky()

    def _find_leaky(self) -> None:
        """Find x.maximum(x.scaled(-k)), a leaky ReLU, which the requantiser computes."""
        for place, node in enumerate(self.program.nodes):
            if node.op != "maximum":
                continue
            for x, scaled in (node.inputs, node.inputs[::-1]):
                other = self.program.nodes[scaled]
                if (
                    other.op == "scaled"
                    and other.inputs == (x,)
                    and other.attributes["power"] < 0
                    and self.users[scaled] == [place]
                    and sorted(self.users[x]) == sorted([place, scaled])
                ):
                    self.leaky[place] = x, -other.attributes["power"]
                    self.skipped.add(scaled)

    def can_fuse(self, place: int) -> bool:
        """Whether the value can stay an expression: it has one consumer, or only slices of channels."""
        users = self.users[place]
        if place in self.program.outputs:
            return False
        if any(source == place for source, _ in self.leaky.values()):
            return True
        if len(users) == 1:
            return True
        return bool(users) and all(self.program.nodes[user].op == "index" for user in users)

    def needs_rows(self, place: int) -> bool:
        """Whether anything reads the value with all lanes at once."""
        for user in self.users[place]:
            node = self.program.nodes[user]
            if node.op in MOVES or (node.op == "result"):
                if node.op == "windows" and node.attributes["groups"] > 1:
                    return True
                if self.needs_rows(user):
                    return True
            elif node.op == "dot" or node.op in ("argmax", "take", "scan"):
                continue
            else:
                return True
        return False

    def readers(self, place: int) -> set[str]:
        """The verbs that compute with the value, seen through data movement."""
        found: set[str] = set()
        for user in self.users[place]:
            verb = self.program.nodes[user].op
            found |= self.readers(user) if verb in (*MOVES, "transpose") else {verb}
        return found

    def name(self, place: int) -> str:
        """The name of the cast that ends the operation, or of one before it."""
        seen, here = set(), place
        while here not in seen:
            seen.add(here)
            node = self.program.nodes[here]
            if node.name:
                return node.name
            if not self.users[here]:
                break
            here = self.users[here][0]
        for back in range(place, -1, -1):
            if self.program.nodes[back].name:
                return self.program.nodes[back].name
        return ""

    def where(self, place: int) -> str:
        """The name for error messages: the cast that ends the operation, if in the same layer, or that layer."""
        here, part = place, self.program.nodes[place].place
        while part and not self.program.nodes[here].name:
            users = self.users[here]
            if not users or self.program.nodes[users[0]].place != part:
                return part
            here = users[0]
        return self.program.nodes[here].name or self.name(place)
