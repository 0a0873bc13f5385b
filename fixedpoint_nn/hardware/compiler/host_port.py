# SPDX-License-Identifier: MIT
"""Host ports: values as equally spaced blocks of words."""

from __future__ import annotations

from fixedpoint_nn.hardware.compiler.errors import LoweringError
from fixedpoint_nn.hardware.compiler.kernel import Placement
from fixedpoint_nn.hardware.compiler.strided_view import View, merge
from fixedpoint_nn.hardware.isa.port import Port


def host_port(view: View, at: Placement) -> Port:
    """The host port of a view, whose first axis is the batch; several samples are one value."""
    run, stride = blocks(view)
    root, offset = view.place
    shape = view.shape if view.shape[0] > 1 else view.shape[1:]
    return Port(shape, view.format, at.addresses[root] + offset, run, stride)


def blocks(view: View) -> tuple[int, int]:
    """(words per block, distance of blocks) of a view; raises if it is not of this form."""
    atoms = merge([atom for axis in view.axes for atom in axis])
    backwards = any(atom.stride < 1 for atom in atoms)
    if backwards or len(atoms) > 2 or (len(atoms) == 2 and atoms[1].stride != 1):
        raise LoweringError(
            "The values that the host writes or reads must be blocks of words at equal distances."
        )
    if not atoms:
        return 1, 1
    if len(atoms) == 1:
        return (atoms[0].size, atoms[0].size) if atoms[0].stride == 1 else (1, atoms[0].stride)
    return atoms[1].size, atoms[0].stride
