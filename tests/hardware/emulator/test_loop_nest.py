# SPDX-License-Identifier: MIT
"""Addresses, padding and first cycles of a run's steps, against six nested loops."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fixedpoint_nn.hardware.emulator.loop_nest import walked
from fixedpoint_nn.hardware.isa.instructions import Run
from fixedpoint_nn.hardware.isa.issue import Issue, first_steps

counts = st.tuples(*(st.integers(1, high) for high in (4, 3, 3, 3, 3, 3)))
strides = st.tuples(*(st.integers(-50, 50) for _ in range(6)))
small = st.integers(-3, 3)


@settings(max_examples=150, deadline=None)
@given(
    counts,
    strides,
    st.booleans(),
    st.booleans(),
    st.tuples(*(small,) * 4),
    st.tuples(*(st.integers(0, 4),) * 2),
    st.integers(0, 2),
    st.sampled_from(["", "joined", "skip"]),
    st.booleans(),
)
def test_walked_is_the_sum_of_index_times_stride_and_padding_is_outside_the_image(
    counts: tuple[int, ...],
    strides: tuple[int, ...],
    vector: bool,
    bounded: bool,
    place: tuple[int, ...],
    limits: tuple[int, ...],
    groups: int,
    kind: str,
    spread: bool,
) -> None:
    groups = 0 if vector else groups
    unused = ((1 << groups) - 1) // 2 if kind == "joined" else 0
    run = Run(
        groups=groups, joined=kind == "joined" and groups > 0, skip=kind == "skip" and groups > 0,
        unused=unused, spread=spread and bounded,
        counts=counts, strides=strides, vector=vector, bounded=bounded,
        x_origin=place[0], y_origin=place[1], x_step=abs(place[2]), y_step=abs(place[3]),
        x_limit=limits[0], y_limit=limits[1],
    )  # fmt: skip
    channels, kxs, kys, tiles, width, height = counts
    walk, padded = walked(run, np.arange(width * height))
    assert walk.shape[1] in (1, tiles)
    words = 1 << groups
    walk = np.broadcast_to(walk, (width * height, tiles, channels * kxs * kys, words))
    padded = np.broadcast_to(padded, walk.shape)
    for y, x, tile, ky, kx, channel in product(*map(range, (height, width, tiles, kys, kxs, channels))):
        pixel, tap = y * width + x, (ky * kxs + kx) * channels + channel
        index = (channel, kx, ky, tile, x, y)
        for word in range(words):
            place = 2 * word if run.skip else word
            assert walk[pixel, tile, tap, word] == place + sum(
                i * s for i, s in zip(index, strides, strict=True)
            )
            at_x, at_y = run.x_origin + x * run.x_step + kx, run.y_origin + y * run.y_step + ky
            if run.spread:
                at_x = run.x_origin + tile * run.x_step + kx + place
            outside = not (0 <= at_x < run.x_limit and 0 <= at_y < run.y_limit)
            behind = channel == channels - 1 and word >= words - unused
            assert padded[pixel, tile, tap, word] == (bounded and outside or behind)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 5), st.sampled_from([1, 4, 8]), st.data())
def test_a_tile_begins_right_after_the_last_step_of_the_one_before(
    taps: int, tiles: int, pixels: int, lanes: int, data: st.DataObject
) -> None:
    last_channels, first = data.draw(st.integers(1, lanes)), data.draw(st.integers(0, 99))
    waits = data.draw(st.integers(0, 40))
    run = Run(counts=(taps, 1, 1, tiles, pixels, 1), last_channels=last_channels)
    issue = Issue(first, first + taps - 1 + waits, 0, lanes, run)
    found = first_steps(issue, np.arange(pixels), np.arange(tiles)).reshape(-1).tolist()
    step, last, channels = first, issue.first_tile, lanes
    for number, begin in enumerate(found):
        assert begin == step, number
        if number:
            last += max(taps, channels)
        channels = last_channels if number % tiles == tiles - 1 else lanes
        step = last + 1
