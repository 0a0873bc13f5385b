# SPDX-License-Identifier: MIT
"""Where buffers stand in relation to each other, while the pass `legalise` decides it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fixedpoint_nn.hardware.compiler.strided_view import Buffer, Register, View


@dataclass
class _Spot:
    """What has been decided about one buffer."""

    parent: Buffer | None
    offset: int
    register: Register | None
    words: int
    used: int
    distance_fixed: bool = False  # its distance to another buffer is part of an instruction


class Placing:
    """Decisions about buffers: a part of which other one, at what offset, moved by which register."""

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
        """The root buffer of a view, and the offset of its first word in it."""
        buffer, offset = view.buffer, view.offset
        while (spot := self._spot(buffer)).parent is not None:
            buffer, offset = spot.parent, offset + spot.offset
        return buffer, offset

    def register(self, buffer: Buffer) -> Register | None:
        """The register that moves it."""
        spot = self._spot(buffer)
        if spot.register is not None or spot.parent is None:
            return spot.register
        return self.register(spot.parent)

    def has_parent(self, buffer: Buffer) -> bool:
        """Is it a part of another buffer?"""
        return self._spot(buffer).parent is not None

    def used(self, buffer: Buffer) -> int:
        """The words of rows that move, or 0."""
        return self._spot(buffer).used

    def words(self, buffer: Buffer) -> int:
        """Its size."""
        return self._spot(buffer).words

    def is_movable(self, view: View) -> bool:
        """Is the view a whole buffer whose place and distances are open?"""
        spot = self._spot(view.buffer)
        return spot.parent is None and spot.register is None and view.offset == 0 and not spot.distance_fixed

    def is_free(self, view: View) -> bool:
        """May its buffer be put anywhere, into rows that move too?"""
        return self.is_movable(view) and view.buffer.constants is None and not self.used(view.buffer)

    def fix_distance(self, view: View) -> None:
        """From now on the buffer's distance to another one is part of an instruction."""
        self._spot(view.buffer).distance_fixed = True

    def put(self, buffer: Buffer, parent: Buffer, offset: int) -> None:
        """The buffer becomes a part of another one."""
        spot = self._spot(buffer)
        assert spot.parent is None
        spot.parent, spot.offset = parent, offset

    def put_in_rows(self, view: View, region: Buffer, offset: int, register: Register | None) -> None:
        """A free buffer becomes a part of a region, and moves with its rows."""
        self.put(view.buffer, region, offset)
        self._spot(view.buffer).register = register
        home = self._spot(region)
        home.used = max(home.used, offset + self.words(view.buffer))
        home.words = max(home.words, home.used + (register.span if register is not None else 0))

    # ---- the outcome ---------------------------------------------------------------------------------------

    def resolved(self, buffer: Buffer) -> Buffer:
        """The buffer with everything that was decided about it."""
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
        """The view of the resolved buffer."""
        return replace(view, buffer=self.resolved(view.buffer))
