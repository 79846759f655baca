"""What the parsers and casts of Arrow would alter without a word: refused, or read as it is written."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import Check, ContractError, DatasetContract, FormatOptions, ReadError, read_table
from loaders.conforming.exact_cast import InexactError, exact_cast
from loaders.sandbox.s3_server import S3Server

TEXT, INTEGER = pa.string(), pa.int64()


def read(path: Path, content: str | bytes, types: dict[str, pa.DataType], **options: Any) -> dict[str, list[Any]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    frame = read_table(path, DatasetContract("things", pa.schema(list(types.items())), **options))
    return {name: frame[name].tolist() for name in frame}


@pytest.mark.parametrize(
    ("text", "value_type"),
    [
        (str(2**256 - 1), pa.decimal128(38, 0)),
        (str(2**256 - 1), pa.decimal256(76, 0)),
        (str(2**128 + 1), pa.decimal128(12, 2)),
        ("4294967299", pa.decimal32(9, 0)),
        ("12345678901234567890123456789012345678", pa.decimal128(38, 5)),
        ("4e38", pa.decimal128(38, 0)),
        ("1e999999999", pa.decimal128(38, 0)),
        ("1e-39", pa.decimal128(38, 0)),
        ("1.5E-38", pa.decimal128(38, 2)),
        ("1e-999999999", pa.decimal128(38, 0)),
        ("1e9999999999999999999", pa.decimal128(38, 0)),
        ("1e-9999999999999999999", pa.decimal128(38, 0)),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_decimal_that_would_wrap_around_is_refused(
    name: str, text: str, value_type: pa.DataType, tmp_path: Path
) -> None:
    content = f"v\n{text}\n" if name == "x.csv" else f'{{"v": {text}}}\n'
    with pytest.raises(ContractError, match="in row 1"):
        read(tmp_path / name, content, {"v": value_type})


def test_decimals_are_read_however_they_are_written(tmp_path: Path) -> None:
    written = ["0e40", "1e2", "-1.5E1", "+0.50", "0.E-99", "5e-1"]
    found = read(tmp_path / "x.csv", "\n".join(["v", *written, ""]), {"v": pa.decimal128(38, 1)})
    assert found == {"v": [Decimal(0), Decimal(100), Decimal(-15), Decimal("0.5"), Decimal(0), Decimal("0.5")]}
    found = read(tmp_path / "x.csv", f"v\n{10**39}\n", {"v": pa.decimal128(38, -4)})
    assert found == {"v": [Decimal(10**39)]}


@pytest.mark.parametrize(
    ("value", "source", "target", "fits"),
    [
        (Decimal(10**37), pa.decimal128(38, 0), pa.decimal128(38, 5), False),
        (Decimal("1E-12"), pa.decimal128(38, 12), pa.decimal32(9, 2), False),
        (42, pa.int8(), pa.decimal32(9, 9), False),
        (42, pa.int8(), pa.decimal32(9, 2), True),
        (Decimal("5.10"), pa.decimal64(9, 2), pa.decimal32(5, 1), True),
        (Decimal("5.11"), pa.decimal64(9, 2), pa.decimal32(5, 1), False),
        (Decimal("5.00"), pa.decimal32(9, 2), pa.int64(), True),
    ],
)
def test_cast_to_a_decimal_keeps_the_value_or_refuses_it(
    value: Any, source: pa.DataType, target: pa.DataType, fits: bool
) -> None:
    values = pa.chunked_array([pa.array([value, None], source)])
    if fits:
        assert exact_cast(values, target).to_pylist() == [value, None]
    else:
        with pytest.raises(InexactError):
            exact_cast(values, target)


NOON = dt.datetime(2020, 1, 1, 12)


@pytest.mark.parametrize(
    ("text", "value_type", "check"),
    [
        ("0", INTEGER, Check(minimum=0.5)),
        ("0", INTEGER, Check(maximum=Decimal("-0.5"))),
        ("0", INTEGER, Check(allowed=(0.5, 1))),
        ("0.1", pa.decimal128(38, 38), Check(minimum=100)),
        ("2020-01-01", pa.date32(), Check(minimum=NOON)),
        ("2020-01-01", pa.date32(), Check(allowed=(NOON,))),
        ("2020-01-01T12:00:00", pa.timestamp("s"), Check(minimum=NOON + dt.timedelta(milliseconds=1))),
        ("2020-01-01T12:00:00", pa.timestamp("us"), Check(minimum=dt.date(2020, 1, 2))),
        ("3", pa.float64(), Check(maximum=Decimal("2.5"))),
    ],
)
def test_limit_that_the_columns_type_cannot_hold_is_not_cut_off(
    text: str, value_type: pa.DataType, check: Check, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=r"below the minimum|above the maximum|not among"):
        read(tmp_path / "x.csv", f"v\n{text}\n", {"v": value_type}, checks={"v": check})


@pytest.mark.parametrize(
    ("text", "value_type", "check"),
    [
        ("1", INTEGER, Check(minimum=0.5, maximum=1.5, allowed=(1.0, 2.5))),
        ("5", pa.uint64(), Check(minimum=-3, maximum=2**70)),
        ("0.1", pa.decimal128(38, 20), Check(minimum=0.1, maximum=0.1, allowed=(0.1,))),
        ("0.5", pa.decimal128(38, 38), Check(minimum=-1e300, maximum=100)),
        ("0.1", pa.float32(), Check(minimum=0.1, maximum=0.1, allowed=(0.1,))),
        ("2020-01-01", pa.date32(), Check(minimum=dt.datetime(2020, 1, 1), maximum=NOON)),
        ("2020-01-01T12:00:00", pa.timestamp("us"), Check(minimum=dt.date(2020, 1, 1), maximum=dt.date(2020, 1, 2))),
        ("3", pa.float64(), Check(minimum=Decimal("2.5"))),
        ("b", pa.dictionary(pa.int32(), TEXT), Check(minimum="a", allowed=("b",))),
    ],
)
def test_limit_that_a_value_obeys_is_obeyed_in_whatever_type_it_is_given(
    text: str, value_type: pa.DataType, check: Check, tmp_path: Path
) -> None:
    assert len(read(tmp_path / "x.csv", f"v\n{text}\n", {"v": value_type}, checks={"v": check})["v"]) == 1


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_quoted_line_end_at_the_end_of_a_csv_is_no_open_quote(line_end: str, tmp_path: Path) -> None:
    for end in (line_end, ""):
        content = f'a,b{line_end}1,"{line_end}"{end}'
        assert read(tmp_path / "x.csv", content, {"a": INTEGER, "b": TEXT}) == {"a": [1], "b": [line_end]}


@pytest.mark.parametrize("ending", ['"x', '"\n', '"x""', '"x\n2,3\n', '"', '"x,'])
def test_open_quote_at_the_end_of_a_csv_is_refused(ending: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="ends within quotes"):
        read(tmp_path / "x.csv", f"a,b\n1,{ending}", {"a": INTEGER, "b": TEXT})


def test_empty_last_field_is_null_whatever_is_before_it(tmp_path: Path) -> None:
    for end in ("", "\n"):
        found = read(tmp_path / "x.csv", f'a,b\nx,\n"z",{end}', {"a": TEXT, "b": TEXT})
        assert [found["a"], [value != value for value in found["b"]]] == [["x", "z"], [True, True]]


@pytest.mark.parametrize("names", ["a", "a,b"])
def test_mark_at_the_start_of_the_first_value_is_of_that_value(names: str, tmp_path: Path) -> None:
    rest = ",1" if "," in names else ""
    content = f"{names}\n\ufeffx{rest}\n\ufeffy{rest}\n"
    assert read(tmp_path / "x.csv", content, {"a": TEXT}) == {"a": ["\ufeffx", "\ufeffy"]}


@pytest.mark.parametrize(("name", "content"), [("x.csv", "\ufeffa\n1\n"), ("x.jsonl", '\ufeff{"a": 1}\n')])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_byte_order_mark_of_any_encoding_is_no_text(name: str, content: str, encoding: str, tmp_path: Path) -> None:
    options = FormatOptions(encoding=encoding)
    assert read(tmp_path / name, content.encode(encoding), {"a": INTEGER}, format=options) == {"a": [1]}


def test_header_that_does_not_end_is_told(tmp_path: Path) -> None:
    content = ",".join(f"c{number}" for number in range(200_000)) + "\n"
    with pytest.raises(ReadError, match="header of more than"):
        read(tmp_path / "x.csv", content * 2, {"c5": INTEGER})


def test_escaped_text_beside_a_missing_field_takes_no_time(tmp_path: Path) -> None:
    content = json.dumps({"a": "文" * 40_000}) + '\n{"a": "x", "b": 1}\n'
    began = time.process_time()
    assert read(tmp_path / "x.jsonl", content, {"a": TEXT, "b": INTEGER})["a"][1] == "x"
    # It took 14 s.
    assert time.process_time() - began < 2


def test_old_timestamps_within_lists_do_not_wrap_around(tmp_path: Path) -> None:
    contract = DatasetContract("things", pa.schema([("v", pa.list_(pa.timestamp("ns")))]))
    for year in (2200, 2500):
        table = pa.table({"v": pa.array([[dt.datetime(year, 1, 1)]])})
        pq.write_table(table, tmp_path / "x.parquet", use_deprecated_int96_timestamps=True)
        if year == 2200:
            assert read_table(tmp_path / "x.parquet", contract)["v"].tolist()[0][0].year == year
        else:
            with pytest.raises(ReadError, match="outside the range of nanoseconds"):
                read_table(tmp_path / "x.parquet", contract)


def test_partition_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "v=%FF"
    folder.mkdir()
    with pytest.raises(ReadError, match="no UTF-8"):
        read(folder / "x.csv", "a\n1\n", {"a": INTEGER, "v": TEXT})


@pytest.mark.parametrize("pattern", ["[^a]*.csv", "[!]x]*.csv", "[z-a]*.csv", "[[]*.csv", "[a||b]*.csv", "**a1.csv"])
def test_pattern_means_the_same_on_disk_and_in_s3(
    pattern: str, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"pattern-{abs(hash(pattern))}"
    client = s3_server.client()
    client.create_bucket(Bucket=bucket)
    for name in ("a1", "b1", "^1", "[1", "|1", "deep/a1"):
        path = tmp_path / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"a\n{name}\n")
        client.put_object(Bucket=bucket, Key=f"t/{name}.csv", Body=path.read_bytes())
    contract = DatasetContract("things", pa.schema([("a", TEXT)]))

    def found(place: str) -> Any:
        try:
            return read_table(f"{place}/{pattern}", contract)["a"].tolist()
        except ReadError as error:
            return "matches no file" in str(error)

    assert found(str(tmp_path)) == found(f"s3://{bucket}/t")


def test_compressed_file_that_is_named_as_text_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="not text but gzip data"):
        read(tmp_path / "x.csv", gzip.compress(b"a\n1\n"), {"a": INTEGER})
