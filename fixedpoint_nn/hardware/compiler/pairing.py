# SPDX-License-Identifier: MIT
"""Placing the operands of a sum of two products, f*c + i*g, for one run: distance f to c = distance i to g."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fixedpoint_nn.hardware.compiler.expression import Product
from fixedpoint_nn.hardware.compiler.kernel import Target
from fixedpoint_nn.hardware.compiler.placing import Placing
from fixedpoint_nn.hardware.compiler.strided_view import Buffer, View


def spaced(placing: Placing, products: Sequence[Product]) -> list[Product] | None:
    """The products, the second one's factors reordered so that the distance is right; None if no order is."""
    (f, c), (i, g) = (product.views() for product in products)
    for x, y in ((i, g), (g, i)):
        if _equally_far(placing, f, c, x, y):
            return [products[0], replace(products[1], view=x, other=y)]
    return None


def _equally_far(placing: Placing, f: View, c: View, i: View, g: View) -> bool:
    if len({placing.register(view.buffer) for view in (f, c, i, g)}) > 1:
        return False
    (root_f, at_f), (root_c, at_c), (root_i, at_i), (root_g, at_g) = map(placing.place, (f, c, i, g))
    return root_f is root_i and root_c is root_g and at_i - at_f == at_g - at_c


def apart(placing: Placing, products: Sequence[Product], home: Buffer, words: int) -> list[Product]:
    """Place four free buffers in `home`, `words` words apart."""
    (f, c), (i, g) = (product.views() for product in products)
    for number, view in enumerate((i, f, g, c)):
        placing.put(view.buffer, home, number * words)
    return list(products)


def beside_state(placing: Placing, products: Sequence[Product], target: Target) -> list[Product] | None:
    """p*state + x*y, with the state in the rows of a loop and the other three free: place these in the rows.

    Everything moves with the rows; distance p to state = distance x to y. If the result is the next row's state, p may
    use its place until then; else it is after the rows, and x as far after it. None if that is impossible.
    """
    four = [view for product in products for view in product.views()]
    bound = [view for view in four if not placing.is_free(view)]
    if len({view.buffer for view in four}) < 4 or len(bound) != 1:
        return None
    (state,) = bound
    region, at = placing.place(state)
    if not placing.used(region):
        return None
    first, second = products if state in products[0].views() else products[::-1]
    p = first.view if first.other is state else first.other
    x, y = second.views()
    register = placing.register(state.buffer)
    there = placing.place(View(target.buffer, target.offset, (), state.format))
    next_row = register is not None and there == (region, at + register.stride)
    free = at + register.stride if next_row and register is not None else placing.used(region)
    placing.put_in_rows(p, region, free, register)
    placing.put_in_rows(y, region, placing.used(region), register)
    placing.put_in_rows(x, region, placing.place(y)[1] + placing.place(p)[1] - at, register)
    ordered = [replace(first, view=p, other=state), replace(second, view=x, other=y)]
    return ordered if first is products[0] else ordered[::-1]
