"""MNIST and Fashion-MNIST from a directory and from a loopback URL."""

from __future__ import annotations

import functools
import gzip
import http.server
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lifelog.datasets.mnist as mnist
from lifelog.datasets import Source, load_dataset
from lifelog.errors import UserError

SHIPPED = Path(mnist.__file__).parent / "data/mnist-t10k"
T10K = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


class Server:
    """A directory behind HTTP; `asked` lists the paths, `broken` answers so instead."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[str] = []
        self.broken: int | None = None
        self.short = False
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if server.broken:
                    self.send_error(server.broken)
                elif server.short:
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"too little")
                else:
                    super().do_GET()

            def log_message(self, *_args: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(directory))
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the shipped t10k files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for name in T10K:
        shutil.copy(SHIPPED / name, folder / name)
    return folder


@pytest.fixture
def server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server(directory)
    yield server
    server.http.shutdown()
    server.http.server_close()


def pack(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


def write_set(folder: Path, part: str, count: int, labels: int | None = None) -> None:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, 6, 5), np.uint8)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(pack(images))
    numbers = np.arange(labels or count, dtype=np.uint8) % 3
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(pack(numbers))


def test_t10k_alone_is_split_and_a_directory_and_urls_give_the_same(
    tmp_path: Path, directory: Path, server: Server
) -> None:
    from_directory = load_dataset("mnist", Source(str(directory)))
    assert (len(from_directory.train_images), len(from_directory.images)) == (8000, 2000)
    shipped = load_dataset("mnist-t10k")
    assert np.array_equal(from_directory.images, shipped.images)
    source = Source(f"{server.url}/", None, tmp_path / "cache")
    assert load_dataset("mnist", source).sha256() == from_directory.sha256()
    fetched = [path for path in server.asked if "t10k" in path]
    assert load_dataset("mnist", source).sha256() == from_directory.sha256()
    assert [path for path in server.asked if "t10k" in path] == fetched
    from_file = load_dataset("mnist", Source(directory.as_uri()))
    assert from_file.sha256() == from_directory.sha256()


def test_a_whole_set_trains_on_the_one_part_and_streams_the_other(directory: Path) -> None:
    write_set(directory, "train", 30)
    write_set(directory, "t10k", 12)
    dataset = load_dataset("fashion-mnist", Source(str(directory)))
    assert (dataset.train_images.shape, dataset.images.shape) == ((30, 6, 5, 1), (12, 6, 5, 1))
    assert (dataset.name, dataset.classes) == ("fashion-mnist", 3)


def test_unpacked_files_are_read(directory: Path) -> None:
    packed = load_dataset("mnist", Source(str(directory)))
    for name in T10K:
        (directory / name.removesuffix(".gz")).write_bytes(
            gzip.decompress((directory / name).read_bytes())
        )
        (directory / name).unlink()
    assert load_dataset("mnist", Source(str(directory))).sha256() == packed.sha256()


def test_a_plain_file_is_fetched_only_where_the_user_knows_its_hash(
    tmp_path: Path, directory: Path, server: Server
) -> None:
    whole = load_dataset("mnist", Source(str(directory))).sha256()
    for name in T10K:
        plain = gzip.decompress((directory / name).read_bytes())
        (directory / name.removesuffix(".gz")).write_bytes(plain)
        (directory / name).unlink()
    with pytest.raises(UserError, match=r"has no t10k-images-idx3-ubyte\.gz"):
        load_dataset("mnist", Source(server.url, None, tmp_path / "cache"))
    assert load_dataset("mnist", Source(server.url, whole, tmp_path / "cache")).sha256() == whole


def test_what_was_fetched_is_held_against_its_known_hash_or_the_users(
    tmp_path: Path, server: Server
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(UserError, match=r"the known one is 346e55b9.*set dataset_sha256"):
        load_dataset("fashion-mnist", Source(server.url, None, cache))
    assert not list(cache.rglob("*.gz"))
    with pytest.raises(UserError, match="what was read has the sha256") as caught:
        load_dataset("fashion-mnist", Source(server.url, "0" * 64, cache))
    found = str(caught.value).partition("sha256 ")[2][:64]
    assert load_dataset("fashion-mnist", Source(server.url, found, cache)).sha256() == found


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path: Path, server: Server) -> None:
    source = Source(server.url, None, tmp_path / "cache")
    whole = load_dataset("mnist", source).sha256()
    (cached,) = (tmp_path / "cache").rglob(T10K[0])
    cached.write_bytes(b"damaged")
    assert load_dataset("mnist", source).sha256() == whole


def test_a_server_that_cannot_be_used_is_named(tmp_path: Path, server: Server) -> None:
    def refused(location: str, sentence: str) -> None:
        with pytest.raises(UserError, match=sentence) as caught:
            load_dataset("mnist", Source(location, None, tmp_path / "cache"))
        assert "\n" not in str(caught.value)

    server.broken = 503
    refused(server.url, r"cannot be fetched \(HTTP status 503\): check the address")
    server.broken, server.short = None, True
    refused(server.url, r"cannot be fetched \(it ended after 10 of 1000 bytes\)")
    server.short, server.broken = False, 404
    refused(server.url, r"has no t10k-images-idx3-ubyte\.gz, which mnist needs")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        refused(url, "cannot be fetched .*[Rr]efused")
    refused("http://[::1", "cannot be fetched")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path, directory: Path) -> None:
    def refused(sentence: str, location: str | None) -> None:
        with pytest.raises(UserError, match=sentence):
            load_dataset("mnist", Source(location))

    refused("dataset_source: mnist needs one: the directory or URL", None)
    refused("nowhere is not a directory", str(tmp_path / "nowhere"))
    write_set(directory, "train", 30, labels=29)
    refused("do not belong together", str(directory))
    write_set(directory, "train", 30)
    refused(r"images to train on are \(6, 5, 1\) and those to stream", str(directory))
    (directory / T10K[1]).unlink()
    refused(r"has no t10k-labels-idx1-ubyte\.gz", str(directory))
    (directory / T10K[0]).write_bytes(b"\x1f\x8b broken")
    write_set(directory, "train", 30)
    refused(r"t10k-images-idx3-ubyte\.gz is damaged", str(directory))
