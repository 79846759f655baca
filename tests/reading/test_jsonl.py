"""JSON Lines: one object per line, each value exactly of its type at any depth, whichever parser reads it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from loaders import ContractError, DatasetContract, ReadError, read_table
from loaders.conforming import conform

INT, TEXT, DOUBLE = pa.int64(), pa.string(), pa.float64()
REQUIRED = pa.field("item", INT, nullable=False)
UTC = pa.timestamp("s", "UTC")
ONE_INT = DatasetContract("one", pa.schema([("a", INT)]))


def read(path: Path, text: str | bytes, arrow_type: pa.DataType = INT, name: str = "a", **options: Any) -> list[Any]:
    (path / "a.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    contract = DatasetContract("one", pa.schema([(name, arrow_type)]), **options)
    frame = read_table(path / "a.jsonl", contract)
    assert frame[name].dtype == contract.dtypes[name]
    return list(pa.array(frame[name], arrow_type, from_pandas=True).to_pylist())


def refusal(path: Path, text: str | bytes, arrow_type: pa.DataType = INT, **options: Any) -> str:
    with pytest.raises((ReadError, ContractError)) as caught:
        read(path, text, arrow_type, **options)
    assert len(str(caught.value)) < 600
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "arrow_type", "expected"),
    [
        ("[1, 2.0, null]", pa.list_(INT), [1, 2, None]),
        ("[1, 2]", pa.list_(REQUIRED, 2), [1, 2]),
        ("[[], null, [true]]", pa.large_list(pa.list_(pa.bool_())), [[], None, [True]]),
        ("[0.1, NaN, -0]", pa.list_view(pa.float32()), None),
        ('[999.99, "1.5"]', pa.list_(pa.decimal128(5, 2)), [Decimal("999.99"), Decimal("1.50")]),
        ('["2024-02-29"]', pa.list_(pa.date32()), [dt.date(2024, 2, 29)]),
        ('["x", ""]', pa.list_(pa.dictionary(pa.int8(), TEXT)), ["x", ""]),
        ('{"x": 1, "z": 2}', pa.struct([("x", INT), ("y", TEXT)]), {"x": 1, "y": None}),
        ('{"k": 1, "l": null}', pa.map_(TEXT, INT), [("k", 1), ("l", None)]),
        ('[["k", 1]]', pa.map_(TEXT, INT), [("k", 1)]),
        ('[{"key": 1, "value": 2}]', pa.map_(INT, INT), [(1, 2)]),
        ("[1, 2, 3]", pa.month_day_nano_interval(), (1, 2, 3)),
    ],
)
def test_nested_values_are_read(written: str, arrow_type: pa.DataType, expected: Any, tmp_path: Path) -> None:
    found = read(tmp_path, f'{{"a": null}}\n{{"a": {written}}}\n{{}}\n', arrow_type)
    assert found[0] is None
    assert found[2] is None
    assert expected is None or found[1] == expected


@pytest.mark.parametrize(
    ("written", "arrow_type", "said"),
    [
        ("[1.5, 2]", pa.list_(INT), "text that is not a valid int64 (in a.item); 1 row: '1.5' in row 2"),
        ('{"x": 1.5}', pa.struct([("x", INT)]), "text that is not a valid int64 (in a.x); 1 row: '1.5' in row 2"),
        ('{"x": [[1, "2"]]}', pa.struct([("x", pa.list_(pa.list_(INT)))]), "found text (in a.x.item.item); 1 row: '2'"),
        ("[1e999]", pa.list_(DOUBLE), "'1e999' in row 2"),
        ("[99999]", pa.list_(pa.decimal128(5, 2)), "'99999' in row 2"),
        ("[5]", pa.list_(pa.timestamp("s")), "expected timestamp[s], found number (in a.item); 1 row: 5 in row 2"),
        ('["2024-01-01T00:00"]', pa.list_(UTC), "text that is not a valid timestamp[s, tz=UTC] (in a.item)"),
        ('["2024-01-01T00:00Z"]', pa.list_(pa.timestamp("s")), "text that is not a valid timestamp[s] (in a.item)"),
        ('["1"]', pa.list_(INT), "expected int64, found text"),
        ("[1]", pa.list_(TEXT), "expected string, found number"),
        ("[true]", pa.list_(INT), "found bool"),
        ("[1, null]", pa.list_(REQUIRED), "null in a value that is not nullable (in a.item); 1 row: null in row 2"),
        ("{}", pa.struct([pa.field("x", INT, nullable=False)]), "null in a value that is not nullable (in a.x)"),
        ("[1, 2, 3]", pa.list_(INT, 2), "list without exactly 2 items; 1 row: [1, 2, 3] in row 2"),
        ("{}", pa.list_(INT), "found object"),
        ('"x"', pa.map_(TEXT, INT), "found neither an object nor an array of pairs"),
        ('{"1": 2}', pa.map_(INT, INT), "expected int64, found text (in a.key)"),
        ('{"x": 1, "x": 2}', pa.map_(TEXT, INT), "neither an object nor"),
        ('{"x": 1, "x": 2}', pa.struct([("x", INT)]), "object with a name more than once"),
        ('["\\ud800"]', pa.list_(TEXT), "text with half a surrogate pair (in a.item); 1 row: '\\ud800' in row 2"),
        ("99999", pa.decimal128(5, 2), "text that is not a valid decimal128(5, 2); 1 row: '99999' in row 2"),
        ("1E30", pa.decimal128(38, 10), "'1E30' in row 2"),
        ("[1, 2, 3.5]", pa.month_day_nano_interval(), "no month_day_nano_interval"),
        ('"ab"', pa.binary(3), "text that is not 3 bytes long; 1 row: 'ab' in row 2"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_at_any_depth(
    written: str, arrow_type: pa.DataType, said: str, tmp_path: Path
) -> None:
    assert said in refusal(tmp_path, f'{{"a": null}}\n{{"a": {written}}}\n', arrow_type)


def test_unknown_names_in_a_struct_are_refused_where_extra_columns_are(tmp_path: Path) -> None:
    struct = pa.struct([("x", INT)])
    assert read(tmp_path, '{"a": {"x": 1, "z": 2}}', struct) == [{"x": 1}]
    assert "names that are not in struct<x: int64>" in refusal(
        tmp_path, '{"a": {"x": 1, "z": 2}}', struct, extra_columns="refuse"
    )


def test_text_that_is_no_utf8_is_refused_in_any_line(tmp_path: Path) -> None:
    assert "is not UTF-8: byte 18, in line 2, is 0xff" in refusal(tmp_path, b'{"a": "x"}\n{"a": "\xff"}\n', TEXT)
    assert "is not UTF-8" in refusal(tmp_path, b'{"a": "x"}\n{"a": "\xed\xa0\x80"}\n', TEXT)


@pytest.mark.parametrize("columns", [None, [], ["b"]])
@pytest.mark.parametrize(
    ("rest", "line"),
    [
        ("garbage\n", 2),
        ('{"a": 2, "b": 2}{"a": 3, "b": 3}\n', 2),
        ('{"a": 2,\n"b": 2}\n', 2),
        ('{"a": 2, "b": 2}\n{"a": 3, "b": 3}{"a": 4, "b": 4}\n{"a":\n5, "b": 5}\n', 3),
        ("null\n", 2),
        ("\n[]\n", 3),
        ('{"a": ' + "[" * 100_000 + "\n", 2),
        ('{"a": 2, "b": 2}\0{"a": 3, "b": 3}\n', 2),
    ],
)
def test_each_line_is_one_object_whichever_columns_are_read(
    columns: list[str] | None, rest: str, line: int, tmp_path: Path
) -> None:
    contract = DatasetContract("two", pa.schema([("a", INT), ("b", INT)]))
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1, "b": 1}\n' + rest)
    with pytest.raises(ReadError, match=rf"line {line} (is no|begins)"):
        read_table(path, contract, columns=columns)


def test_rows_are_counted_without_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf \t{"a": 1}\r\n\r\n {"b": {"a": 2}} \r\n' + b'{"a":\r3}\n' * 100_000)
    assert len(read_table(path, ONE_INT, columns=[])) == 100_002
    assert read_table(path, ONE_INT)["a"].isna().sum() == 1


@pytest.mark.parametrize("arrow_type", [INT, pa.decimal128(5, 2)])
def test_a_name_that_is_repeated_is_refused_with_its_line(arrow_type: pa.DataType, tmp_path: Path) -> None:
    text = '{"a": 1, "b": 1}\n\n{"a": 1, "b": 2, "a": 3}\n'
    assert "has 'a' more than once in the object of line 3" in refusal(tmp_path, text, arrow_type)
    assert read(tmp_path, text, arrow_type, name="b") == [1, 2]


def test_a_first_line_may_be_long(tmp_path: Path) -> None:
    assert read(tmp_path, '{"b": "' + "x" * (17 << 20) + '", "a": 1}\n{"a": 2}\n') == [1, 2]


@pytest.mark.parametrize("written", ["größe", "gr\\u00f6\\u00dfe", "gr\\u00F6\\u00DFe", "\\u0067röße"])
def test_a_name_that_the_first_line_lacks_is_found_however_it_is_written(written: str, tmp_path: Path) -> None:
    assert read(tmp_path, f'{{"b": 1}}\n{{"{written}": 2}}\n', name="größe") == [None, 2]


def test_a_name_that_is_only_a_value_is_lacking(tmp_path: Path) -> None:
    assert "lacks 'a'; it has 'b'" in refusal(tmp_path, '{"b": "a"}\n{"b": "a"}\n')


def test_numbers_are_read_as_they_are_written(tmp_path: Path) -> None:
    assert read(tmp_path, f'{{"a": {"9" * 36}.25}}\n{{"a": -1E3}}\n{{"a": "2.5"}}\n', pa.decimal128(38, 2)) == [
        Decimal("9" * 36 + ".25"),
        Decimal("-1000.00"),
        Decimal("2.50"),
    ]
    assert "'" + "9" * 50 in refusal(tmp_path, f'{{"a": {"9" * 5000}}}\n')
    assert str(read(tmp_path, '{"a": -0}\n', DOUBLE)) == "[-0.0]"


def test_a_dictionary_with_too_few_codes_is_said_to_be_so(tmp_path: Path) -> None:
    for values, arrow_type in ((map('"{}"'.format, range(200)), TEXT), (range(200), INT)):
        text = "".join(f'{{"a": {value}}}\n' for value in values)
        assert "more distinct values than dictionary" in refusal(tmp_path, text, pa.dictionary(pa.int8(), arrow_type))
    contract = DatasetContract("one", pa.schema([("a", pa.dictionary(pa.int8(), INT))]))
    with pytest.raises(ContractError, match=r"a: more distinct values than dictionary.* has codes$"):
        conform(pd.DataFrame({"a": pd.Series(range(200), dtype=object)}), contract, location="memory")


def test_an_empty_text_in_a_dictionary_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, '{"a": ""}\n{"a": null}\n', pa.dictionary(pa.int8(), TEXT)) == ["", None]
