"""Other protocols: what their file systems raise is said as an error of the read, without their secrets."""

from __future__ import annotations

import os
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from loaders import ReadError, read_table
from loaders.clients.fsspec import FsspecFile
from loaders.clients.location import parse_location
from loaders.clients.progress import Tracker
from loaders.clients.source import ChangedError, MissingError
from tests.reading.test_s3_listing import CSV, NUMBERS


class Broken(MemoryFileSystem):
    """A file system that fails as the test says: at its making, or where it is asked for something."""

    protocol = "broken"
    cachable = False
    fails: dict[str, Exception] = {}  # noqa: RUF012 — the test's, not an instance's

    def __init__(self, **options: Any) -> None:
        self._fail("make")
        super().__init__(**options)

    def _fail(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]

    def find(self, path: str, *given: Any, **options: Any) -> Any:
        self._fail("find")
        return {"/u:HUSH@h/x.csv?HUSH": {"size": 8}}

    def info(self, path: str, **options: Any) -> Any:
        self._fail("info")
        return {"size": "abc"}


fsspec.register_implementation("broken", Broken, clobber=True)


@pytest.mark.parametrize("what", ["make", "find", "info", "size"])
@pytest.mark.parametrize("kind", [ConnectionRefusedError, TypeError, IndexError, RuntimeError])
def test_whatever_a_file_system_raises_is_an_error_of_the_read(
    what: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "no way to broken://u:HUSH@h/x.csv?HUSH, user u:HUSH, HUSH\nHUSH"
    monkeypatch.setattr(Broken, "fails", {what: kind(said)})
    with pytest.raises(ReadError) as caught:
        read_table("broken://u:HUSH@h/x.csv?HUSH", NUMBERS)
    assert "'broken://***@h/x.csv?***' cannot be read" in str(caught.value)
    assert what == "size" or kind.__name__ in str(caught.value)
    assert "HUSH" not in str(caught.value)


def test_an_archive_that_is_not_there_is_missing() -> None:
    with pytest.raises(MissingError, match="does not exist"):
        read_table("zip://x.csv::memory://no-such.zip", NUMBERS)


def test_a_server_that_is_down_is_an_error() -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        read_table("ftp://127.0.0.1:9/x.csv", NUMBERS)


def test_a_protocol_is_read_in_either_case() -> None:
    name = f"/case-{os.urandom(4).hex()}.csv"
    fsspec.filesystem("memory").pipe_file(name, CSV)
    try:
        assert len(read_table(f"MEMORY:/{name}", NUMBERS)) == 3
    finally:
        fsspec.filesystem("memory").rm(name)


def test_a_protocol_that_nothing_reads_is_said() -> None:
    with pytest.raises(ReadError, match="no file system reads nothing://"):
        read_table("nothing://x.csv", NUMBERS)


def test_ranges_are_those_asked_for_and_of_one_version() -> None:
    name = f"/ranges-{os.urandom(4).hex()}.csv"
    memory = fsspec.filesystem("memory")
    memory.pipe_file(name, CSV)
    try:
        source = FsspecFile(parse_location(f"memory:/{name}"), Tracker("", name))
        assert [data.to_pybytes() for data in source.read_ranges([(2, 5), (0, 1)])] == [CSV[2:5], CSV[:1]]
        source.close()
        memory.pipe_file(name, CSV)
        with pytest.raises(ChangedError, match="changed while it was read"):
            source.close()
        with pytest.raises(ReadError, match="gave 1 of 2 bytes"):
            source.read_ranges([(len(CSV) - 1, len(CSV) + 1)])
    finally:
        memory.rm(name)
