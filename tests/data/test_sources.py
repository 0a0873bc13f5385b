# SPDX-License-Identifier: MIT
"""Files are found, or downloaded and checked; when they cannot be, one sentence says what to do."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fixedpoint_nn.data import DataError, sources
from fixedpoint_nn.data.sources import PublishedFile, locate

CONTENT = b"what the publisher gives" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Publisher:
    """A server on this machine that gives `content` under every path, and counts how often it was asked."""

    def __init__(self) -> None:
        self.content, self.promised, self.status, self.asked = CONTENT, len(CONTENT), 200, 0
        publisher = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                self.send_response(publisher.status)
                self.send_header("Content-Length", str(publisher.promised))
                self.end_headers()
                self.wfile.write(publisher.content)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/words.txt"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    thread = threading.Thread(target=publisher.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield publisher
    publisher.server.shutdown()
    publisher.server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    monkeypatch.setattr(sources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def source_at(url: str) -> PublishedFile:
    return PublishedFile("letters", "words.txt", url, SHA256)


def test_a_file_is_downloaded_once_with_progress(
    publisher: Publisher, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_at(publisher.url)
    assert locate(source).read_bytes() == CONTENT
    assert locate(source) == cache / "letters" / "words.txt"
    assert publisher.asked == 1
    assert "100%" in capsys.readouterr().err
    assert [path.name for path in (cache / "letters").iterdir()] == ["words.txt"]


def test_a_file_in_the_users_folder_is_taken_and_nothing_is_downloaded(
    publisher: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "letters" / "words.txt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(CONTENT)
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "mine"))
    assert locate(source_at(publisher.url)) == mine
    assert publisher.asked == 0
    assert not cache.exists()


def test_a_file_that_the_users_folder_lacks_comes_from_the_cache(
    publisher: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path))
    assert locate(source_at(publisher.url)) == cache / "letters" / "words.txt"


def test_a_wrong_file_in_the_users_folder_is_named_and_left_alone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "letters" / "words.txt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(CONTENT[:-1])
    monkeypatch.setenv(sources.VARIABLE, str(tmp_path / "mine"))
    with pytest.raises(DataError) as error:
        locate(source_at("http://publisher/words.txt"))
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    assert str(error.value) == (
        f"{mine} is not the published file (its sha256 is {found}, not {SHA256}): half a download, "
        f"or another version; replace it by http://publisher/words.txt, or remove it."
    )
    assert mine.read_bytes() == CONTENT[:-1]


def test_a_damaged_file_in_the_cache_is_downloaded_again(publisher: Publisher, cache: Path) -> None:
    source = source_at(publisher.url)
    locate(source).write_bytes(CONTENT[:7])
    assert locate(source).read_bytes() == CONTENT
    assert publisher.asked == 2


def test_a_wrong_checksum_says_where_to_put_the_file_and_leaves_nothing(
    publisher: Publisher, cache: Path
) -> None:
    publisher.content = CONTENT[::-1]
    with pytest.raises(DataError) as error:
        locate(source_at(publisher.url))
    found = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert str(error.value) == (
        f"{publisher.url} did not give the published file (its sha256 is {found}, not {SHA256}): "
        f"half a download, or a changed file; try again, put it at {cache}/letters/words.txt by hand, "
        f"or set FIXEDPOINT_NN_DATA to a folder that has letters/words.txt."
    )
    assert list((cache / "letters").iterdir()) == []


def test_half_a_download_leaves_nothing(publisher: Publisher, cache: Path) -> None:
    publisher.content = CONTENT[: len(CONTENT) // 2]
    with pytest.raises(DataError) as error:
        locate(source_at(publisher.url))
    assert str(error.value) in {  # older versions of urllib3 do not notice, and then the checksum does
        f"{publisher.url} could not be downloaded (no network? {reason}); "
        f"put it at {cache}/letters/words.txt by hand, "
        f"or set FIXEDPOINT_NN_DATA to a folder that has letters/words.txt."
        for reason in ("ChunkedEncodingError", "ConnectionError")
    } or "half a download" in str(error.value)
    assert list((cache / "letters").iterdir()) == []


def test_no_network_says_where_to_put_the_file(publisher: Publisher, cache: Path) -> None:
    publisher.server.server_close()
    with pytest.raises(DataError) as error:
        locate(source_at(publisher.url))
    assert str(error.value) == (
        f"{publisher.url} could not be downloaded (no network? ConnectionError); "
        f"put it at {cache}/letters/words.txt by hand, "
        f"or set FIXEDPOINT_NN_DATA to a folder that has letters/words.txt."
    )
    assert list((cache / "letters").iterdir()) == []


def test_a_publisher_that_lost_the_file_is_the_same_sentence(publisher: Publisher, cache: Path) -> None:
    publisher.status = 404
    with pytest.raises(DataError, match=r"could not be downloaded \(no network\? HTTPError\); put it at "):
        locate(source_at(publisher.url))


def test_a_cache_that_cannot_be_made_says_why(publisher: Publisher, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(DataError) as error:
        locate(source_at(publisher.url))
    assert str(error.value) == (
        f"{publisher.url} could not be downloaded (Not a directory); "
        f"put it at {cache}/letters/words.txt by hand, "
        f"or set FIXEDPOINT_NN_DATA to a folder that has letters/words.txt."
    )


def test_the_checksum_of_unpacked_data_accepts_every_gzip_of_it(publisher: Publisher, cache: Path) -> None:
    source = replace(source_at(publisher.url), unpacked=True)
    for level, mtime in ((1, 0), (9, 12345)):
        publisher.content = gzip.compress(CONTENT, level, mtime=mtime)
        publisher.promised = len(publisher.content)
        assert gzip.decompress(locate(source).read_bytes()) == CONTENT
        (cache / "letters" / "words.txt").unlink()


def test_what_is_no_gzip_file_fails_the_checksum_of_unpacked_data(publisher: Publisher, cache: Path) -> None:
    with pytest.raises(DataError, match=r"its sha256 is that of no whole gzip file, not "):
        locate(replace(source_at(publisher.url), unpacked=True))
