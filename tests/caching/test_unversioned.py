"""What comes over the network, from other programs or compiled code: recorded with a version, or not cached."""

from __future__ import annotations

import asyncio
import ctypes
import http.client
import http.server
import importlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import types
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pandas as pd
import pytest

from caching import CacheEvent, CachingException, CachingWarning, LocalCache, activate, function_cache
from loaders.sandbox.s3_server import S3Server


@pytest.fixture
def events(tmp_path: Path) -> Iterator[list[CacheEvent]]:
    seen: list[CacheEvent] = []
    with activate(LocalCache(tmp_path / "cache"), observer=seen.append):
        yield seen


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a web server that counts its answers, on connections that stay open."""

    class Counter(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        count = 0

        def do_GET(self) -> None:
            Counter.count += 1
            body = str(Counter.count).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counter)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


def answers(call: Callable[[], Any]) -> tuple[list[Any], list[str]]:
    """Two results of a call, and the warnings of the cache."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [call(), call()]
    return results, [str(warning.message) for warning in caught if warning.category is CachingWarning]


def test_a_web_page_by_a_computed_address_is_not_cached_and_the_warning_says_what_to_do(
    port: int, events: list[CacheEvent]
) -> None:
    @function_cache
    def page(number: int) -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{number}/").read().decode()

    results, said = answers(lambda: page(port))
    assert results[0] != results[1]
    assert len(said) == 1
    for part in (f"127.0.0.1:{port}", "ttl_seconds=", "depends_on=", "argument", "read_table"):
        assert part in said[0]


@pytest.mark.parametrize("by", ["thread", "pool", "event loop", "helper"])
def test_a_connection_counts_wherever_it_is_made(by: str, port: int, events: list[CacheEvent]) -> None:
    def get() -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()

    async def stream() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        text = (await reader.read()).decode().splitlines()[-1]
        writer.close()
        return text

    @function_cache
    def inner() -> str:
        return get()

    def in_thread() -> str:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(get()))
        thread.start()
        thread.join()
        return found[0]

    def in_pool() -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(get).result()

    ways: dict[str, Callable[[], str]] = {
        "thread": in_thread,
        "pool": in_pool,
        "event loop": lambda: asyncio.run(stream()),
        "helper": inner,
    }
    way = ways[by]

    @function_cache
    def load(x: int) -> str:
        return way()

    results, said = answers(lambda: load(1))
    assert results[0] != results[1]
    assert said


def test_a_connection_that_was_open_before_counts(port: int, events: list[CacheEvent]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def get() -> str:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()

    get()

    @function_cache
    def load(x: int) -> str:
        return str(vars(sys.modules[__name__])["_held"]())

    globals()["_held"] = get
    results, said = answers(lambda: load(1))
    del globals()["_held"]
    assert results[0] != results[1]
    assert said


@pytest.mark.parametrize(
    "start",
    [
        lambda path: subprocess.check_output(["cat", path]),
        lambda path: os.popen("cat " + path).read(),
        lambda path: os.system("exit $(cat " + path + ")"),
        lambda path: os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", f"exit $(cat {path})"], {}), 0)[1],
    ],
)
def test_what_another_program_gives_is_not_cached(
    start: Callable[[str], Any], tmp_path: Path, events: list[CacheEvent]
) -> None:
    (tmp_path / "a").write_text("1")

    @function_cache
    def load(folder: str) -> Any:
        return start(f"{folder}/" + "a")

    first = load(str(tmp_path))
    (tmp_path / "a").write_text("2")
    assert load(str(tmp_path)) != first


def test_compiled_code_loaded_by_ctypes_is_not_cached(events: list[CacheEvent]) -> None:
    @function_cache
    def load(x: int) -> int:
        return ctypes.CDLL(None).getpid() + x

    _, said = answers(lambda: load(1))
    assert "compiled code" in said[0]


def test_a_ttl_or_depends_on_says_what_the_cache_cannot_know(port: int, events: list[CacheEvent]) -> None:
    version = ["1"]

    @function_cache(ttl_seconds=60)
    def lasting(x: int) -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()

    @function_cache(depends_on=lambda: version[0].encode())
    def declared(x: int) -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()

    for load in (lasting, declared):
        results, said = answers(lambda load=load: load(1))
        assert results[0] == results[1]
        assert not said
    before = declared(1)
    version[0] = "2"
    assert declared(1) != before


def test_a_driver_of_the_database_api_in_compiled_code_is_not_cached(
    monkeypatch: pytest.MonkeyPatch, events: list[CacheEvent]
) -> None:
    answer = [1]
    driver = types.ModuleType("native_driver")
    vars(driver).update(apilevel="2.0", paramstyle="qmark", threadsafety=1, connect=lambda url: answer[0])
    driver.__spec__ = None
    monkeypatch.setitem(sys.modules, "native_driver", driver)

    @function_cache
    def load(url: str) -> int:
        return int(importlib.import_module("native_driver").connect(url))

    _, said = answers(lambda: load("db://"))
    assert "queries a database through native_driver" in said[0]
    answer[0] = 2
    assert load("db://") == 2


def test_a_socket_pair_within_the_process_is_no_connection(events: list[CacheEvent]) -> None:
    @function_cache
    def load(x: int) -> bytes:
        left, right = socket.socketpair()
        with left, right:
            left.sendall(b"1")
            return right.recv(1)

    results, said = answers(lambda: load(1))
    assert (results, said, events[-1].outcome) == ([b"1", b"1"], [], "hit")


def test_an_event_loop_by_itself_is_no_connection(events: list[CacheEvent]) -> None:
    @function_cache
    def load(x: int) -> int:
        async def both() -> int:
            return sum(await asyncio.gather(asyncio.to_thread(len, "ab"), asyncio.sleep(0, 1)))

        return asyncio.run(both())

    results, said = answers(lambda: load(1))
    assert (results, said, events[-1].outcome) == ([3, 3], [], "hit")


# Of a real S3, with addresses that no argument and no constant names.
READERS: dict[str, Callable[[str], Any]] = {
    "pandas.read_csv": lambda url: int(pd.read_csv(url)["a"].sum()),
    "fsspec.open": lambda url: fsspec.open(url).open().read(),
    "fsspec cat": lambda url: fsspec.filesystem("s3").cat(url),
    "s3fs info": lambda url: fsspec.filesystem("s3").info(url)["size"],
    "s3fs ls": lambda url: sorted(fsspec.filesystem("s3").ls(url.rpartition("/")[0], refresh=True)),
    "s3fs glob": lambda url: sorted(fsspec.filesystem("s3").glob(url[:-5] + "*", refresh=True)),
    "s3fs exists": lambda url: fsspec.filesystem("s3").exists(url + "2"),
    "s3fs read_block": lambda url: fsspec.filesystem("s3").read_block(url, 0, 5),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_fsspec_reads_is_cached_with_its_version(
    reader: str, s3_bucket: str, s3_server: S3Server, events: list[CacheEvent]
) -> None:
    fsspec.filesystem("s3").clear_instance_cache()
    client = s3_server.client()
    client.put_object(Bucket=s3_bucket, Key="d/a.csv", Body=b"a\n1\n")
    read = READERS[reader]

    @function_cache
    def load(bucket: str, day: str) -> Any:
        return read(f"s3://{bucket}/d/{day}.csv")

    results, said = answers(lambda: load(s3_bucket, "a"))
    assert results[0] == results[1]
    assert [event.outcome for event in events] == (["miss", "hit"] if not said else ["miss", "miss"])
    client.put_object(Bucket=s3_bucket, Key="d/a.csv", Body=b"a\n22\n")
    client.put_object(Bucket=s3_bucket, Key="d/a.csv2", Body=b"")
    fsspec.filesystem("s3").invalidate_cache()
    assert load(s3_bucket, "a") == read(f"s3://{s3_bucket}/d/a.csv") != results[0]
    assert said == [] or reader in ("s3fs exists",)


def test_boto3_and_a_file_system_with_options_are_not_cached(
    s3_bucket: str, s3_server: S3Server, events: list[CacheEvent]
) -> None:
    client = s3_server.client()
    client.put_object(Bucket=s3_bucket, Key="a", Body=b"1")
    endpoint = s3_server.environment()["AWS_ENDPOINT_URL"]

    @function_cache
    def by_boto3(bucket: str) -> Any:
        import boto3

        return boto3.client("s3").get_object(Bucket=bucket, Key="a")["Body"].read()

    @function_cache
    def with_options(bucket: str) -> Any:
        fs = fsspec.filesystem("s3", endpoint_url=endpoint, anon=False)
        return fs.cat(f"{bucket}/" + "a")

    for load in (by_boto3, with_options):
        client.put_object(Bucket=s3_bucket, Key="a", Body=b"1")
        results, said = answers(lambda load=load: load(s3_bucket))
        assert len(said) == 1
        client.put_object(Bucket=s3_bucket, Key="a", Body=b"2")
        assert load(s3_bucket) == b"2" != results[0]


def test_a_tls_connection_is_watched_too() -> None:
    assert hasattr(ssl.SSLSocket.read, "__unrecorded__")


_HANDLES = ["dataset", "fragments", "scanner", "file system", "folder of one", "bucket", "open file", "store"]
NUMBERS = pd.DataFrame({"a": [1, 2]})


def _handles(folder: Path) -> dict[str, Any]:
    import obstore.store
    import pyarrow.dataset as ds
    import pyarrow.fs
    import pyarrow.parquet as pq

    pd.DataFrame({"a": [1]}).to_parquet(folder / "a.parquet")
    dataset = ds.dataset(folder)
    local = pyarrow.fs.LocalFileSystem()
    return {
        "dataset": dataset,
        "fragments": list(dataset.get_fragments()),
        "scanner": dataset.scanner(),
        "file system": local,
        "folder of one": pyarrow.fs.SubTreeFileSystem(str(folder), local),
        "bucket": pyarrow.fs.S3FileSystem(anonymous=True),
        "open file": pq.ParquetFile(folder / "a.parquet"),
        "store": obstore.store.LocalStore(folder),
    }


@pytest.mark.parametrize("kind", _HANDLES)
def test_an_argument_that_names_files_instead_of_holding_data_is_refused(kind: str, tmp_path: Path) -> None:
    handle = _handles(tmp_path)[kind]

    @function_cache
    def load(source: Any) -> int:
        return 1

    with pytest.raises(CachingException, match=r"(?s)names .* in the function"):
        load(handle)


def test_a_table_of_the_module_that_sql_names_is_part_of_the_key(events: list[CacheEvent]) -> None:
    @function_cache
    def load(x: int) -> Any:
        return duckdb.sql("select sum(a) from NUMBERS").fetchall()

    _, said = answers(lambda: load(1))
    assert said == []
    assert [event.outcome for event in events] == ["miss", "hit"]
    globals()["NUMBERS"] = pd.DataFrame({"a": [5]})
    assert load(1) == [(5,)]


def test_a_table_of_the_module_that_computed_sql_names_is_not_cached(events: list[CacheEvent]) -> None:
    @function_cache
    def load(name: str) -> Any:
        return duckdb.sql(f"select sum(a) from {name[::-1]}").fetchall()

    globals()["OTHERS"] = pd.DataFrame({"a": [3]})
    _, said = answers(lambda: load("SREHTO"))
    assert "OTHERS" in said[0]
    globals()["OTHERS"] = pd.DataFrame({"a": [4]})
    assert load("SREHTO") == [(4,)]


def test_a_local_table_that_sql_names_is_cached(events: list[CacheEvent]) -> None:
    @function_cache
    def load(table: pd.DataFrame) -> Any:
        doubled = table * 2  # noqa: F841 - the SQL names it
        return duckdb.sql("select sum(a) from doubled").fetchall()

    results, said = answers(lambda: load(pd.DataFrame({"a": [1, 2]})))
    assert (results, said, events[-1].outcome) == ([[(6,)]] * 2, [], "hit")


def test_parquet_by_a_native_client_is_cached_with_its_version(
    s3_bucket: str, s3_server: S3Server, events: list[CacheEvent], tmp_path: Path
) -> None:
    def put(value: int) -> None:
        pd.DataFrame({"a": [value]}).to_parquet(tmp_path / "a.parquet")
        s3_server.client().upload_file(str(tmp_path / "a.parquet"), s3_bucket, "a.parquet")

    @function_cache
    def load(bucket: str, name: str) -> int:
        return int(pd.read_parquet(f"s3://{bucket}/{name}.parquet")["a"].sum())

    put(1)
    results, _ = answers(lambda: load(s3_bucket, "a"))
    put(20)
    assert (results, load(s3_bucket, "a")) == ([1, 1], 20)


def test_native_file_systems_whose_reads_nobody_sees_are_not_cached(tmp_path: Path, events: list[CacheEvent]) -> None:
    (tmp_path / "a").write_text("1")

    @function_cache
    def load(folder: str, name: str) -> bytes:
        from pyarrow import fs

        return bytes(fs.LocalFileSystem().open_input_file(f"{folder}/{name}").read())

    _, said = answers(lambda: load(str(tmp_path), "a"))
    (tmp_path / "a").write_text("2")
    assert load(str(tmp_path), "a") == b"2"
    assert "open_input_file" in said[0]
