"""Values that name data instead of holding it, and clients in native code: refused, not cached, or with a version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from caching import CacheEvent, CachingException, function_cache
from loaders.sandbox.s3_server import S3Server
from tests.caching.answers import answers

_HANDLES = ["dataset", "fragments", "scanner", "file system", "folder of one", "bucket", "open file", "store"]


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

    with pytest.raises(CachingException, match=r"names (files|a store), not what .* hold.*Pass a path"):
        load(handle)


def test_parquet_by_a_native_client_is_cached_with_its_version(
    s3_bucket: str, s3_server: S3Server, own_events: list[CacheEvent], tmp_path: Path
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


def test_a_native_file_system_whose_reads_are_not_seen_is_not_cached(
    tmp_path: Path, own_events: list[CacheEvent]
) -> None:
    (tmp_path / "a").write_text("1")

    @function_cache
    def load(folder: str, name: str) -> bytes:
        from pyarrow import fs

        return bytes(fs.LocalFileSystem().open_input_file(f"{folder}/{name}").read())

    _, said = answers(lambda: load(str(tmp_path), "a"))
    (tmp_path / "a").write_text("2")
    assert load(str(tmp_path), "a") == b"2"
    assert "open_input_file" in said[0]
