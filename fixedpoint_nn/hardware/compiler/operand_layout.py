# SPDX-License-Identifier: MIT
"""Operands where one run can read them: of one kind, in rows, side by side, equally far apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

import numpy as np

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Scale, Term
from fixedpoint_nn.hardware.compiler.kernel import Path, Target
from fixedpoint_nn.hardware.compiler.kernel_selection import bound_of, is_broadcast, is_rows, pixel_atoms
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View, merge
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat


class Memory(Protocol):
    """What rearranging operands needs of the program under construction."""

    lanes: int
    layer: str
    buffers: list[Buffer]

    def target(self, shape: Sequence[int], padded: bool = True) -> tuple[Target, tuple[int, ...]]: ...

    def constant(self, value: FixedArray) -> View: ...

    def copied(self, view: View, path: Path, target: Target | None = None) -> View: ...

    def emit(self, expression: Expression, target: Target | None, path: Path) -> View: ...

    def buffer(self, name: str, words: int) -> Buffer: ...


@dataclass(frozen=True)
class Operands:
    """The operands of one expression that is about to be computed, and put to `target` if that is known."""

    assembly: Memory
    path: Path
    target: Target | None

    def arranged(self, expression: Expression) -> Expression:
        """The same expression with terms of one kind, standing where one run can read them."""
        if not expression.terms:
            return self._of_constant(expression)
        if len(expression.parts) > 1:
            if any(len(part) > 1 for part in expression.parts):
                raise LoweringError(
                    "adds a grouped convolution and another sum, which is no single run; cast one of them first"
                )
            return expression
        terms = list(expression.terms)
        if any(isinstance(term, Product) for term in terms):
            terms = self._products(terms)
            if len(terms) == 1 and isinstance(terms[0], Product):
                terms = [self._one_register(terms[0])]
        else:
            terms = [self._readable(term, alone=len(terms) == 1) for term in terms]
            if len({type(term) for term in terms}) > 1:
                terms = [self._stored(term) if isinstance(term, Dot) else term for term in terms]
        if len(terms) > 1:
            terms = self._side_by_side(terms)
        return replace(expression, parts=(tuple(terms),))

    def _of_constant(self, expression: Expression) -> Expression:
        """A fill: one tap that is outside of every image reads 0, so the result is the bias."""
        raise LoweringError("leaves over a value that does not depend on the input; fold it into a constant")

    def _readable(self, term: Term, alone: bool) -> Term:
        """Rows for all lanes, or one word for all lanes; else a matrix with a diagonal reads word by word."""
        if not isinstance(term, Scale):
            return term
        if is_rows(term.view, term.over, self.assembly.lanes):
            return term
        if is_broadcast(term.view):
            if alone:
                return term
        elif not term.over and not term.maximum:
            diagonal = Dot(term.view, np.diag(term.weights[0]), term.frac)
            return diagonal if alone else self._stored(diagonal)
        if term.over:
            raise LoweringError(
                f"sums over values that are no rows of {self.assembly.lanes} words; cast them before"
            )
        return replace(term, view=self.assembly.copied(term.view, self.path))

    def _stored(self, term: Term) -> Scale:
        """The exact value of one term, in memory."""
        expression = Expression(self._shape(term), _exact_format(term), ((term,),))
        view = self.assembly.emit(expression, None, self.path)
        return Scale(view, np.ones((1, term.channels), np.int64), view.format.frac_bits)

    def _shape(self, term: Term) -> tuple[int, ...]:
        return (*(prod(atom.size for atom in axis) for axis in term.pixels), term.channels)

    def _products(self, terms: list[Term]) -> list[Term]:
        """All terms as products of values in rows; a plain value is multiplied by a power of two."""
        frac = max(term.frac for term in terms)
        if any(not isinstance(term, Product) and _power(term, frac) is None for term in terms) or any(
            isinstance(term, Product) and term.frac != frac for term in terms
        ):
            return [self._readable(self._stored(term), alone=False) for term in terms]
        result: list[Term] = []
        for term in terms:
            if not isinstance(term, Product):
                assert isinstance(term, Scale)
                power = _power(term, frac)
                assert power is not None
                ones = self.assembly.constant(_constant_row(term.channels, power))
                term = Product(term.view, _spread(ones, term.view), frac)
            result.append(replace(term, view=self._row(term.view), other=self._row(term.other)))
        return self._in_step([term for term in result if isinstance(term, Product)])

    def _in_step(self, products: list[Product]) -> list[Term]:
        """One loop nest walks through all factors, so where their pixels are not equally far apart they are copied."""
        views = [view for product in products for view in (product.view, product.other)]
        if len({tuple(pixel_atoms(view.axes[:-1])) for view in views}) == 1:
            return list(products)

        def dense(view: View) -> View:
            return self.assembly.copied(view, self.path)

        return [
            replace(product, view=dense(product.view), other=dense(product.other)) for product in products
        ]

    def _row(self, view: View) -> View:
        return view if is_rows(view, (), self.assembly.lanes) else self.assembly.copied(view, self.path)

    # ---- operands that one loop must reach -----------------------------------------------------------------

    def _side_by_side(self, terms: list[Term]) -> list[Term]:
        """Terms whose operands one loop nest reaches: equal steps over pixels and over terms."""
        if isinstance(terms[0], Dot):
            return self._contiguous([term for term in terms if isinstance(term, Dot)])
        if isinstance(terms[0], Product):
            return self._paired([term for term in terms if isinstance(term, Product)])
        scales = [term for term in terms if isinstance(term, Scale)]
        if any(term.over for term in scales) and len(scales) > 1:
            scales = [self._stored(term) if term.over else term for term in scales]
        if len({tuple(pixel_atoms(term.pixels)) for term in scales}) > 1 or len(registers(scales)) > 1:
            scales = [replace(term, view=self.assembly.copied(term.view, self.path)) for term in scales]
        if scales[0].maximum and len({term.frac for term in scales}) > 1:
            raise LoweringError(
                "takes the larger of two values with different fraction bits; cast one of them first"
            )
        if len(scales) > 2:
            views = self._row_of_copies([term.view for term in scales])
            scales = [replace(term, view=view) for term, view in zip(scales, views, strict=True)]
        return list(scales)

    def _row_of_copies(self, views: Sequence[View]) -> list[View]:
        """Copies, one directly after the other."""
        sizes = [self.assembly.target(view.shape) for view in views]
        home = self.assembly.buffer(self.assembly.layer, sum(target.buffer.words for target, _ in sizes))
        copies, at = [], 0
        for view, (target, _) in zip(views, sizes, strict=True):
            self.assembly.buffers.remove(target.buffer)
            copies.append(self.assembly.copied(view, self.path, Target(home, at, target.stride)))
            at += target.buffer.words
        return copies

    def _contiguous(self, dots: list[Dot]) -> list[Term]:
        if self._adjacent(dots):
            return list(dots)
        if dots[0].view.window is None and self._adjacent(dots[::-1]):
            return list(dots[::-1])
        sizes = [prod(atom.size for atom in dot.view.axes[-1]) for dot in dots]
        shape = dots[0].view.shape
        pixels = prod(shape[:-1])
        home = self.assembly.buffer(self.assembly.layer, pixels * sum(sizes))
        result: list[Term] = []
        at = 0
        for dot, size in zip(dots, sizes, strict=True):
            view = self.assembly.copied(dot.view, self.path, Target(home, at, sum(sizes)))
            result.append(replace(dot, view=view))
            at += size
        return result

    def _adjacent(self, dots: Sequence[Dot]) -> bool:
        """Each operand ends where the next one begins, for every pixel."""
        at: tuple[Buffer, int] | None = None
        for dot in dots:
            atoms = merge(dot.view.axes[-1])
            if dot.view.window is not None or len(atoms) > 1 or (atoms and atoms[0].stride != 1):
                return False
            if at is not None and dot.view.place != at:
                return False
            root, offset = dot.view.place
            at = (root, offset + (atoms[0].size if atoms else 1))
        return len({tuple(pixel_atoms(dot.pixels)) for dot in dots}) == 1 and len(registers(dots)) == 1

    def _paired(self, products: list[Product]) -> list[Term]:
        """f*c + i*g: from f to c it is as far as from i to g.

        Free buffers are put so; else operands are copied.
        """
        if len(products) == 2:
            (f, c), (i, g) = ((p.view, p.other) for p in products)
            for x, y in ((i, g), (g, i)):
                if _spaced(f, c, x, y):
                    return [products[0], replace(products[1], view=x, other=y)]
            four = [f, c, i, g]
            distinct = len({view.buffer for view in four}) == 4
            bound = [view for view in four if not _is_free(view)]
            if distinct and not bound:
                words = max(view.buffer.words for view in four)
                home = self.assembly.buffer(self.assembly.layer, 4 * words)
                for number, view in enumerate((i, f, g, c)):
                    view.buffer.place_in(home, number * words)
                return list(products)
            if distinct and len(bound) == 1 and bound[0].buffer.root.used:
                return self._place_near_state(bound[0], products)
        firsts = self._row_of_copies([product.view for product in products])
        seconds = self._row_of_copies([product.other for product in products])
        return [
            replace(product, view=a, other=b) for product, a, b in zip(products, firsts, seconds, strict=True)
        ]

    def _place_near_state(self, fixed: View, products: list[Product]) -> list[Term]:
        """p*fixed + x*y, where `fixed` stands in the rows of a loop and the other three may still be put
        anywhere.

        Everything moves with the rows. From p to `fixed` it is as far as from x to y. If the result is the
        next row's state, p may take its place until then; else it stands behind the rows, and x as far behind
        that.
        """
        first, second = products if fixed in (products[0].view, products[0].other) else products[::-1]
        p = first.view if first.other is fixed else first.other
        x, y = second.view, second.other
        region, at = fixed.place
        register = fixed.buffer.register
        target = None if self.target is None else self.target.place
        if register is not None and target == (region, at + register.stride):
            self._put(p, region, at + register.stride, register)
        else:
            self._put(p, region, region.used, register)
        self._put(y, region, region.used, register)
        self._put(x, region, y.place[1] + p.place[1] - at, register)
        ordered = [replace(first, view=p, other=fixed), replace(second, view=x, other=y)]
        return list(ordered if first is products[0] else ordered[::-1])

    def _put(self, view: View, region: Buffer, offset: int, register: Register | None) -> None:
        """A free buffer becomes a part of a region, and moves with its rows."""
        view.buffer.place_in(region, offset)
        view.buffer.loop_register = register
        region.used = max(region.used, offset + view.buffer.words)
        region.words = max(region.words, region.used + (register.span if register is not None else 0))

    def _one_register(self, product: Product) -> Product:
        """Both operands of a product must move alike: a free one follows, else what moves is copied."""
        a, b = product.view, product.other
        if a.buffer.register is b.buffer.register:
            return product
        for moving, free in ((a, b), (b, a)):
            root = moving.buffer.root
            if moving.buffer.register is not None and _is_free(free) and root.used:
                self._put(free, root, root.used, moving.buffer.register)
                return product
        a, b = (self.assembly.copied(v, self.path) if v.buffer.register is not None else v for v in (a, b))
        return replace(product, view=a, other=b)


def registers(terms: Sequence[Term]) -> set[Register | None]:
    return {term.view.buffer.register for term in terms}


def _is_free(view: View) -> bool:
    """Its buffer may be put anywhere."""
    buffer = view.buffer
    return (
        buffer.parent is None
        and buffer.loop_register is None
        and view.offset == 0
        and buffer.constants is None
        and not buffer.distance_fixed
        and not buffer.used
    )


def _spaced(f: View, c: View, i: View, g: View) -> bool:
    roots = [view.place[0] for view in (f, c, i, g)]
    if len({view.buffer.register for view in (f, c, i, g)}) > 1:
        return False
    at_f, at_c, at_i, at_g = (view.place[1] for view in (f, c, i, g))
    same = len(set(roots)) == 1 or (roots[0] is roots[2] and roots[1] is roots[3])
    return same and at_i - at_f == at_g - at_c


def _power(term: Term, frac: int) -> int | None:
    """p if the term is its value times 2**p in units of 2**-frac, else None."""
    if not isinstance(term, Scale) or term.over or term.maximum:
        return None
    weights = set((term.weights << np.int64(frac - term.frac)).reshape(-1).tolist())
    weight = weights.pop()
    return weight.bit_length() - 1 if not weights and weight > 0 and weight & (weight - 1) == 0 else None


def _constant_row(channels: int, power: int) -> FixedArray:
    return FixedArray.from_ints(np.full((1, channels), 1 << power, np.int64), QFormat.of_int(1 << power))


def _spread(row: View, like: View) -> View:
    """The same row for every pixel."""
    axes = tuple(tuple(Atom(atom.size, 0) for atom in axis) for axis in like.axes[:-1])
    return replace(row, axes=(*axes, row.axes[-1]))


def _exact_format(term: Term) -> QFormat:
    weights = [] if isinstance(term, Product) else [term.weights]
    low, high = bound_of([term], weights or [np.zeros(0)])
    return QFormat.enclosing(min(low, 0), max(high, 0), term.frac)
