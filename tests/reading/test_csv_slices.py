"""A CSV is cut only where a row begins, and comes back the same wherever it is cut."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders import ContractError, DatasetContract, read_table
from loaders.formats import csv_reader
from loaders.formats.csv_slices import Quoting, safe_block_bytes, slices

PIECES = st.sampled_from(["a", "bb", '"', '""', ",", "\n", "\r\n", "\r", " ", "'", '"\n"', '",', "é"])
CELLS = st.lists(PIECES, max_size=6).map("".join)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def quoted(cell: str, *, always: bool) -> str:
    return '"' + cell.replace('"', '""') + '"' if always or set(cell) & set('",\r\n') else cell


def stray(cell: str) -> str:
    """The cell as a writer leaves it that quotes nothing, with quotes of its own but none in front."""
    return "".join(character for character in cell if character not in ",\r\n").lstrip('"')


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Files of two columns, well quoted, badly quoted, or both."""
    line_end = draw(LINE_ENDS)
    write = st.sampled_from([lambda cell: quoted(cell, always=False), lambda cell: quoted(cell, always=True), stray])
    rows = draw(st.lists(st.tuples(CELLS, CELLS), max_size=20))
    lines = ["c0,c1", *(",".join(draw(write)(cell) for cell in row) for row in rows)]
    return (line_end.join(lines) + draw(st.sampled_from(["", line_end]))).encode()


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline="")))


@given(files(), st.integers(1, 60))
def test_each_slice_begins_with_a_row(data: bytes, size_bytes: int) -> None:
    found = slices(memoryview(data), 0, Quoting(",", '"'), size_bytes)
    if found is None:
        return
    assert b"".join(data[start:end] for start, end in found) == data
    assert [row for start, end in found for row in rows_of(data[start:end])] == rows_of(data)


def test_rows_that_surely_end_are_cut_about_as_large_as_asked_for() -> None:
    data = "".join(f'{number},"some, text"\r\n' for number in range(10_000)).encode()
    found = slices(memoryview(data), 0, Quoting(",", '"'), 1000)
    assert found is not None
    assert all(1000 <= end - start < 1100 for start, end in found[:-1])


def test_without_quotes_every_line_end_is_one() -> None:
    assert slices(memoryview(b'a,"b\nc,d\n'), 0, Quoting(",", ""), 1) == [(0, 5), (5, 9)]


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n"]), max_size=60).map(b"".join), st.integers(1, 20))
def test_safe_blocks_part_no_line_end(data: bytes, size_bytes: int) -> None:
    safe = safe_block_bytes(memoryview(data), size_bytes)
    assert safe >= size_bytes
    assert not any(data[end - 1 : end + 1] == b"\r\n" for end in range(safe, len(data), safe))


TEXTS = pa.schema([pa.field("id", pa.int64(), nullable=False), ("text", pa.string()), ("last", pa.string())])


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", ['""', '"x"', "", '","'])
@pytest.mark.parametrize("slice_bytes", [1, 7, 64, 1000, 1 << 20])
def test_a_frame_is_the_same_wherever_its_file_is_cut(
    slice_bytes: int, last: str, line_end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether rows can be told by their last field or not, and whatever a value's line ends are."""
    monkeypatch.setattr(csv_reader, "_SLICE_BYTES", slice_bytes)
    values = [f'{"x" * (number % 9)}\r\n,"\r{number}\n' for number in range(300)]
    lines = ["id,text,last", *(f"{number},{quoted(value, always=True)},{last}" for number, value in enumerate(values))]
    path = tmp_path / "texts.csv"
    path.write_bytes((line_end.join(lines) + line_end).encode())
    frame = read_table(path, DatasetContract("texts", TEXTS))
    assert frame["id"].tolist() == list(range(300))
    assert frame["text"].tolist() == values
    assert frame["last"].isna().all() if not last else (frame["last"] == last[1:-1]).all()


def test_a_wrong_value_in_a_later_slice_has_the_row_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "_SLICE_BYTES", 100)
    path = tmp_path / "numbers.csv"
    path.write_text("id,text,last\n" + "".join(f"{number},a,b\n" for number in range(500)) + "many,a,b\n")
    with pytest.raises(ContractError, match="'many' in row 501"):
        read_table(path, DatasetContract("texts", TEXTS))


def test_empty_lines_of_a_single_column_are_nulls_in_every_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = DatasetContract("one", pa.schema([("text", pa.string())]))
    path = tmp_path / "one.csv"
    path.write_bytes(b"text\r\n" + b"a\r\n\r\n" * 100)
    for slice_bytes in (1, 2, 3, 10, 1000):
        monkeypatch.setattr(csv_reader, "_SLICE_BYTES", slice_bytes)
        found = read_table(path, contract)["text"]
        assert [None if pd.isna(value) else value for value in found] == ["a", None] * 100


def test_a_mark_at_the_beginning_of_a_row_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow takes it for a byte-order mark at the beginning of whatever it parses."""
    path = tmp_path / "marks.csv"
    path.write_text("id,text,last\n" + "".join(f"{number},a,b\n\ufeff{number},a,b\n" for number in range(50)))
    contract = DatasetContract("marks", pa.schema([("id", pa.string())]))
    for slice_bytes in (1, 7, 20):
        monkeypatch.setattr(csv_reader, "_SLICE_BYTES", slice_bytes)
        assert read_table(path, contract)["id"].str.startswith("\ufeff").sum() == 50


@pytest.mark.parametrize("last", ["b", '""'])
def test_a_value_may_be_larger_than_many_slices(last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_SLICE_BYTES", 50)
    path = tmp_path / "long.csv"
    value = "lorem ipsum\n" * 5000
    rows = [f"{number},short,{last}\n" for number in range(100)]
    path.write_text("id,text,last\n" + "".join(rows) + f'100,"{value}",{last}\n' + "".join(rows))
    frame = read_table(path, DatasetContract("texts", TEXTS))
    assert frame["text"][100] == value
    assert len(frame) == 201
