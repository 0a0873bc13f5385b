# SPDX-License-Identifier: MIT
"""Arranging operands for one run: terms of one kind, in rows, adjacent, equally spaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Protocol

import numpy as np

from fixedpoint_nn.hardware.compiler.computation import has_rows_first, new_target
from fixedpoint_nn.hardware.compiler.constants import Constants
from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.expression import Dot, Expression, Product, Scale, Term, load
from fixedpoint_nn.hardware.compiler.ir import Compute
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.kernel_selection import bound_of, is_broadcast, is_rows, pixel_atoms
from fixedpoint_nn.hardware.compiler.pairing import apart, beside_state, spaced
from fixedpoint_nn.hardware.compiler.placing import Placing
from fixedpoint_nn.hardware.compiler.strided_view import Atom, Buffer, Register, View, dense_axes, merge
from fixedpoint_nn.numbers.fixed.array import FixedArray
from fixedpoint_nn.numerics.qformat import QFormat


class Legaliser(Protocol):
    """The interface of the pass `legalise` that arranging operands needs."""

    lanes: int
    words: int
    constants: Constants
    placing: Placing

    def computed(self, expression: Expression, source: Compute, target: Target | None) -> View:
        """Append a separate computation of a part of an expression; returns the view of its result."""

    def aligned(self, view: View, bits: int) -> View | None:
        """The view of a table's results with `bits` more fraction bits, if nothing else reads them; else None."""

    def buffer(self, name: str, words: int, layer: str) -> Buffer:
        """A new buffer of whole rows."""


@dataclass(frozen=True)
class Operands:
    """Arranges the operands of one computation."""

    owner: Legaliser
    item: Compute

    @property
    def _placing(self) -> Placing:
        return self.owner.placing

    def _copied(self, view: View, target: Target | None = None) -> View:
        return self.owner.computed(load(view), self.item, target)

    def _buffer(self, words: int) -> Buffer:
        return self.owner.buffer(self.item.name, words, self.item.layer)

    def _is_rows(self, view: View, over: Sequence[Atom] = ()) -> bool:
        return is_rows(
            view, over, self.owner.lanes, self._placing.place(view)[1], self._placing.register(view.buffer)
        )

    def arranged(self, expression: Expression) -> Expression:
        """The expression with terms of one kind, placed where one run can read them."""
        if not expression.terms:
            raise LoweringError(
                "leaves over a value that does not depend on the input; fold it into a constant"
            )
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

    def _readable(self, term: Term, alone: bool) -> Term:
        """The term, if it reads rows or one word for all lanes; else as a product with a diagonal matrix."""
        if not isinstance(term, Scale):
            return term
        if self._is_rows(term.view, term.over):
            return term
        if is_broadcast(term.view):
            if alone:
                return term
        elif alone and not term.over and not term.maximum:
            return Dot(term.view, np.diag(term.weights[0]), term.frac)
        if term.over:
            raise LoweringError(
                f"sums over values that are no rows of {self.owner.lanes} words; cast them before"
            )
        return replace(term, view=self._copied(term.view))

    def _stored(self, term: Term) -> Scale:
        """The exact value of a term, stored in memory."""
        expression = Expression(self._shape(term), _exact_format(term), ((term,),))
        view = self.owner.computed(expression, self.item, None)
        return Scale(view, np.ones((1, term.channels), np.int64), view.format.frac_bits)

    def _shape(self, term: Term) -> tuple[int, ...]:
        return (*(prod(atom.size for atom in axis) for axis in term.pixels), term.channels)

    def _products(self, terms: list[Term]) -> list[Term]:
        """All terms as products of values in rows; a single value is multiplied by a constant power of two."""
        if len(terms) > 1:  # sums of products use all loops of a run
            terms = [self._stored(t) if isinstance(t, Product) and t.over else t for t in terms]
        frac = max(term.frac for term in terms)
        if self.owner.words > 1:  # where runs are short, fewer runs are faster
            terms = [self._aligned(term, frac) for term in terms]
        if any(not isinstance(term, Product) and _power(term, frac) is None for term in terms) or any(
            isinstance(term, Product) and term.frac != frac for term in terms
        ):
            return [self._stored(term) for term in terms]
        result: list[Term] = []
        for term in terms:
            if not isinstance(term, Product):
                assert isinstance(term, Scale)
                power = _power(term, frac)
                assert power is not None
                ones = self.owner.constants.pixels(_constant_row(term.channels, power))
                term = Product(term.view, _spread(ones, term.view), frac)
            if not term.over:
                term = replace(term, view=self._row(term.view), other=self._row(term.other))
            result.append(term)
        return self._in_step([term for term in result if isinstance(term, Product)])

    def _aligned(self, term: Term, frac: int) -> Term:
        """The product with `frac` fraction bits, if a factor is from a table that can have more fraction bits."""
        bits = frac - term.frac
        if not isinstance(term, Product) or not bits:
            return term
        for first, view in ((True, term.view), (False, term.other)):
            if view.format.bits + bits > _exact_format(term).bits:  # more than the product itself has
                continue
            if (fine := self.owner.aligned(view, bits)) is not None:
                return replace(term, frac=frac, view=fine) if first else replace(term, frac=frac, other=fine)
        return term

    def _in_step(self, products: list[Product]) -> list[Term]:
        """Products whose factors share one loop nest; factors with other pixel strides are copied."""
        views = [view for product in products for view in product.views()]
        if len({tuple(pixel_atoms(view.axes[:-1])) for view in views}) == 1:
            return list(products)

        def copied(view: View) -> View:
            return view if views.count(view) == 1 and self._is_like_a_copy(view) else self._copied(view)

        return [product.over_views(copied) for product in products]

    def _is_like_a_copy(self, view: View) -> bool:
        """Whether the view can be placed as a copy can, and its pixels are as far apart."""
        if not self._placing.is_free(view):
            return False
        first = has_rows_first(view.shape)
        strides = new_target(self.item.name, view.shape, self.owner.lanes, rows_first=first)[1]
        return pixel_atoms(view.axes[:-1]) == pixel_atoms(dense_axes(view.shape, strides)[:-1])

    def _registers(self, terms: Sequence[Term]) -> set[Register | None]:
        return {self._placing.register(term.view.buffer) for term in terms}

    def _row(self, view: View) -> View:
        return view if self._is_rows(view) else self._copied(view)

    # ---- operands for one loop -----------------------------------------------------------------------------

    def _side_by_side(self, terms: list[Term]) -> list[Term]:
        """Terms whose operands one loop nest reads: with equal strides over pixels and terms."""
        if isinstance(terms[0], Dot):
            return self._contiguous([term for term in terms if isinstance(term, Dot)])
        if isinstance(terms[0], Product):
            return self._paired([term for term in terms if isinstance(term, Product)])
        scales = [term for term in terms if isinstance(term, Scale)]
        if any(term.over for term in scales) and len(scales) > 1:
            scales = [self._stored(term) if term.over else term for term in scales]
        if len({tuple(pixel_atoms(term.pixels)) for term in scales}) > 1 or len(self._registers(scales)) > 1:
            scales = [replace(term, view=self._copied(term.view)) for term in scales]
        if scales[0].maximum and len({term.frac for term in scales}) > 1:
            raise LoweringError(
                "takes the larger of two values with different fraction bits; cast one of them first"
            )
        if len(scales) > 2:
            views = self._row_of_copies([term.view for term in scales])
            scales = [replace(term, view=view) for term, view in zip(scales, views, strict=True)]
        return list(scales)

    def _row_of_copies(self, views: Sequence[View]) -> list[View]:
        """Adjacent copies of the views."""
        targets = [new_target(self.item.name, view.shape, self.owner.lanes)[0] for view in views]
        home = self._buffer(sum(target.buffer.words for target in targets))
        copies, at = [], 0
        for view, target in zip(views, targets, strict=True):
            copies.append(self._copied(view, Target(home, at, target.stride)))
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
        home = self._buffer(pixels * sum(sizes))
        result: list[Term] = []
        at = 0
        for dot, size in zip(dots, sizes, strict=True):
            view = self._copied(dot.view, Target(home, at, sum(sizes)))
            result.append(replace(dot, view=view))
            at += size
        return result

    def _adjacent(self, dots: Sequence[Dot]) -> bool:
        """Whether each operand ends where the next one begins, for every pixel."""
        at: tuple[Buffer, int] | None = None
        for dot in dots:
            atoms = merge(dot.view.axes[-1])
            if dot.view.window is not None or len(atoms) > 1 or (atoms and atoms[0].stride != 1):
                return False
            root, offset = self._placing.place(dot.view)
            if at is not None and at != (root, offset):
                return False
            at = (root, offset + (atoms[0].size if atoms else 1))
        return len({tuple(pixel_atoms(dot.pixels)) for dot in dots}) == 1 and len(self._registers(dots)) == 1

    def _paired(self, products: list[Product]) -> list[Term]:
        """Products whose factors one loop reads: free buffers are placed accordingly, else operands are copied."""
        if len(products) == 2:
            four = {view.buffer for product in products for view in product.views()}
            found = spaced(self._placing, products) or beside_state(self._placing, products, self.item.target)
            if found is None and len(four) == 4 and all(map(self._is_free, products)):
                words = max(self._placing.words(buffer) for buffer in four)
                found = apart(self._placing, products, self._buffer(4 * words), words)
            if found is not None:
                return list(found)
        firsts = self._row_of_copies([product.view for product in products])
        seconds = self._row_of_copies([product.other for product in products])
        return [
            replace(product, view=a, other=b) for product, a, b in zip(products, firsts, seconds, strict=True)
        ]

    def _is_free(self, product: Product) -> bool:
        return all(map(self._placing.is_free, product.views()))

    def _one_register(self, product: Product) -> Product:
        """The product with both factors moved by the same register: a free one is placed so, else one is copied."""
        placing = self._placing
        a, b = product.view, product.other
        if placing.register(a.buffer) is placing.register(b.buffer):
            return product
        for moving, free in ((a, b), (b, a)):
            root, register = placing.place(moving)[0], placing.register(moving.buffer)
            if register is not None and placing.is_free(free) and placing.used(root):
                placing.put_in_rows(free, root, placing.used(root), register)
                return product
        a, b = (self._copied(v) if placing.register(v.buffer) is not None else v for v in (a, b))
        return replace(product, view=a, other=b)


def _power(term: Term, frac: int) -> int | None:
    """p if the term is a value times 2**p in units of 2**-frac, else None."""
    if not isinstance(term, Scale) or term.over or term.maximum:
        return None
    weights = set((term.weights << np.int64(frac - term.frac)).reshape(-1).tolist())
    weight = weights.pop()
    return weight.bit_length() - 1 if not weights and weight > 0 and weight & (weight - 1) == 0 else None


def _constant_row(channels: int, power: int) -> FixedArray:
    return FixedArray.from_ints(np.full((1, channels), 1 << power, np.int64), QFormat.of_int(1 << power))


def _spread(row: View, like: View) -> View:
    """The row, repeated for every pixel."""
    axes = tuple(tuple(Atom(atom.size, 0) for atom in axis) for axis in like.axes[:-1])
    return replace(row, axes=(*axes, row.axes[-1]))


def _exact_format(term: Term) -> QFormat:
    weights = [] if isinstance(term, Product) else [term.weights]
    low, high = bound_of([term], weights or [np.zeros(0)])
    return QFormat.enclosing(min(low, 0), max(high, 0), term.frac)
