"""A frame that obeys its contract, written in each format and read back, is the same frame."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pandas.testing
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from loaders import ContractError, DatasetContract, read_table
from loaders.conforming import conform
from tests.contract_cases import TYPES, one_column
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import Put

FEW = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FORMATS = ("csv", "jsonl", "parquet", "feather")
# What text has no notation for.
_NOT_COMPARED_BY_PANDAS = {
    *(pa.binary_view(), pa.month_day_nano_interval(), pa.list_view(pa.int8()), pa.large_list_view(pa.string())),
    pa.list_(pa.string_view()),
}
_NOT_IN_TEXT = (pa.types.is_nested, pa.types.is_interval, pa.types.is_dictionary)


def as_table(frame: pd.DataFrame, contract: DatasetContract) -> pa.Table:
    # In a float column that holds no nulls NaN is a value.
    arrays = [pa.array(frame[field.name], type=field.type, from_pandas=field.nullable) for field in contract.schema]
    return pa.Table.from_arrays(arrays, names=[contract.source_name(name) for name in contract.columns])


def written(table: pa.Table, format_name: str) -> bytes:
    sink = io.BytesIO()
    match format_name:
        case "csv":
            pyarrow.csv.write_csv(
                pa.table(dict(zip(table.column_names, map(as_text, table.columns), strict=True))), sink
            )
        case "jsonl":
            rows = zip(*(map(as_json, column) for column in table.columns), strict=True)
            return "".join(json.dumps(dict(zip(table.column_names, row, strict=True))) + "\n" for row in rows).encode()
        case "parquet":
            pyarrow.parquet.write_table(table, sink, store_decimal_as_integer=False)
        case "feather":
            pyarrow.feather.write_feather(table, sink)
    return sink.getvalue()


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as something that Arrow's CSV writer writes exactly."""
    if pa.types.is_duration(column.type):
        return pa.chunked_array([pa.array([duration_text(value) for value in column], pa.string())])
    if pa.types.is_timestamp(column.type) and column.type.tz:
        # Offsets before 1900 have seconds, which the text would lose.
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    if pa.types.is_float16(column.type):
        return column.cast(pa.float32())
    if pa.types.is_decimal(column.type):
        return pa.chunked_array([pa.array([None if v is None else f"{v:f}" for v in column.to_pylist()], pa.string())])
    return column


def as_json(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_duration(value.type):
        return duration_text(value)
    if pa.types.is_timestamp(value.type):
        return str((value.cast(pa.timestamp(value.type.unit, "UTC")) if value.type.tz else value).cast(pa.string()))
    plain = value.as_py()
    if isinstance(plain, int | float | str | bool) or plain is None:
        return plain
    if pa.types.is_decimal(value.type):
        return f"{plain:f}"
    if isinstance(plain, bytes):
        return plain.decode("latin-1")
    return str(value.cast(pa.string()))


def duration_text(value: pa.Scalar) -> str | None:
    """As pandas writes it, beyond pandas' own range too."""
    if not value.is_valid:
        return None
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[value.type.unit]
    seconds, fraction = divmod(value.value, per_second)
    days, seconds = divmod(seconds, 86400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    digits = f".{fraction * (10**9 // per_second):09}".rstrip("0").rstrip(".")
    return f"{days} days +{clock}{digits}"


def in_years_of_text(frame: pd.DataFrame, contract: DatasetContract) -> bool:
    """Text knows the years 1 to 9999 of dates and times, and binary only as UTF-8."""
    for field in contract.schema:
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
            for value in pa.Array.from_pandas(frame[field.name], type=field.type).cast(pa.string()).to_pylist():
                if value is not None and (value[4:5] != "-" or value.startswith(("-", "0000"))):
                    return False
        if "binary" in str(field.type):
            try:
                b"".join(value for value in frame[field.name].array._pa_array.to_pylist() if value).decode()
            except UnicodeDecodeError:
                return False
    return True


@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "required"])
@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_frames_of_every_type_come_back(
    arrow_type: pa.DataType, format_name: str, nullable: bool, tmp_path: Path
) -> None:
    contract = one_column(arrow_type, nullable=nullable)

    @FEW
    @given(contract.strategy(max_rows=6))
    def comes_back(frame: pd.DataFrame) -> None:
        if format_name in ("csv", "jsonl"):
            if any(test(arrow_type) for test in _NOT_IN_TEXT) or not in_years_of_text(frame, contract):
                return
            if format_name == "jsonl" and frame.empty:
                return
        file = tmp_path / f"one.{format_name}"
        try:
            file.write_bytes(written(as_table(frame, contract), format_name))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, OSError):
            return  # the format has no such type
        found = read_table(file, contract)
        if arrow_type in _NOT_COMPARED_BY_PANDAS:
            assert found.dtypes.equals(frame.dtypes)
            assert as_table(found, contract).equals(as_table(frame, contract))
        else:
            pandas.testing.assert_frame_equal(found, frame)

    comes_back()


EVERYTHING = DatasetContract(
    "everything",
    pa.schema(
        [
            pa.field("id", pa.uint64(), nullable=False),
            pa.field("flag", pa.bool_()),
            pa.field("small", pa.int8()),
            pa.field("price", pa.decimal128(38, 10)),
            pa.field("ratio", pa.float64()),
            pa.field("text", pa.string(), nullable=False),
            pa.field("note", pa.string()),
            pa.field("instant", pa.timestamp("us", "Europe/Berlin")),
        ]
    ),
    key=("id",),
    prefix="all_",
    source_names={"all_text": "Text, with a comma"},
)


@pytest.mark.parametrize("format_name", FORMATS)
def test_frames_come_back_from_s3(
    format_name: str, proxy: FaultProxy, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    @FEW
    @given(EVERYTHING.strategy(min_rows=1))
    def comes_back(frame: pd.DataFrame) -> None:
        if format_name in ("csv", "jsonl") and not in_years_of_text(frame, EVERYTHING):
            return
        location = put(f"everything.{format_name}", written(as_table(frame, EVERYTHING), format_name))
        pandas.testing.assert_frame_equal(read_table(location, EVERYTHING), frame)
        pandas.testing.assert_frame_equal(conform(frame, EVERYTHING, location="memory"), frame)

    comes_back()


@pytest.mark.parametrize("arrow_type", [t for t in TYPES if pa.types.is_nested(t)], ids=str)
def test_csv_cannot_hold_nested_values(arrow_type: pa.DataType, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("value\n[1]\n")
    with pytest.raises(ContractError, match="text cannot hold"):
        read_table(tmp_path / "one.csv", one_column(arrow_type))
