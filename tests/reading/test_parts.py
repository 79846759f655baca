"""Datasets of several files: patterns, folders and partitions, on disk, in S3 and in other file systems."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pandas.testing
import pyarrow as pa
import pytest

from loaders import ContractError, DatasetContract, FormatOptions, ReadError, read_table
from loaders.config.project_root import use_project_root
from loaders.conforming import conform
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import FORMATS, ORDERS, Put, encoded, orders

SALES = DatasetContract(
    "sales",
    pa.schema(
        [
            pa.field("day", pa.date32()),
            pa.field("region", pa.string()),
            pa.field("amount", pa.int64(), nullable=False),
        ]
    ),
)
Place = Callable[[str, bytes], str]


@pytest.fixture(params=["file", "s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Puts a file under a folder of the protocol; gives the folder."""
    if request.param == "file":

        def write(name: str, data: bytes) -> str:
            (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name).write_bytes(data)
            return str(tmp_path / "data")

        yield write
    elif request.param == "s3":
        request.getfixturevalue("proxy")
        put: Put = request.getfixturevalue("put")
        yield lambda name, data: put(f"data/{name}", data).removesuffix(f"/{name}")
    else:
        folder = f"/{tmp_path.name}"
        memory = fsspec.filesystem("memory")

        def pipe(name: str, data: bytes) -> str:
            memory.pipe_file(f"{folder}/{name}", data)
            return f"memory:/{folder}"

        yield pipe
        memory.rm(folder, recursive=True)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_folder_of_parts_is_read_in_the_order_of_their_names(format_name: str, place: Place) -> None:
    tables = [orders(10, seed=seed) for seed in range(1, 12)]
    folder = ""
    for number, table in reversed(list(enumerate(tables))):
        folder = place(f"part-{number:03}.{format_name}", encoded(table, format_name))
    for name in ("_SUCCESS", ".hidden.csv", "_temporary/0/part.csv", "README.md"):
        place(name, b"no part of it")
    expected = conform(pa.concat_tables(tables), ORDERS, location="memory")
    patterns = ("part-*.{}", "part-0[01]?.{}", "*.{}", "*", "**/*")
    for location in (folder, f"{folder}/", *(f"{folder}/{pattern.format(format_name)}" for pattern in patterns)):
        pandas.testing.assert_frame_equal(read_table(location, ORDERS), expected)
    assert len(read_table(f"{folder}/part-00[!0].{format_name}", ORDERS)) == 90


def test_partitions_are_columns_of_the_contract(place: Place) -> None:
    folder = place("region=north/day=2024-01-01/a.csv", b"amount\n1\n2\n")
    place("region=north/day=2024-01-02/a.csv", b"amount\n3\n")
    place("region=a%2Fb/day=__HIVE_DEFAULT_PARTITION__/a.csv", b"amount\n4\n")
    frame = read_table(folder, SALES)
    assert frame["amount"].tolist() == [4, 1, 2, 3]
    assert frame["region"].tolist() == ["a/b", "north", "north", "north"]
    assert frame["day"].tolist() == [pd.NA, dt.date(2024, 1, 1), dt.date(2024, 1, 1), dt.date(2024, 1, 2)]
    assert dict(frame.dtypes) == SALES.dtypes
    assert read_table(folder, SALES, columns=["region"])["region"].tolist() == ["a/b", "north", "north", "north"]
    assert len(read_table(f"{folder}/region=north/*/a.csv", SALES)) == 3
    assert len(read_table(f"{folder}/**/a.csv", SALES)) == 4


def test_a_partition_that_means_no_value_is_an_error(place: Place) -> None:
    folder = place("region=x/day=monday/a.csv", b"amount\n1\n")
    with pytest.raises(ContractError, match="day: 'monday' in the name of the folder, which is no date32"):
        read_table(folder, SALES)


def test_partitions_can_be_turned_off(place: Place) -> None:
    folder = place("region=x/day=2024-01-01/a.csv", b"amount\n1\n")
    contract = DatasetContract("sales", SALES.schema, format=FormatOptions(hive_partitions=False))
    with pytest.raises(ContractError, match="lacks 'day', 'region'"):
        read_table(folder, contract)


def test_a_files_own_column_comes_before_its_path(place: Place) -> None:
    folder = place("region=path/a.csv", b"region,day,amount\nfile,2024-01-01,1\n")
    assert read_table(folder, SALES)["region"].tolist() == ["file"]


def test_a_wrong_value_is_named_with_its_part(place: Place) -> None:
    place("a.csv", b"day,region,amount\n2024-01-01,x,1\n2024-01-01,x,1\n")
    folder = place("b.csv", b"day,region,amount\n2024-01-01,x,1\n2024-01-01,x,\n")
    with pytest.raises(
        ContractError, match=r"amount: null in a column that is not nullable; 1 row: null in row 2 of \S*/b.csv"
    ):
        read_table(folder, SALES)
    place("b.csv", b"day,region,amount\n2024-01-01,x,1\n2024-01-01,x,y\n")
    with pytest.raises(ContractError, match=r"Read from \S*/b.csv\n.*'y' in row 2"):
        read_table(folder, SALES)


def test_a_key_is_unique_over_all_parts(place: Place) -> None:
    contract = DatasetContract("sales", SALES.schema, key=("amount",))
    place("a.csv", b"day,region,amount\n2024-01-01,x,1\n")
    folder = place("b.csv", b"day,region,amount\n2024-01-01,x,1\n")
    with pytest.raises(ContractError, match=r"more than one row; 1 row: 1 in row 1 of \S*/b.csv"):
        read_table(folder, contract)


@pytest.mark.parametrize("name", ["q?", "star*", "br[ack]et"])
def test_a_name_that_looks_like_a_pattern_is_found_before_others_that_match(name: str, place: Place) -> None:
    row = "day,region,amount\n2024-01-01,a,{}\n"
    place("qX.csv", row.format(9).encode())
    place("qX/part.csv", row.format(9).encode())
    place(f"{name}/part.csv", row.format(2).encode())
    folder = place(f"{name}.csv", row.format(1).encode())
    assert read_table(f"{folder}/{name}.csv", SALES)["amount"].tolist() == [1]
    assert read_table(f"{folder}/{name}", SALES)["amount"].tolist() == [2]


def test_nothing_there_is_an_error(place: Place) -> None:
    folder = place("a.csv", b"")
    with pytest.raises(ReadError, match="matches no file"):
        read_table(f"{folder}/*.parquet", SALES)
    with pytest.raises(ReadError):
        read_table(f"{folder}/nothing/", SALES)
    with pytest.raises(ReadError):
        read_table(f"{folder}/nothing.csv", SALES)


def test_parts_in_s3_come_at_the_same_time(proxy: FaultProxy, put: Put) -> None:
    location = ""
    for number in range(16):
        location = put(f"data/{number}.csv", b"day,region,amount\n2024-01-01,x,1\n")
    proxy.latency_seconds = 0.1
    try:
        import time

        started = time.monotonic()
        assert len(read_table(location.rpartition("/")[0], SALES)) == 16
        assert time.monotonic() - started < 16 * 0.1
    finally:
        proxy.latency_seconds = 0.0


ROW = "day,region,amount\n2024-01-01,a,{}\n"


def amounts(location: Path | str) -> list[int]:
    return read_table(location, SALES)["amount"].tolist()


def test_a_link_to_a_folder_above_repeats_no_part(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text(ROW.format(1))
    (folder / "sub" / "b.csv").write_text(ROW.format(2))
    (folder / "sub" / "loop").symlink_to(folder)
    (folder / "other").symlink_to(folder / "sub")
    # A link that is no loop is a folder of its own.
    for location in (folder, f"{folder}/**/*.csv"):
        assert amounts(location) == [1, 2, 2]
    assert amounts(f"{folder}/sub/*/a.csv") == [1]


def test_a_pattern_takes_what_a_folder_would(tmp_path: Path) -> None:
    for number, name in enumerate(["a.csv", "_tmp.csv", ".hidden.csv", "_temporary/b.csv", "sub/_x=1/c.csv"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(ROW.format(number))
    (tmp_path / "README").write_text("no part of it")
    (tmp_path / "_SUCCESS").touch()
    assert amounts(f"{tmp_path}/*") == [0]
    assert amounts(f"{tmp_path}/*.csv") == [0]
    assert amounts(f"{tmp_path}/**/*.csv") == amounts(tmp_path) == [0, 4]
    assert amounts(f"{tmp_path}/_t*.csv") == [1]
    assert amounts(f"{tmp_path}/.h*.csv") == [2]
    assert amounts(f"{tmp_path}/_temp*/*.csv") == [3]
    with pytest.raises(ReadError, match="matches no file"):
        amounts(f"{tmp_path}/*S")


@pytest.mark.parametrize("pattern", ["", "/*.csv", "/**"])
def test_a_part_that_is_no_file_is_an_error_by_its_name(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROW.format(1))
    (tmp_path / "b.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(ReadError, match=r"b.csv' is a link to \S*gone.csv', which does not exist"):
        amounts(f"{tmp_path}{pattern}")
    (tmp_path / "b.csv").unlink()
    os.mkfifo(tmp_path / "c.csv")
    with pytest.raises(ReadError, match=r"c.csv' is a FIFO"):
        amounts(f"{tmp_path}{pattern}")


def test_a_pattern_below_a_folder_that_looks_like_one(tmp_path: Path) -> None:
    root = tmp_path / "project [1]"
    root.mkdir()
    (root / "a.csv").write_text(ROW.format(1))
    with use_project_root(root):
        assert amounts("*.csv") == [1]
        assert amounts(f"{root}/?.csv") == [1]
        with pytest.raises(ReadError, match=r"No file 'b.csv' in"):
            amounts("b.csv")


@pytest.mark.parametrize("name", ["a\0.csv", "a\0*.csv", "x" * 300 + ".csv", "x" * 300 + "*.csv", "x" * 300 + "/a.csv"])
def test_a_name_that_no_file_can_have_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError):
        amounts(f"{tmp_path}/{name}")
