"""Local files: every way in which one can be broken is a clear error or the right frame."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
import time
from pathlib import Path

import pandas as pd
import pandas.testing
import pyarrow as pa
import pytest

from loaders import ConfigError, ContractError, DatasetContract, FormatOptions, ReadError, read_table
from loaders.clients import local
from loaders.conforming import conform
from loaders.contracts import MARKETING_SPEND
from tests.reading.conftest import FORMATS, ORDERS, encoded, orders

TEXTS = DatasetContract("texts", pa.schema([pa.field("id", pa.int64(), nullable=False), ("text", pa.string())]))
HEADER = b"week,spend,signups\n"


def texts(tmp_path: Path, data: bytes, name: str = "texts.csv", **options: object) -> list[object]:
    (tmp_path / name).write_bytes(data)
    contract = DatasetContract("texts", TEXTS.schema, format=FormatOptions(**options))  # type: ignore[arg-type]
    return [None if pd.isna(value) else value for value in read_table(tmp_path / name, contract)["text"]]


def error(path: Path, contract: DatasetContract = MARKETING_SPEND) -> str:
    with pytest.raises(ReadError) as caught:
        read_table(path, contract)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "is empty: not even a header"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"\xef\xbb\xbf", "is empty"),
        ("a.jsonl", b"", "is empty"),
        ("a.parquet", b"", "it is empty"),
        ("a.feather", b"", "is empty"),
        ("a.csv.gz", b"", "is not gzip data"),
        ("a.csv", HEADER + b"2024-01-01,1\n", "rows of unequal length: its header has 3 fields, row 2 has 2"),
        ("a.csv", HEADER + b"2024-01-01,1,2,3\n", "row 2 has 4"),
        ("a.csv", HEADER + b"2024-01-01,1,2\n2024-01-08,1", "row 3 has 2"),
        ("a.csv", b"week,spend,signups,note\n2024-01-01,1,2,\xff\n", "is not UTF-8: byte 39, in line 2, is 0xff"),
        ("a.csv", b"w\xe9ek,spend\n", "is not UTF-8"),
        ("a.csv", b"\xff\xfew\0e\0", "is UTF-16, not UTF-8"),
        ("a.csv", b"PAR1" + b"\0" * 30, "contains parquet"),
        ("a.jsonl", b'{"week": "2024-01-01"\n', "line 1 is not JSON"),
        ("a.jsonl", b"3\n", "line 1 is not an object"),
        ("a.json", b'[\n  {"week": "2024-01-01"}\n]\n', "line 1 begins an array. Write one object per line"),
        ("a.jsonl", b'{"week": "2024-01-01", "spend": 1, "signups": 1}\n{"week": "20', "line 2 is not JSON"),
        ("a.parquet", b"PAR1 and something else entirely", "its footer is missing"),
        ("a.parquet", b"PAR1" + b"\1" * 40 + b"\x10\0\0\0PAR1", "damaged"),
        ("a.feather", b"ARROW1\0\0" + b"\1" * 40, "not a complete Arrow file"),
        ("a.feather", b"FEA1" + b"\1" * 40, "Feather version 1"),
        ("a.csv.gz", gzip.compress(HEADER, mtime=0)[:-4], "damaged or ends early"),
        ("a.csv.bz2", bz2.compress(HEADER)[:-4], "damaged or ends early"),
        ("a.csv.xz", lzma.compress(HEADER)[:-4], "damaged or ends early"),
        ("a.csv.zst", pa.compress(HEADER * 100, "zstd", asbytes=True)[:-4], "damaged or ends early"),
        ("a.csv.gz", HEADER, "is not gzip data"),
        ("a.dat", HEADER, "cannot be recognized by its name"),
    ],
)
def test_a_broken_file_is_a_clear_error(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert said in error(tmp_path / name)


@pytest.mark.parametrize("format_name", ["parquet", "feather"])
def test_every_truncation_is_an_error_or_the_right_frame(format_name: str, tmp_path: Path) -> None:
    whole = encoded(orders(20), format_name)
    path = tmp_path / f"orders.{format_name}"
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        error(path, ORDERS)


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_an_arrow_stream_is_read_to_its_end_or_refused(compression: str | None, tmp_path: Path) -> None:
    # The last eight bytes of the values look like the end of a stream.
    table = pa.table({"id": pa.array([1, -1, 0xFFFFFFFF], pa.int64()), "text": ["a", None, "b"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table.select(["id", "text"]), max_chunksize=1)
    whole = sink.getvalue().to_pybytes()
    path = tmp_path / "stream.arrow"
    path.write_bytes(whole)
    assert read_table(path, TEXTS)["id"].tolist() == [1, -1, 0xFFFFFFFF]
    assert len(read_table(path, TEXTS, columns=[])) == 3
    for broken in (*(whole[:length] for length in range(len(whole))), whole + whole, whole + b"\0", whole + b"garbage"):
        path.write_bytes(broken)
        error(path, TEXTS)
    path.write_bytes(whole + whole)
    assert "more bytes follow its end" in error(path, TEXTS)
    path.write_bytes(whole[:-8])
    assert "its end is missing" in error(path, TEXTS)


@pytest.mark.parametrize("is_file", [False, True])
def test_a_column_name_that_is_no_text_is_an_error(is_file: bool, tmp_path: Path) -> None:
    table = pa.table({"NAME": [1]})
    sink = pa.BufferOutputStream()
    with (pa.ipc.new_file if is_file else pa.ipc.new_stream)(sink, table.schema) as writer:
        writer.write_table(table)
    (tmp_path / "a.arrow").write_bytes(sink.getvalue().to_pybytes().replace(b"NAME", b"NA\xff\xfe"))
    assert "is not a complete Arrow file" in error(tmp_path / "a.arrow", TEXTS)


@pytest.mark.parametrize("format_name", ["parquet", "csv.gz"])
def test_flipped_bits_are_an_error_or_the_right_frame(format_name: str, tmp_path: Path) -> None:
    whole = bytearray(encoded(orders(20), format_name))
    expected = conform(orders(20), ORDERS, location="memory")
    path = tmp_path / f"orders.{format_name}"
    # Of a Parquet file the pages, which have checksums; nothing guards its footer.
    for position in range(4, len(whole) // 3, 11):
        whole[position] ^= 0x10
        path.write_bytes(whole)
        whole[position] ^= 0x10
        try:
            found = read_table(path, ORDERS)
        except (ReadError, ContractError):
            continue
        pandas.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("data", [HEADER, HEADER.strip(), b"\xef\xbb\xbf" + HEADER])
def test_a_csv_of_only_a_header_has_no_rows(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    frame = read_table(tmp_path / "a.csv", MARKETING_SPEND)
    assert len(frame) == 0
    assert dict(frame.dtypes) == MARKETING_SPEND.dtypes


def test_byte_order_marks_line_ends_and_empty_lines_change_nothing(tmp_path: Path) -> None:
    assert texts(tmp_path, b"\xef\xbb\xbfid,text\r\n1,a\r\n\r\n2,b") == ["a", "b"]
    assert texts(tmp_path, b'\xef\xbb\xbf{"id": 1, "text": "a"}\r\n\r\n{"id": 2}', "a.jsonl") == ["a", None]


def test_texts_come_back_as_they_are(tmp_path: Path) -> None:
    values = ["NA", "null", "", " a ", "1", "a,b", 'say "x"', "two\nlines", "nul\0byte", "ü😀", "\r"]
    lines = "".join('{},"{}"\n'.format(i, value.replace('"', '""')) for i, value in enumerate(values))
    assert texts(tmp_path, b"id,text\n" + lines.encode()) == values


def test_only_unquoted_null_texts_are_null(tmp_path: Path) -> None:
    assert texts(tmp_path, b'id,text\n1,\n2,""\n3,NA\n') == [None, "", "NA"]
    assert texts(tmp_path, b'id,text\n1,\n2,"NA"\n3,NA\n', null_values=("NA",)) == ["", "NA", None]
    assert texts(tmp_path, b"id,text\n1,\n2,NA\n", null_values=()) == ["", "NA"]


def test_a_quoted_null_text_is_null_in_a_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER + b'"2024-01-01","","3"\n"2024-01-08","1.5",""\n')
    frame = read_table(tmp_path / "a.csv", MARKETING_SPEND)
    assert frame["signups"].tolist() == [3, pd.NA]


def test_a_line_end_in_quotes_may_fall_on_any_block_border(tmp_path: Path) -> None:
    values = [f'{"x" * (i % 50)}\n\n,"' for i in range(200_000)]
    lines = "".join('{},"{}"\n'.format(i, value.replace('"', '""')) for i, value in enumerate(values))
    assert texts(tmp_path, b"id,text\n" + lines.encode()) == values


@pytest.mark.parametrize("cut", ['1,"x\n2,y\n', '1,x\n2,"', '1,"5"" x', '1,"x\n'])
def test_a_csv_that_ends_within_quotes_is_an_error(cut: str, tmp_path: Path) -> None:
    contract = DatasetContract("two", pa.schema([("a", pa.int64()), ("b", pa.string())]))
    path = tmp_path / "cut.csv"
    path.write_text("a,b\n" + cut)
    for columns in (None, ["a"], []):
        with pytest.raises(ReadError, match="ends within quotes"):
            read_table(path, contract, columns=columns)


def test_quotes_left_open_are_found_beside_a_repeated_name(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv"
    path.write_text('id,text,note,note\n1,x,n,m\n2,y,n,"cut here\n3,z,n,m\n')
    with pytest.raises(ReadError, match="ends within quotes"):
        read_table(path, TEXTS)


@pytest.mark.parametrize("columns", [None, [], ["id"]])
def test_a_file_is_wrong_whichever_columns_are_asked_for(columns: list[str] | None, tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("id,text\n1,decimal\n2,UTF8,invalid UTF8 data\n")
    with pytest.raises(ReadError, match="row 3 has 3"):
        read_table(path, TEXTS, columns=columns)


def test_blank_lines_before_a_header_are_none(tmp_path: Path) -> None:
    (tmp_path / "blank.csv").write_text("\n\nid\n1\n")
    contract = DatasetContract("ids", pa.schema([("id", pa.int64())]))
    assert read_table(tmp_path / "blank.csv", contract)["id"].tolist() == [1]


@pytest.mark.parametrize(
    ("arrow_type", "text"),
    [
        (pa.int64(), "0x10"),
        (pa.int8(), "0xFF"),
        (pa.float64(), "nan(1)"),
        (pa.float64(), "1e999"),
        (pa.decimal128(5, 2), "99999"),
        (pa.decimal128(38, 10), "1E30"),
        (pa.decimal128(15, 2), "0.001"),
    ],
)
def test_what_arrow_would_read_as_something_else_is_refused(arrow_type: pa.DataType, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n{text},1.0\n")
    for names in (["a"], ["a", "b"]):
        contract = DatasetContract("ds", pa.schema([("a", arrow_type), ("b", pa.int64())]))
        with pytest.raises(ContractError, match="in row 1"):
            read_table(tmp_path / "a.csv", contract, columns=names)


@pytest.mark.parametrize("other", ["1", "1.0"])
@pytest.mark.parametrize("arrow_type", [pa.binary(), pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_quotes_around_nothing_are_an_empty_value_beside_whatever(
    arrow_type: pa.DataType, other: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(f'a,b\n"",{other}\n,{other}\n')
    contract = DatasetContract("ds", pa.schema([("a", arrow_type), ("b", pa.int64())]))
    assert read_table(tmp_path / "a.csv", contract)["a"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("row", "text"),
    [('1,5" pipe\n', '5" pipe'), ('1,5"', '5"'), ('1,"5"" pipe"', '5" pipe'), ('1,"5"""\n', '5"'), ('1,""""', '"')],
)
def test_quotes_within_a_field_are_text(row: str, text: str, tmp_path: Path) -> None:
    contract = DatasetContract("two", pa.schema([("a", pa.int64()), ("b", pa.string())]))
    path = tmp_path / "inches.csv"
    path.write_text("a,b\n" + row)
    assert read_table(path, contract)["b"].tolist() == [text]


def test_delimiters_quotes_and_encodings_are_those_of_the_contract(tmp_path: Path) -> None:
    assert texts(tmp_path, b"id;text\n1;'a;b'\n", delimiter=";", quote_char="'") == ["a;b"]
    assert texts(tmp_path, b'id|text\n1|"a\n', delimiter="|", quote_char="") == ['"a']
    assert texts(tmp_path, b"id\ttext\n1\ta,b\n", "a.tsv") == ["a,b"]
    assert texts(tmp_path, "id,text\n1,é\n".encode("latin-1"), encoding="latin-1") == ["é"]
    assert texts(tmp_path, "id,text\n1,é\n".encode("utf-16"), encoding="utf-16") == ["é"]
    assert texts(tmp_path, b'{"id": 1, "text": "a"}\n', "a.dat", format="jsonl") == ["a"]
    assert texts(tmp_path, gzip.compress(b"id,text\n1,a\n"), "a.csv", compression="gzip") == ["a"]
    assert texts(tmp_path, b"id,text\n1,a\n", "a.csv.gz", compression="none") == ["a"]


COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize(("suffix", "padding"), [("gz", b"\0"), ("bz2", b""), ("xz", b"\0" * 4), ("zst", b"")])
def test_several_streams_are_one_file(suffix: str, padding: bytes, tmp_path: Path) -> None:
    compress = COMPRESS[suffix]
    data = compress(b"id,text\n1,a\n") + padding + compress(b"2,b\n") + 3 * padding
    assert texts(tmp_path, data, f"a.csv.{suffix}") == ["a", "b"]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_what_follows_the_first_stream_is_a_whole_stream_or_an_error(suffix: str, tmp_path: Path) -> None:
    whole, second = COMPRESS[suffix](b"id,text\n1,a\n"), COMPRESS[suffix](b"2,b\n")
    damaged = bytearray(second)
    damaged[len(second) // 2] ^= 255
    path = tmp_path / f"a.csv.{suffix}"
    for rest in (bytes(damaged), second[:-1], second[:5], b"garbage", b"\0garbage", b"\0\0\0\0garbage"):
        path.write_bytes(whole + rest)
        # A byte of zstd's text may be altered: nothing need guard it.
        if rest != damaged or suffix != "zst":
            assert "damaged or ends early" in error(path, TEXTS)
    if suffix in ("bz2", "xz"):
        path.write_bytes(whole + b"\0\0\0")
        assert "damaged or ends early" in error(path, TEXTS)


def test_a_zstd_file_may_begin_with_a_frame_to_be_skipped(tmp_path: Path) -> None:
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0size"
    frames = [skipped + COMPRESS["zst"](text) for text in (b"id,text\n1,a\n", b"2,b\n")]
    assert texts(tmp_path, b"".join(frames), "a.csv.zst") == ["a", "b"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"2024-01-01,abc,1", "spend: text that is not a valid float64; 1 row: 'abc' in row 1"),
        (b"2024-01-01,1e999,1", "'1e999' in row 1"),
        (b"2024-01-01,1,1.5", "signups: text that is not a valid int64; 1 row: '1.5' in row 1"),
        (b"2024-01-01,1,9223372036854775808", "'9223372036854775808' in row 1"),
        (b"2024-02-30,1,1", "week: text that is not a valid date32; 1 row: '2024-02-30' in row 1"),
        (b"01/02/2024,1,1", "'01/02/2024' in row 1"),
        (b"2024-01-01 12:00,1,1", "'2024-01-01 12:00' in row 1"),
        (b",1,1", "week: null in a column that is not nullable; 1 row: null in row 1"),
        (b"2024-01-01,-1,1", "spend: below the minimum 0; 1 row: -1.0 in row 1"),
        (b"2024-01-01,1,yes", "'yes' in row 1"),
    ],
)
def test_a_value_that_does_not_fit_is_named(row: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER + row + b"\n")
    with pytest.raises(ContractError) as caught:
        read_table(tmp_path / "a.csv", MARKETING_SPEND)
    assert said in str(caught.value)
    assert "Rows count from 1; a header is not counted." in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"week": "2024-01-01", "spend": "1", "signups": 1}', "spend: expected float64, found text"),
        ('{"week": "2024-01-01", "spend": 1, "signups": "1"}', "signups: expected int64, found text"),
        ('{"week": "2024-01-01", "spend": 1, "signups": 1.5}', "'1.5' in row 1"),
        ('{"week": "2024-01-01", "spend": 1, "signups": true}', "found bool"),
        ('{"week": 5, "spend": 1, "signups": 1}', "week: expected date32, found number"),
        ('{"week": "2024-01-01T00:00:00Z", "spend": 1, "signups": 1}', "text that is not a valid date32"),
        ('{"week": "2024-01-01", "spend": 1}', "lacks 'signups'"),
    ],
)
def test_a_json_value_that_does_not_fit_is_named(row: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(row + "\n")
    with pytest.raises(ContractError) as caught:
        read_table(tmp_path / "a.jsonl", MARKETING_SPEND)
    assert said in str(caught.value)


def test_a_local_time_is_never_taken_from_an_instant(tmp_path: Path) -> None:
    contract = DatasetContract("one", pa.schema([("value", pa.timestamp("us"))]))
    for name, data in (("a.csv", "value\n2024-01-01T00:00:00Z\n"), ("a.jsonl", '{"value": "2024-01-01T00:00:00Z"}\n')):
        (tmp_path / name).write_text(data)
        with pytest.raises(ContractError, match="text that is not a valid timestamp"):
            read_table(tmp_path / name, contract)


def test_a_million_wrong_rows_are_a_short_report(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"id,text\n" + b"x,y\n" * 1_000_000)
    started = time.monotonic()
    with pytest.raises(ContractError, match="id: text that is not a valid int64; 1000000 rows: 'x' in row 1") as caught:
        read_table(tmp_path / "a.csv", TEXTS)
    assert len(str(caught.value)) < 600
    assert time.monotonic() - started < 10


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    assert "No file" in error(tmp_path / "missing.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "gone.csv")
    assert "is a link to" in error(tmp_path / "link.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is a FIFO" in error(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder without parts" in error(tmp_path / "folder.csv")
    assert "matches no file" in error(tmp_path / "*.parquet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(HEADER)
    (tmp_path / "a.csv").chmod(0)
    assert "No permission to read" in error(tmp_path / "a.csv")


def test_other_protocols_than_allowed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Source '\w+' reads only s3:// locations; found './x\.csv'"):
        read_table("./x.csv", MARKETING_SPEND, allow=("s3",))
    with pytest.raises(ConfigError, match=r"reads only local files; found 's3://bucket/x\.csv'"):
        read_table("s3://bucket/x.csv", MARKETING_SPEND, allow=("file",))


def test_secrets_in_a_location_are_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read_table("https://me:secret@host/a.csv?X-Amz-Signature=abc", MARKETING_SPEND, allow=("file",))
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("how", ["appended", "rewritten", "rewritten with its old time", "truncated"])
def test_a_file_that_changes_while_it_is_read_is_noticed(
    how: str, format_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"orders.{format_name}"
    path.write_bytes(encoded(orders(100), format_name))
    status = path.stat()

    def change() -> None:
        time.sleep(0.01)  # a clock tick of the file system
        data = path.read_bytes()
        with path.open("r+b") as file:
            if how == "truncated":
                file.truncate(len(data) // 2)
            else:
                file.write(data if how == "appended" else data[::-1])
            if how == "appended":
                file.write(b"more")
        if how == "rewritten with its old time":
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    read_ranges = local.LocalFile.read_ranges

    def read_and_change(self: local.LocalFile, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        found = read_ranges(self, ranges)
        change()
        return found

    monkeypatch.setattr(local.LocalFile, "read_ranges", read_and_change)
    with pytest.raises(ReadError, match="changed while it was read"):
        read_table(path, ORDERS)


def test_a_file_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(encoded(orders(100), "csv"))
    read_ranges = local.LocalFile.read_ranges

    def replace_and_read(self: local.LocalFile, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        (tmp_path / "new.csv").write_bytes(encoded(orders(5), "csv"))
        (tmp_path / "new.csv").rename(path)
        return read_ranges(self, ranges)

    monkeypatch.setattr(local.LocalFile, "read_ranges", replace_and_read)
    assert len(read_table(path, ORDERS)) == 100


def test_a_file_under_a_busy_writer_is_never_half_of_two_versions(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    versions = [encoded(orders(2000, seed=seed), "csv") for seed in (1, 2)]
    frames = [conform(orders(2000, seed=seed), ORDERS, location="memory") for seed in (1, 2)]
    path.write_bytes(versions[0])
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path.write_bytes(versions[number % 2])

    writer = threading.Thread(target=write)
    writer.start()
    outcomes = set()
    try:
        for _ in range(60):
            try:
                found = read_table(path, ORDERS)
            except ReadError:
                outcomes.add("error")
            else:
                assert any(found.equals(frame) for frame in frames)
                outcomes.add("frame")
    finally:
        stop.set()
        writer.join()
    assert outcomes
