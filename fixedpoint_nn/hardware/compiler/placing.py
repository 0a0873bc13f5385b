# SPDX-License-Identifier: MIT
"""Relative placement of buffers, decided by the pass `legalise`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View


@dataclass
class _Spot:
    """The decisions about one buffer."""

    parent: Buffer | None
    offset: int
    register: Register | None
    words: int
    used: int
    distance_fixed: bool = False  # an instruction depends on its distance to another buffer


class Placing:
    """Decisions about buffers: parent, offset in it, and register."""

    def __init__(self) -> None:
        self._spots: dict[Buffer, _Spot] = {}
        self._resolved: dict[Buffer, Buffer] = {}

    def _spot(self, buffer: Buffer) -> _Spot:
        if buffer not in self._spots:
            self._spots[buffer] = _Spot(
                buffer.parent, buffer.offset, buffer.loop_register, buffer.words, buffer.used
            )
        return self._spots[buffer]

    def place(self, view: View) -> tuple[Buffer, int]:
        """(root buffer, offset of the view's first word in it)."""
        buffer, offset = view.buffer, view.offset
        while (spot := self._spot(buffer)).parent is not None:
            buffer, offset = spot.parent, offset + spot.offset
        return buffer, offset

    def register(self, buffer: Buffer) -> Register | None:
        """The register that moves the buffer, if any."""
        spot = self._spot(buffer)
        if spot.register is not None or spot.parent is None:
            return spot.register
        return self.register(spot.parent)

    def has_parent(self, buffer: Buffer) -> bool:
        """Whether it is a part of another buffer."""
        return self._spot(buffer).parent is not None

    def used(self, buffer: Buffer) -> int:
        """The words used by moving rows, or 0."""
        return self._spot(buffer).used

    def words(self, buffer: Buffer) -> int:
        """The buffer's size in words."""
        return self._spot(buffer).words

    def is_movable(self, view: View) -> bool:
        """Whether the view is a whole buffer whose place and distances are undecided."""
        spot = self._spot(view.buffer)
        return spot.parent is None and spot.register is None and view.offset == 0 and not spot.distance_fixed

    def is_free(self, view: View) -> bool:
        """Whether its buffer can be placed anywhere, also in moving rows."""
        return self.is_movable(view) and view.buffer.constants is None and not self.used(view.buffer)

    def fix_distance(self, view: View) -> None:
        """Fix the buffer's distance to another one, because an instruction depends on it."""
        self._spot(view.buffer).distance_fixed = True

    def put(self, buffer: Buffer, parent: Buffer, offset: int) -> None:
        """Make the buffer a part of another one."""
        spot = self._spot(buffer)
        assert spot.parent is None
        spot.parent, spot.offset = parent, offset

    def put_in_rows(self, view: View, region: Buffer, offset: int, register: Register | None) -> None:
        """Make a free buffer a part of a region that moves with its rows."""
        self.put(view.buffer, region, offset)
        self._spot(view.buffer).register = register
        home = self._spot(region)
        home.used = max(home.used, offset + self.words(view.buffer))
        home.words = max(home.words, home.used + (register.span if register is not None else 0))

    # ---- the result ----------------------------------------------------------------------------------------

    def resolved(self, buffer: Buffer) -> Buffer:
        """The buffer with all decisions applied."""
        if buffer not in self._resolved:
            spot = self._spot(buffer)
            self._resolved[buffer] = replace(
                buffer,
                words=spot.words,
                parent=None if spot.parent is None else self.resolved(spot.parent),
                offset=spot.offset,
                loop_register=spot.register,
            )
        return self._resolved[buffer]

    def view(self, view: View) -> View:
        """The view over the resolved buffer."""
        return replace(view, buffer=self.resolved(view.buffer))
