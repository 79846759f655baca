"""What a contract lets pass: optional columns, and checks that only warn."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from loaders import (
    Check,
    ConfigError,
    ContractError,
    DatasetContract,
    LoaderWarning,
    read_arrow,
    read_batches,
    read_polars,
    read_table,
    take_frame,
)

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), ("note", pa.string()), ("day", pa.date32())])
LENIENT = DatasetContract("lenient", SCHEMA, key=("n",), optional=("note", "day"))
WARNING = DatasetContract("warned", pa.schema([("a", pa.int64())]), checks={"a": Check(minimum=0, severity="warning")})


def write(path: Path, table: pa.Table) -> str:
    match path.suffix:
        case ".parquet":
            pq.write_table(table, path)
        case ".feather":
            pyarrow.feather.write_feather(table, path)
        case ".jsonl":
            path.write_text("".join(f'{{"n": {n}}}\n' for n in table["n"].to_pylist()))
        case _:
            path.write_text("n\n" + "".join(f"{n}\n" for n in table["n"].to_pylist()))
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather", "jsonl"])
def test_an_optional_column_that_a_source_lacks_is_null(suffix: str, tmp_path: Path) -> None:
    location = write(tmp_path / f"a.{suffix}", pa.table({"n": [1, 2]}))
    frame = read_table(location, LENIENT)
    assert list(frame.columns) == ["n", "note", "day"]
    assert dict(frame.dtypes) == LENIENT.dtypes
    assert frame["note"].isna().all()
    assert read_arrow(location, LENIENT).schema == LENIENT.schema
    assert read_polars(location, LENIENT, columns=["day"])["day"].null_count() == 2
    assert read_batches(location, LENIENT).read_all()["note"].null_count == 2


def test_an_optional_column_that_is_there_is_read_and_checked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,day\n1,2024-01-01\n")
    assert str(read_table(str(tmp_path / "a.csv"), LENIENT)["day"][0]) == "2024-01-01"
    (tmp_path / "b.csv").write_text("n,day\n1,soon\n")
    with pytest.raises(ContractError, match="'soon'"):
        read_table(str(tmp_path / "b.csv"), LENIENT)


def test_frames_in_memory_may_lack_it_too() -> None:
    frame = take_frame({"lenient": pd.DataFrame({"n": [1]})}, LENIENT)
    assert list(frame.columns) == ["n", "note", "day"]
    with pytest.raises(ContractError, match="lacks 'n'"):
        take_frame({"lenient": pd.DataFrame({"note": ["x"]})}, LENIENT)


@pytest.mark.parametrize(("optional", "problem"), [(("n",), "must be nullable"), (("x",), "optional names 'x'")])
def test_what_cannot_be_optional_is_refused(optional: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        DatasetContract("d", SCHEMA, optional=optional)


@pytest.mark.parametrize("contract", [LENIENT, WARNING])
def test_yaml_keeps_both(contract: DatasetContract) -> None:
    again = DatasetContract.from_yaml(contract.to_yaml())
    assert again == contract
    assert "severity: error" not in contract.to_yaml()


def read_all(location: str) -> list[Any]:
    return [read(location, WARNING) for read in (read_table, read_polars, read_arrow)]


def test_values_that_break_a_warning_are_reported_and_returned(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n-2\n-3\n")
    with pytest.warns(LoaderWarning, match=r"a: below the minimum 0; 2 rows: -2 in row 2, -3 in row 3") as caught:
        frames = read_all(str(tmp_path / "a.csv"))
    assert len(caught) == 3
    assert [len(frame) for frame in frames] == [3, 3, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / "b.csv").write_text("a\n1\n")
        read_all(str(tmp_path / "b.csv"))


def test_an_error_beside_a_warning_names_both(tmp_path: Path) -> None:
    contract = DatasetContract(
        "both",
        pa.schema([("a", pa.int64()), ("b", pa.int64())]),
        checks={"a": Check(minimum=0, severity="warning"), "b": Check(maximum=5)},
    )
    (tmp_path / "a.csv").write_text("a,b\n-1,9\n")
    with pytest.raises(ContractError, match=r"(?s)a: below the minimum 0.*b: above the maximum 5"):
        read_table(str(tmp_path / "a.csv"), contract)


def test_a_severity_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="severity must be 'error' or 'warning'"):
        Check(minimum=1, severity="fatal")  # type: ignore[arg-type]


def test_to_warn_only_is_a_change_that_breaks_readers() -> None:
    strict = DatasetContract("warned", WARNING.schema, checks={"a": Check(minimum=0)})
    assert [change.breaks_readers for change in strict.diff(WARNING)] == [True]
    assert [change.breaks_readers for change in WARNING.diff(strict)] == [False]
