"""Batches of datasets of any size: the same rows as a whole read, in bounded pieces, or the same error."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders import (
    ConfigError,
    ContractError,
    DatasetContract,
    LoaderWarning,
    ReadError,
    read_arrow,
    read_batches,
    scan_polars,
)
from loaders.config.storage import use_storage
from loaders.conforming import conform
from loaders.reading.selection import use_first_rows
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import FORMATS, IMPATIENT, ORDERS, Put, encoded, orders

pytestmark = pytest.mark.usefixtures("impatient")
TEXTS = DatasetContract("texts", pa.schema([pa.field("n", pa.int64(), nullable=False), ("t", pa.string())]), key=("n",))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that a test's file has many."""
    monkeypatch.setattr("loaders.formats.batches.BLOCK_BYTES", 2000)
    monkeypatch.setattr("loaders.formats.parquet_format._PIECE_BYTES", 2000)


def rows_of(location: object, **options: Any) -> pa.Table:
    return read_batches(str(location), ORDERS, **options).read_all().combine_chunks()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("format_name", [*FORMATS, "jsonl.gz"])
def test_batches_are_the_rows_of_a_whole_read(format_name: str, tmp_path: Path) -> None:
    table = orders(700)
    data = encoded(table, format_name.removesuffix(".gz") if format_name == "jsonl.gz" else format_name)
    if format_name == "jsonl.gz":
        import gzip

        data = gzip.compress(data)
    (tmp_path / f"a.{format_name}").write_bytes(data)
    location = tmp_path / f"a.{format_name}"
    assert rows_of(location).equals(read_arrow(str(location), ORDERS).combine_chunks())
    assert rows_of(location, columns=["note", "order_id"]).column_names == ["order_id", "note"]
    batches = list(read_batches(str(location), ORDERS, rows=50))
    assert 0 < max(batch.num_rows for batch in batches) <= 50
    assert sum(batch.num_rows for batch in batches) == 700
    assert all(batch.schema == ORDERS.schema for batch in batches)


@pytest.mark.usefixtures("small_blocks")
def test_parts_follow_each_other_with_their_partitions(tmp_path: Path) -> None:
    contract = DatasetContract("days", pa.schema([("n", pa.int64()), ("day", pa.date32())]))
    for day in ("2024-01-02", "2024-01-01"):
        folder = tmp_path / f"day={day}"
        folder.mkdir()
        (folder / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(900)))
    found = read_batches(str(tmp_path), contract).read_all()
    assert found.num_rows == 1800
    assert str(found["day"][0]) == "2024-01-01"
    assert str(found["day"][1799]) == "2024-01-02"


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30)


@given(texts=st.lists(st.none() | cells, min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_blocks_are_cut_between_rows_whatever_is_quoted(texts: list[str | None], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("cut") / "texts.csv"
    quoted = ["" if text is None else '"' + text.replace('"', '""') + '"' for text in texts]
    path.write_text("n,t\n" + "".join(f"{n},{text}\n" for n, text in enumerate(quoted)), newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loaders.formats.batches.BLOCK_BYTES", 40)
        found = read_batches(str(path), TEXTS).read_all()
    assert found["t"].to_pylist() == texts


@pytest.mark.usefixtures("small_blocks")
def test_an_error_names_the_row_of_the_file(tmp_path: Path) -> None:
    lines = [f"{n},x\n" for n in range(1, 2001)]
    lines[1499] = "1500x,x\n"
    (tmp_path / "a.csv").write_text("n,t\n" + "".join(lines))
    with pytest.raises(ContractError, match=r"'1500x' in row 1500") as caught:
        read_batches(str(tmp_path / "a.csv"), TEXTS).read_all()
    (tmp_path / "b.csv").write_text("n,t\n" + "".join(lines))
    with pytest.raises(ContractError) as whole:
        read_arrow(str(tmp_path / "b.csv"), TEXTS)
    assert str(caught.value) == str(whole.value).replace("b.csv", "a.csv")


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("twice", [3, 1999])
def test_a_key_that_two_batches_have_is_an_error(twice: int, tmp_path: Path) -> None:
    numbers = [*range(2000), twice]
    (tmp_path / "a.csv").write_text("n,t\n" + "".join(f"{n},x\n" for n in numbers))
    with pytest.raises(ContractError, match=f"{twice} in row 2001"):
        read_batches(str(tmp_path / "a.csv"), TEXTS).read_all()


@pytest.mark.usefixtures("small_blocks")
def test_a_key_that_cannot_be_compared_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.reading.unique_keys._KEPT_BYTES", 100)
    mixed = [n * 7919 % 2003 for n in range(2000)]
    for name, numbers in (("mixed", mixed), ("sorted", sorted(mixed))):
        (tmp_path / f"{name}.csv").write_text("n,t\n" + "".join(f"{n},x\n" for n in numbers))
    with pytest.warns(LoaderWarning, match="not checked that the key"):
        assert read_batches(str(tmp_path / "mixed.csv"), TEXTS).read_all().num_rows == 2000
    # Ranges that do not overlap prove it, without the keys.
    assert read_batches(str(tmp_path / "sorted.csv"), TEXTS).read_all().num_rows == 2000


def test_json_lines_may_lack_a_name_in_some_blocks_but_not_in_all(small_blocks: None, tmp_path: Path) -> None:
    lines = [json.dumps({"n": n} | ({"t": "x"} if n > 900 else {})) + "\n" for n in range(1000)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    assert read_batches(str(tmp_path / "a.jsonl"), TEXTS).read_all()["t"].null_count == 901
    (tmp_path / "c.jsonl").write_text("".join(lines[:500]) + '{"n": 500, "t": null}\n')
    assert read_batches(str(tmp_path / "c.jsonl"), TEXTS).read_all()["t"].null_count == 501
    (tmp_path / "b.jsonl").write_text("".join(lines[:500]))
    with pytest.raises(ContractError, match="lacks 't'"):
        read_batches(str(tmp_path / "b.jsonl"), TEXTS).read_all()


def test_a_consumer_that_stops_fetches_no_more(proxy: FaultProxy, put: Put) -> None:
    sink = io.BytesIO()
    table = orders(60_000)
    pq.write_table(table, sink, row_group_size=5_000)
    location = put("orders.parquet", sink.getvalue())
    with use_storage(replace(IMPATIENT, verify="ranges")), pytest.MonkeyPatch.context() as patch:
        patch.setattr("loaders.formats.parquet_format._PIECE_BYTES", 1000)
        reader = read_batches(location, ORDERS, rows=1000)
        first = reader.read_next_batch()
        reader.close()
    assert first.num_rows == 1000
    assert proxy.bytes_sent() < 0.3 * len(sink.getvalue())


def test_what_is_verified_as_a_whole_is_verified_before_its_first_batch(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", encoded(orders(3000), "csv"))
    proxy.inject("bit flip", on="GET", times=None)
    with pytest.MonkeyPatch.context() as patch, use_storage(replace(IMPATIENT, attempts=1)):
        patch.setattr("loaders.formats.batches.BLOCK_BYTES", 2000)
        patch.setattr("loaders.clients.source._ON_DISK_BYTES", 1000)
        with pytest.raises(ReadError, match="altered"):
            read_batches(location, ORDERS).read_next_batch()
        proxy.clear()
        assert rows_of(location).num_rows == 3000


def test_arguments_are_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 or more rows"):
        read_batches(str(tmp_path), ORDERS, rows=0)
    with pytest.raises(ConfigError, match="lacks 'nothing'"):
        read_batches(str(tmp_path), ORDERS, columns=["nothing"])
    with pytest.raises(ConfigError, match="DatasetContract"):
        read_batches(str(tmp_path), "orders")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="reads only s3://"):
        scan_polars(str(tmp_path), ORDERS, allow=("s3",))
    with pytest.raises(ReadError, match="No file"):
        read_batches(str(tmp_path / "none.csv"), ORDERS).read_all()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_scan_gives_what_a_read_gives(format_name: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{format_name}").write_bytes(encoded(orders(700), format_name))
    lazy = scan_polars(str(tmp_path / f"a.{format_name}"), ORDERS)
    whole = conform(orders(700), ORDERS, location="memory", kind="polars")
    assert lazy.collect_schema() == whole.schema
    assert lazy.collect().equals(whole)
    some = pl.col("items") > 50
    assert (
        lazy.filter(some).select("order_id", "weight").collect().equals(whole.filter(some).select("order_id", "weight"))
    )
    assert lazy.head(5).collect().equals(whole.head(5))
    assert (
        lazy.group_by("items")
        .len()
        .sort("items")
        .collect(engine="streaming")
        .equals(whole.group_by("items").len().sort("items"))
    )


def test_a_scan_reads_the_columns_of_the_query_alone(proxy: FaultProxy, put: Put) -> None:
    sink = io.BytesIO()
    pq.write_table(orders(60_000), sink)
    location = put("orders.parquet", sink.getvalue())
    with use_storage(replace(IMPATIENT, verify="ranges")):
        assert scan_polars(location, ORDERS).select(pl.col("items").sum()).collect().item() > 0
    assert proxy.bytes_sent() < 0.2 * len(sink.getvalue())


def test_a_violation_is_raised_by_collect(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,t\n1,x\n1,y\n")
    lazy = scan_polars(str(tmp_path / "a.csv"), TEXTS)
    with pytest.raises(Exception, match="breaks its contract"):
        lazy.collect()


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    """In a process of its own, whose memory is limited."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("n,t\n")
        for start in range(0, 4_000_000, 100_000):
            file.write("".join(f"{n},{'x' * 60}\n" for n in range(start, start + 100_000)))
    assert path.stat().st_size > 250 << 20
    code = (
        "import sys, resource, pyarrow as pa\n"
        "from tests.reading.test_batches import TEXTS\n"
        "from loaders import read_batches\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "rows = sum(batch.num_rows for batch in read_batches(sys.argv[1], TEXTS))\n"
        "anonymous = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('RssAnon'))\n"
        "print(rows, anonymous // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, mebibytes = map(int, done.stdout.split())
    assert rows == 4_000_000
    assert mebibytes < 400
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0


def test_the_first_rows_of_json_lines_may_lack_a_name_that_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.formats.batches._HEAD_BYTES", 2000)
    lines = [json.dumps({"n": n} | ({"t": "x"} if n > 900 else {})) + "\n" for n in range(1000)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    with use_first_rows(5):
        frame = read_arrow(str(tmp_path / "a.jsonl"), TEXTS)
    assert 5 <= frame.num_rows < 1000
    assert frame["t"].null_count == frame.num_rows
