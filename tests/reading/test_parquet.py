"""Parquet: whatever its row groups and columns are like, only what is needed is fetched, and every value comes."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import ContractError, DatasetContract, ReadError, read_table
from loaders.clients import local
from loaders.conforming import conform
from loaders.errors import LoaderError
from loaders.formats import parquet_footer

ROWS = 30_000
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("word", pa.string()),
        ("text", pa.string()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
        ("tags", pa.list_(pa.string())),
        ("ratio", pa.float64()),
        ("point", pa.struct([("x", pa.int32()), ("y", pa.string())])),
    ]
)
# In the file its name looks like a path into a nested column.
CONTRACT = DatasetContract("things", SCHEMA, key=("id",), source_names={"ratio": "a.b"})
WORDS = ["north", "", None, "süd", "a much longer word than the others"]


def things(rows: int = ROWS) -> pa.Table:
    numbers = range(rows)
    columns = {
        "id": list(numbers),
        "word": [WORDS[number % 5] for number in numbers],
        "text": [None if number % 11 == 0 else f"text {number * 7919}" for number in numbers],
        "kind": [WORDS[number % 3] for number in numbers],
        "tags": [["x"] * (number % 3) for number in numbers],
        "ratio": [number / 7 for number in numbers],
        "point": [{"x": number, "y": None if number % 2 else str(number)} for number in numbers],
    }
    table = pa.table({name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()})
    return table.rename_columns([CONTRACT.source_name(name) for name in table.column_names])


def written(path: Path, rows: int = ROWS, **options: object) -> pd.DataFrame:
    """Write the file, and return the frame that it is to give."""
    pq.write_table(things(rows), path, **options)
    return conform(things(rows), CONTRACT, location="memory")


@pytest.mark.parametrize("rows", [0, 1, ROWS])
@pytest.mark.parametrize("group_rows", [1000, 7001, 1 << 20])
@pytest.mark.parametrize("use_dictionary", [True, False, ["word"]])
def test_every_value_comes_whatever_the_row_groups(
    rows: int, group_rows: int, use_dictionary: object, tmp_path: Path
) -> None:
    path = tmp_path / "things.parquet"
    whole = written(path, rows, row_group_size=group_rows, use_dictionary=use_dictionary)
    pd.testing.assert_frame_equal(read_table(path, CONTRACT), whole)
    names = ["point", "word", "ratio"]
    pd.testing.assert_frame_equal(read_table(path, CONTRACT, columns=names), whole[["word", "ratio", "point"]])
    assert len(read_table(path, CONTRACT, columns=[])) == rows


def test_a_sound_file_is_read_in_whatever_words_arrow_speaks_of_missing_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "things.parquet"
    whole = written(path)
    monkeypatch.setattr(parquet_footer, "_MISSING_CHUNK", "other words")
    pd.testing.assert_frame_equal(read_table(path, CONTRACT), whole)


def test_a_dictionary_that_was_given_up_within_a_file_changes_nothing(tmp_path: Path) -> None:
    """Writers turn to plain values where a dictionary grows too large."""
    path = tmp_path / "things.parquet"
    whole = written(path, row_group_size=9000, dictionary_pagesize_limit=20_000)
    pd.testing.assert_frame_equal(read_table(path, CONTRACT), whole)


@pytest.mark.parametrize("names", [["id"], ["word"], ["text", "word"], ["tags", "id"], ["point"]])
def test_what_is_fetched_is_at_most_a_tenth_more_than_what_is_needed(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "things.parquet"
    whole = written(path, 300_000, row_group_size=50_000)
    fetched: list[tuple[int, int]] = []
    read_ranges = local.LocalFile.read_ranges

    def noted(self: local.LocalFile, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        fetched.extend(ranges)
        return read_ranges(self, ranges)

    monkeypatch.setattr(local.LocalFile, "read_ranges", noted)
    frame = read_table(path, CONTRACT, columns=names)
    pd.testing.assert_frame_equal(frame, whole[list(frame)])
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(position) for group in groups for position in range(group.num_columns)]
    needed = sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)
    assert sum(end - start for start, end in fetched) <= 1.1 * (needed + metadata.serialized_size + 8) + (64 << 10)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(sorted(fetched)))


def test_every_flipped_bit_of_a_footer_is_an_error_or_the_right_frame(tmp_path: Path) -> None:
    path = tmp_path / "things.parquet"
    whole = written(path, row_group_size=10_000, use_dictionary=False)
    good = path.read_bytes()
    assert len(good) > 64 << 10
    footer = int.from_bytes(good[-8:-4], "little") + 8
    for place in range(len(good) - footer, len(good), 37):
        flipped = bytearray(good)
        flipped[place] ^= 0x21
        path.write_bytes(flipped)
        try:
            frame = read_table(path, CONTRACT, columns=["id", "text"])
        except (ReadError, LoaderError):
            continue
        pd.testing.assert_frame_equal(frame, whole[["id", "text"]])


def test_a_struct_with_a_dot_in_its_name_is_found(tmp_path: Path) -> None:
    contract = DatasetContract(
        "dotted", pa.schema([("pair", pa.struct([("c", pa.int64())]))]), source_names={"pair": "a.b"}
    )
    path = tmp_path / "dotted.parquet"
    values = [{"c": number * 7919} for number in range(20_000)]
    pq.write_table(pa.table({"a.b": values, "other": [str(value) for value in values]}), path)
    assert len(read_table(path, contract)) == 20_000


@pytest.mark.parametrize("year", [1, 1600, 2024, 9999])
def test_old_timestamps_never_wrap_around(year: int, tmp_path: Path) -> None:
    moment = dt.datetime(year, 12, 31, 23, 59, 59, 999999)
    path = tmp_path / "old.parquet"
    table = pa.table({"at": pa.array([moment, None], pa.timestamp("us"))})
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    fine, coarse = (DatasetContract("old", pa.schema([("at", pa.timestamp(unit))])) for unit in ("ns", "us"))
    assert read_table(path, coarse)["at"].dt.to_pydatetime()[0] == moment
    if year == 2024:
        assert read_table(path, fine)["at"][0] == pd.Timestamp(moment)
        return
    with pytest.raises(ContractError, match="in row 1"):
        read_table(path, fine)


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """Nothing in the format guards it, and whoever touched it later would fail."""
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\3\0\0\0"), pa.py_buffer(b"x\xff\xfe")]
    )
    contract = DatasetContract("texts", pa.schema([("text", pa.string())]))
    for use_dictionary in (True, False):
        pq.write_table(pa.table({"text": bad}), tmp_path / "bad.parquet", use_dictionary=use_dictionary)
        with pytest.raises(ReadError, match="'text' holds text that is not UTF-8"):
            read_table(tmp_path / "bad.parquet", contract)


def test_encrypted_columns_are_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    import pyarrow.parquet.encryption as pe

    class Keys(pe.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return b"wrapped"

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return b"0123456789012345"

    for plaintext_footer, said in ((True, "encrypt|decrypt"), (False, "is encrypted Parquet")):
        configuration = pe.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["id"]}, plaintext_footer=plaintext_footer
        )
        properties = pe.CryptoFactory(lambda _: Keys()).file_encryption_properties(
            pe.KmsConnectionConfig(), configuration
        )
        path = tmp_path / "secret.parquet"
        pq.write_table(pa.table({"id": [1], "word": ["x"]}), path, encryption_properties=properties)
        secret, open_to_all = (
            DatasetContract("secret", pa.schema([field])) for field in (("id", pa.int64()), ("word", pa.string()))
        )
        with pytest.raises(ReadError, match=said):
            read_table(path, secret)
        if plaintext_footer:
            assert list(read_table(path, open_to_all)["word"]) == ["x"]


def test_no_flipped_bit_of_a_footer_ends_the_process(tmp_path: Path) -> None:
    """Arrow lets some of its exceptions out of C++ where one looks at a damaged column."""
    path = tmp_path / "small.parquet"
    contract = DatasetContract("lists", pa.schema([("l", pa.list_(pa.int64()))]))
    pq.write_table(pa.table({"l": pa.array([[1], [2]])}), path)
    good = path.read_bytes()
    footer = int.from_bytes(good[-8:-4], "little") + 8
    for place in range(len(good) - footer, len(good) - 8):
        for flip in (0x01, 0x02, 0x40):
            damaged = bytearray(good)
            damaged[place] ^= flip
            path.write_bytes(damaged)
            with contextlib.suppress(LoaderError):
                read_table(path, contract)
