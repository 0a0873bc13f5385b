# SPDX-License-Identifier: MIT
"""Where the files of the data sets come from: FIXEDPOINT_NN_DATA, the cache, or a download from the publisher."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import pooch

from fixedpoint_nn.files.trust import make_private
from fixedpoint_nn.files.whole import whole

VARIABLE = "FIXEDPOINT_NN_DATA"


class DataError(RuntimeError):
    """Raised for a data file that is missing, truncated, or has a wrong checksum."""


@dataclass(frozen=True)
class PublishedFile:
    """One published file: its place in a data folder, its URL, and its checksum."""

    folder: str
    file: str
    url: str
    sha256: str
    unpacked: bool = False  # the checksum is of the decompressed data, because mirrors gzip it differently

    @property
    def place(self) -> str:
        """The file's path relative to the data folder."""
        return f"{self.folder}/{self.file}"


def cache_folder() -> Path:
    """The folder of downloads; if it is removed, files are downloaded again."""
    return Path(pooch.os_cache("fixedpoint_nn"))


def locate(source: PublishedFile) -> Path:
    """The path of the file, with its checksum verified; downloaded if it is in neither folder. Raises DataError."""
    given = os.environ.get(VARIABLE)
    if given and (path := Path(given) / source.folder / source.file).is_file():
        if (found := _sha256(path, source)) != source.sha256:
            raise DataError(
                f"{path} is not the published file (its sha256 is {found}, not {source.sha256}): "
                f"half a download, or another version; replace it by {source.url}, or remove it."
            )
        return path
    path = cache_folder() / source.folder / source.file
    if not path.is_file() or _sha256(path, source) != source.sha256:
        _download(source, path)
    return path


def _download(source: PublishedFile, path: Path) -> None:
    """Download the file to `path`, which appears only if its checksum is right."""
    remedy = f"put it at {path} by hand, or set {VARIABLE} to a folder that has {source.place}."
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        make_private(path.parent)  # as the other caches beside it require
        with whole(path) as fresh:
            pooch.retrieve(source.url, known_hash=None, fname=fresh.name, path=fresh.parent, progressbar=True)
            if (found := _sha256(fresh, source)) != source.sha256:
                raise DataError(
                    f"{source.url} did not give the published file (its sha256 is {found}, not {source.sha256}): "
                    f"half a download, or a changed file; try again, {remedy}"
                )
    except OSError as error:  # requests' errors are OSErrors too
        raise DataError(f"{source.url} could not be downloaded ({_reason(error)}); {remedy}") from error


def _sha256(path: Path, source: PublishedFile) -> str:
    digest = hashlib.sha256()
    try:
        with gzip.open(path, "rb") if source.unpacked else path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "that of no whole gzip file"
    return digest.hexdigest()


def _reason(error: OSError) -> str:
    return error.strerror or f"no network? {type(error).__name__}"
