# SPDX-License-Identifier: MIT
"""The data sets: located, downloaded, generated or shipped; cleaned; split by a fixed rule, independent of any seed.

    train, test = fashion_mnist()          images: .x (n, 28, 28, 1) float32 in [0, 1], .y (n,) classes
    train, test = scenes()                 scenes: .x (n, 64, 64, 1), .y (n, 3, 5): left, top, right, bottom, class
    train, test = moons(100, noise=0.1)    points: .x (n, 2), .y (n,) 0 or 1
    train, test = pump()                   readings: .x (n, 64, 1), .y the readings one step later
    names = french_names()                 words: .train .dev .test .vocabulary
    play = text()                          one long text as ids: .train .test .vocabulary

Files are looked for in the folder that FIXEDPOINT_NN_DATA names, then in the cache, then at their publisher.
"""

from fixedpoint_nn.data.augmentation import Crop, Cutout, Flip, InTurn, Shift, Standardise
from fixedpoint_nn.data.characters import (
    Text,
    Words,
    contexts,
    french_names,
    names,
    tagged_names,
    tagged_names_csv,
    text,
)
from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.idx import read_idx
from fixedpoint_nn.data.images import DIGITS, FASHION, fashion_mnist, mnist
from fixedpoint_nn.data.lines import read_lines, read_tagged_names
from fixedpoint_nn.data.moons import moons
from fixedpoint_nn.data.pump import faulty_pump, pump
from fixedpoint_nn.data.scenes import scenes
from fixedpoint_nn.data.sources import DataError
from fixedpoint_nn.data.split import by_position, held_out_end
from fixedpoint_nn.data.vocabulary import Vocabulary

__all__ = [
    "DIGITS",
    "FASHION",
    "Crop",
    "Cutout",
    "DataError",
    "Examples",
    "Flip",
    "InTurn",
    "Shift",
    "Standardise",
    "Text",
    "Vocabulary",
    "Words",
    "by_position",
    "contexts",
    "fashion_mnist",
    "faulty_pump",
    "french_names",
    "held_out_end",
    "mnist",
    "moons",
    "names",
    "pump",
    "read_idx",
    "read_lines",
    "read_tagged_names",
    "scenes",
    "tagged_names",
    "tagged_names_csv",
    "text",
]
