"""Each kind of frame, read from each format and source, has the types and rows of its contract."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pandas.testing
import polars as pl
import polars.testing
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caching import LocalCache, function_cache
from loaders import ConfigError, ContractError, DatasetContract, read_arrow, read_polars, read_table, take_frame
from loaders.conforming import conform
from loaders.conforming.frame_kinds import KINDS, Kind, kind_of, polars_schema
from tests.contract_cases import TYPES, one_column
from tests.reading.conftest import FORMATS, IMPATIENT, ORDERS, Put, encoded, orders

REFUSED = {
    *(f"timestamp[{unit}, tz=+05:30]" for unit in ("s", "ms", "us", "ns")),
    *("decimal128(5, -2)", "list_view<item: int8>", "large_list_view<item: string>", "month_day_nano_interval"),
    *(str(arrow_type) for arrow_type in TYPES if pa.types.is_decimal256(arrow_type)),
}
READERS: dict[Kind, Any] = {"pandas": read_table, "polars": read_polars, "arrow": read_arrow}
pytestmark = pytest.mark.usefixtures("impatient")


def assert_equal(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(found, pd.DataFrame):
        pandas.testing.assert_frame_equal(found, expected)
    elif isinstance(found, pl.DataFrame):
        polars.testing.assert_frame_equal(found, expected, check_exact=True)
        assert found.schema == expected.schema
    else:
        assert found.equals(expected)
        assert found.schema.equals(expected.schema)


@pytest.fixture(params=["file", "folder", "s3", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Puts the rows, as a file of a format, where a source reads them; gives the location."""
    if request.param == "s3":
        request.getfixturevalue("proxy")
        put: Put = request.getfixturevalue("put")
        yield lambda format_name: put(f"orders.{format_name}", encoded(orders(300), format_name))
        return
    if request.param == "memory":
        import fsspec

        name = f"/kinds-{os.urandom(4).hex()}"

        def write(format_name: str) -> str:
            fsspec.filesystem("memory").pipe_file(f"{name}.{format_name}", encoded(orders(300), format_name))
            return f"memory:/{name}.{format_name}"

        yield write
        return

    def store(format_name: str) -> str:
        table = orders(300)
        parts = [table.slice(0, 100), table.slice(100)] if request.param == "folder" else [table]
        for number, part in enumerate(parts):
            (tmp_path / f"{number}.{format_name}").write_bytes(encoded(part, format_name))
        return str(tmp_path) if request.param == "folder" else str(tmp_path / f"0.{format_name}")

    yield store


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_kind_is_the_same_from_every_source_and_format(place: Any, format_name: str) -> None:
    location = place(format_name)
    for kind, read in READERS.items():
        expected = conform(orders(300), ORDERS, location="memory", kind=kind)
        assert_equal(read(location, ORDERS), expected)
        assert_equal(
            read(location, ORDERS, columns=["day", "order_id"]),
            conform(orders(300), ORDERS, location="memory", columns=["day", "order_id"], kind=kind),
        )


def test_the_types_are_those_of_the_contract_whatever_the_data() -> None:
    empty, full = (conform(orders(rows), ORDERS, location="memory", kind="polars") for rows in (0, 50))
    assert empty.schema == full.schema == pl.Schema(polars_schema(ORDERS))
    assert dict(full.schema) == {
        "order_id": pl.Int64(),
        "placed": pl.Datetime("us", "UTC"),
        "day": pl.Date(),
        "amount": pl.Decimal(12, 2),
        "weight": pl.Float64(),
        "items": pl.Int32(),
        "note": pl.String(),
    }
    assert conform(orders(5), ORDERS, location="memory", kind="arrow").schema == ORDERS.schema


@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_every_type_reaches_polars_with_its_values_or_is_refused(arrow_type: pa.DataType) -> None:
    contract = one_column(arrow_type)
    table = contract.example(30, frame="arrow")
    assert table.schema == contract.schema
    if str(arrow_type) in REFUSED:
        with pytest.raises(ConfigError, match="polars has no exact type"):
            contract.example(30, frame="polars")
        return
    frame = contract.example(30, frame="polars")
    assert dict(frame.schema) == polars_schema(contract)
    assert frame.to_series().null_count() == table.column(0).null_count
    back = conform(frame, contract, location="the frame of polars", kind="arrow")
    assert str(back.to_pydict()) == str(table.to_pydict())


@pytest.mark.parametrize("given_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_frames_in_memory_may_be_of_any_kind(given_kind: Kind, kind: Kind) -> None:
    frames = {"orders": conform(orders(40), ORDERS, location="memory", kind=given_kind)}
    found = take_frame(frames, ORDERS, frame=kind)
    assert kind_of(found) == kind
    assert_equal(found, conform(orders(40), ORDERS, location="memory", kind=kind))


def test_what_is_no_frame_is_refused() -> None:
    for value in ([], {"a": [1]}, pd.Series([1]), pl.Series([1]), pl.LazyFrame({"a": [1]})):
        assert kind_of(value) is None
        with pytest.raises(ConfigError, match="must be a frame of pandas or polars or an Arrow table"):
            take_frame({"orders": value}, ORDERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_contract_is_the_same_error_in_every_kind(kind: Kind, tmp_path: Path) -> None:
    table = orders(10)
    twice = pa.concat_tables([table, table.slice(3, 1)])
    (tmp_path / "orders.csv").write_bytes(encoded(twice, "csv"))
    with pytest.raises(ContractError) as caught:
        READERS[kind](str(tmp_path / "orders.csv"), ORDERS)
    with pytest.raises(ContractError) as expected:
        read_table(str(tmp_path / "orders.csv"), ORDERS)
    assert str(caught.value) == str(expected.value)


def test_seconds_that_polars_cannot_hold_are_an_error() -> None:
    contract = DatasetContract("far", pa.schema([pa.field("at", pa.timestamp("s"))]))
    table = pa.table({"at": pa.array([2**60], pa.timestamp("s"))})
    with pytest.raises((ContractError, pa.ArrowInvalid)):
        conform(table, contract, location="memory", kind="polars")


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_strategy_draws_any_kind(data: st.DataObject) -> None:
    for kind in KINDS:
        frame = data.draw(ORDERS.strategy(max_rows=4, frame=kind))
        assert kind_of(frame) == kind
        assert_equal(conform(frame, ORDERS, location="the draw", kind=kind), frame)


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_a_cached_loader_gives_the_kind_again(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "orders.parquet").write_bytes(encoded(orders(20), "parquet"))
    runs = []

    @function_cache(LocalCache(cache_directory=tmp_path / "cache"))
    def load(location: str) -> Any:
        runs.append(location)
        return READERS[kind](location, ORDERS)

    first, second = (load(str(tmp_path / "orders.parquet")) for _ in range(2))
    assert_equal(second, first)
    assert len(runs) == 1


def test_polars_shares_the_memory_of_numbers(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array(range(100_000), pa.int64())}), sink)
    (tmp_path / "a.parquet").write_bytes(sink.getvalue())
    contract = DatasetContract("numbers", pa.schema([pa.field("a", pa.int64(), nullable=False)]))
    frame = read_polars(str(tmp_path / "a.parquet"), contract)
    assert isinstance(frame["a"].to_arrow().buffers()[1].address, int)
    assert frame["a"].sum() == sum(range(100_000))


def test_the_settings_apply_to_every_reader(proxy: Any, put: Put) -> None:
    from loaders.config.storage import use_storage

    location = put("orders.parquet", encoded(orders(30), "parquet"))
    proxy.inject("bit flip", on="GET", times=None)
    for read in READERS.values():
        with use_storage(replace(IMPATIENT, attempts=1)), pytest.raises(Exception, match="altered"):
            read(location, ORDERS)
