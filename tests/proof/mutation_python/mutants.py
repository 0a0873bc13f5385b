# SPDX-License-Identifier: MIT
"""Every mutant of a module: its source with one comparison, operation, constant, condition or result changed."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}

# Keyword arguments that cost time or memory, or guard against assignments and lengths that nobody makes.
_NO_RESULT = ("copy", "frozen", "maxsize", "strict")


@dataclass(frozen=True)
class _Change:
    """`field` of `owner` (its item number `item`, if it is a list) becomes `after`, which is written as shown."""

    owner: ast.AST
    field: str
    item: int | None
    after: object
    line: int
    text: str

    def put(self, value: object) -> object:
        """Store `value`; gives what stood there before."""
        if self.item is None:
            before = getattr(self.owner, self.field)
            setattr(self.owner, self.field, value)
            return before
        place = getattr(self.owner, self.field)
        before, place[self.item] = place[self.item], value
        return before


@dataclass(frozen=True)
class Mutant:
    """One change of a module. Its name says where and what, and stays when lines above it move."""

    name: str  # module:function:before -> after, and #2, #3, ... for what occurs again
    line: int
    lines: range  # those of the statement that is changed
    _tree: ast.Module
    _change: _Change

    @property
    def source(self) -> str:
        """The module's source with the change."""
        before = self._change.put(self._change.after)
        mutated = ast.unparse(ast.fix_missing_locations(self._tree))
        self._change.put(before)
        return mutated

    def code(self, file: str) -> CodeType:
        """The module's code with the change; its lines are those of the source."""
        after = self._change.after
        if isinstance(after, (ast.expr, ast.stmt)) and not hasattr(after, "lineno"):
            ast.fix_missing_locations(ast.copy_location(after, self._change.owner))
        before = self._change.put(after)
        mutated = compile(self._tree, file, "exec", dont_inherit=True)
        self._change.put(before)
        return mutated


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """All mutants of a module, in the order of its lines."""
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for function, lines, change in list(_changes(tree, "", range(0))):
        name = f"{module}:{function or 'module'}:{change.text}"
        seen[name] += 1
        number = f" #{seen[name]}" if seen[name] > 1 else ""
        yield Mutant(name + number, change.line, lines, tree, change)


def _changes(node: ast.AST, function: str, lines: range) -> Iterator[tuple[str, range, _Change]]:
    """The changes inside a node, with the qualified name of the function and the lines that they are in."""
    if isinstance(node, ast.stmt):
        body = getattr(node, "body", None)
        end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        lines = range(node.lineno, end + 1)
    for change in _own_changes(node):
        yield function, lines, change
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "type_params") or _is_left_alone(node, value):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                yield from _changes(child, f"{function}.{child.name}" if function else child.name, lines)
            elif isinstance(child, ast.AST) and not _is_open_length(node, child):
                yield from _changes(child, function, lines)


def _is_left_alone(node: ast.AST, value: object) -> bool:
    """Messages have tests of their own; types, caches' sizes and the like change no result."""
    if isinstance(node, ast.keyword) and node.arg in _NO_RESULT:
        return True
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
        return True
    return isinstance(node, ast.Assign) and value is node.value and "NDArray" in ast.unparse(node.value)


def _own_changes(node: ast.AST) -> Iterator[_Change]:
    line = getattr(node, "lineno", 0)

    def change(owner: ast.AST, field: str, item: int | None, after: object, text: str) -> _Change:
        return _Change(owner, field, item, after, line or getattr(after, "lineno", 0), text)

    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield change(node, "ops", i, other(), _shown(node, "ops", i, other()))
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATIONS:
        if isinstance(node, ast.BinOp) and _is_union(node):
            return
        swapped = _OPERATIONS[type(node.op)]()
        yield change(node, "op", None, swapped, _shown(node, "op", None, swapped))
    elif isinstance(node, ast.BoolOp):
        swapped_bool = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield change(node, "op", None, swapped_bool, _shown(node, "op", None, swapped_bool))
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)) and ast.unparse(node.test) != "TYPE_CHECKING":
        test = ast.unparse(node.test)
        yield change(node, "test", None, ast.UnaryOp(ast.Not(), node.test), f"if {test} -> if not ({test})")
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield change(node, "value", None, ast.Constant(None), f"return {ast.unparse(node.value)} -> None")
    if isinstance(node, ast.keyword) and node.arg in _NO_RESULT:
        return
    for field, value in ast.iter_fields(node):
        for item, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.UnaryOp) and not isinstance(child.op, ast.UAdd):
                text = f"{ast.unparse(child)} -> {ast.unparse(child.operand)}"
                yield change(node, field, item, child.operand, text)
            elif isinstance(child, ast.Constant) and isinstance(child.value, (int, float)):
                after = not child.value if isinstance(child.value, bool) else child.value + 1
                around = _statement(node)
                yield change(node, field, item, ast.Constant(after), f"{child.value} -> {after} in {around}")


def _shown(node: ast.AST, field: str, item: int | None, after: object) -> str:
    change = _Change(node, field, item, after, 0, "")
    before_text = ast.unparse(node)
    before = change.put(after)
    text = f"{before_text} -> {ast.unparse(node)}"
    change.put(before)
    return text


def _statement(node: ast.AST) -> str:
    """What surrounds a constant, in one line."""
    return ast.unparse(node).splitlines()[0][:80]


def _is_none(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _is_open_length(node: ast.AST, child: ast.AST) -> bool:
    """The -1 of a reshape: NumPy takes any number below zero for the length that follows from the others."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reshape"
        and ast.unparse(child) == "-1"
    )


def _is_union(node: ast.BinOp) -> bool:
    """`int | None` and the like, which are types."""
    return isinstance(node.op, ast.BitOr) and any(
        _is_none(side) or ast.unparse(side) in ("int", "float", "str", "Any")
        for side in (node.left, node.right)
    )
