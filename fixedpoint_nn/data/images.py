# SPDX-License-Identifier: MIT
"""MNIST and Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28, ten classes."""

from __future__ import annotations

import numpy as np

from fixedpoint_nn.data.examples import Examples
from fixedpoint_nn.data.idx import read_idx
from fixedpoint_nn.data.sources import DataError, PublishedFile, locate

FASHION = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "trainer", "bag", "boot")
DIGITS = tuple("0123456789")

# In the order train images, train labels, test images, test labels.
_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_FASHION_SHA256 = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
_MNIST_UNPACKED_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


def fashion_mnist() -> tuple[Examples, Examples]:
    """Zalando's photographs of clothes: (train, test), x (n, 28, 28, 1) float32 in [0, 1], y (n,) classes."""
    sources = [
        PublishedFile(
            "fashion_mnist",
            file,
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file}",
            sha256,
        )
        for file, sha256 in zip(_FILES, _FASHION_SHA256)
    ]
    return _examples(sources[0], sources[1], FASHION), _examples(sources[2], sources[3], FASHION)


def mnist() -> tuple[Examples, Examples]:
    """Handwritten digits, by LeCun, Cortes and Burges: (train, test), of the same shapes as `fashion_mnist`."""
    sources = [
        PublishedFile(
            "mnist", file, f"https://ossci-datasets.s3.amazonaws.com/mnist/{file}", sha256, unpacked=True
        )
        for file, sha256 in zip(_FILES, _MNIST_UNPACKED_SHA256)
    ]
    return _examples(sources[0], sources[1], DIGITS), _examples(sources[2], sources[3], DIGITS)


def _examples(images: PublishedFile, labels: PublishedFile, classes: tuple[str, ...]) -> Examples:
    x, y = read_idx(locate(images)), read_idx(locate(labels))
    if x.ndim != 3 or y.shape != x.shape[:1]:
        raise DataError(
            f"{images.place} holds an array of shape {x.shape} and {labels.place} one of {y.shape}; "
            f"(n, h, w) and (n,) are needed."
        )
    return Examples(x[..., None].astype(np.float32) / np.float32(255), y.astype(np.int64), classes)
