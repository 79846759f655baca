"""A pandas frame becomes the contract's frame if nothing is lost, and an error that says what would be otherwise."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pandas.testing
import pyarrow as pa
import pytest

from loaders import Check, ConfigError, ContractError, DatasetContract
from loaders.conforming import conform

DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12)
IN_REPEATED_HOUR = dt.datetime(2024, 10, 27, 0, 30, tzinfo=dt.UTC)
LOCALLY = pd.Timestamp(IN_REPEATED_HOUR).tz_convert("Europe/Berlin")


def contract_of(arrow_type: pa.DataType, *, nullable: bool = True, **options: Any) -> DatasetContract:
    return DatasetContract("one", pa.schema([pa.field("value", arrow_type, nullable=nullable)]), **options)


def conformed(values: Any, arrow_type: pa.DataType, *, nullable: bool = True, **options: Any) -> list[Any]:
    contract = contract_of(arrow_type, nullable=nullable, **options)
    found = conform(pd.DataFrame({"value": values}), contract, location="memory")
    assert found["value"].dtype == contract.dtypes["value"]
    assert found.index.equals(pd.RangeIndex(len(found)))
    return [None if pd.isna(value) else value for value in found["value"]]


def refusal(values: Any, arrow_type: pa.DataType, *, nullable: bool = True, **options: Any) -> str:
    with pytest.raises(ContractError) as caught:
        conformed(values, arrow_type, nullable=nullable, **options)
    assert len(str(caught.value)) < 2000
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "arrow_type", "expected"),
    [
        ([1, 2], pa.int64(), [1, 2]),
        ([1.0, np.nan], pa.int64(), [1, None]),
        (pd.array([1, None], "Int32"), pa.int64(), [1, None]),
        (pd.array([1, None], pd.ArrowDtype(pa.int16())), pa.int64(), [1, None]),
        (pd.Series([1, None], dtype=object), pa.int64(), [1, None]),
        (pd.Series([1, np.nan, pd.NA, 2**62 + 1], dtype=object), pa.int64(), [1, None, None, 2**62 + 1]),
        (np.array([3, 4], np.uint8), pa.int64(), [3, 4]),
        (pd.Categorical([5, None, 5]), pa.int64(), [5, None, 5]),
        ([1, 2], pa.float64(), [1.0, 2.0]),
        (pd.array([0.1, None], "Float64"), pa.float64(), [0.1, None]),
        ([0.5, 0.25], pa.float32(), [0.5, 0.25]),
        (["a", None], pa.string(), ["a", None]),
        (pd.Series(["ä", None, np.nan], dtype=object), pa.string(), ["ä", None, None]),
        (pd.Categorical(["x", None]), pa.string(), ["x", None]),
        (["x", "y"], pa.dictionary(pa.int8(), pa.string()), ["x", "y"]),
        ([True, False], pa.bool_(), [True, False]),
        (pd.Series([True, None], dtype=object), pa.bool_(), [True, None]),
        ([DAY, None], pa.date32(), [DAY, None]),
        (pd.to_datetime(["2024-02-29", None]), pa.date32(), [DAY, None]),
        (pd.Series([pd.Timestamp(DAY), pd.NaT], dtype=object), pa.date32(), [DAY, None]),
        (pd.Series([DAY, dt.datetime(2024, 2, 29)], dtype=object), pa.date32(), [DAY, DAY]),
        ([Decimal("1.50"), None], pa.decimal128(5, 2), [Decimal("1.50"), None]),
        ([Decimal("1.5"), Decimal("2")], pa.decimal128(5, 2), [Decimal("1.50"), Decimal("2.00")]),
        ([1, 2], pa.decimal128(5, 2), [Decimal("1.00"), Decimal("2.00")]),
        ([0.25, np.nan], pa.decimal128(5, 2), [Decimal("0.25"), None]),
        (pd.to_datetime([NOON, None]), pa.timestamp("s"), [pd.Timestamp(NOON), None]),
        ([DAY], pa.timestamp("us"), [pd.Timestamp(DAY)]),
        (pd.to_datetime([NOON]).tz_localize("UTC"), pa.timestamp("us", "UTC"), [pd.Timestamp(NOON, tz="UTC")]),
        (pd.to_timedelta(["90s"]), pa.duration("s"), [pd.Timedelta("90s")]),
        ([dt.time(1, 2)], pa.time32("s"), [dt.time(1, 2)]),
        ([b"a", None], pa.binary(), [b"a", None]),
        ([10, 20], pa.decimal128(10, 2), [Decimal(10), Decimal(20)]),
        (pd.Series([0.1, np.float32(2)], dtype=object), pa.decimal128(5, 2), [Decimal("0.10"), Decimal("2.00")]),
        (pd.array([Decimal(7), None], pd.ArrowDtype(pa.decimal128(5, 1))), pa.int16(), [7, None]),
        (pd.array([Decimal("1.5")], pd.ArrowDtype(pa.decimal128(5, 1))), pa.float16(), [1.5]),
        (pd.Series([Decimal(7), Decimal("NaN")], dtype=object), pa.int64(), [7, None]),
        (pd.Series([Decimal("0.1")], dtype=object), pa.float64(), [0.1]),
        (np.array([1.5, np.nan], np.float16), pa.float64(), [1.5, None]),
        (pd.Series([np.datetime64(DAY), np.datetime64("NaT")], dtype=object), pa.date32(), [DAY, None]),
        (pd.Series([np.datetime64(NOON)], dtype=object), pa.timestamp("s"), [pd.Timestamp(NOON)]),
        (pd.Series([np.timedelta64(90, "s")], dtype=object), pa.duration("ms"), [pd.Timedelta("90s")]),
        (pd.Series([IN_REPEATED_HOUR], dtype=object), pa.timestamp("us", "Europe/Berlin"), [LOCALLY]),
        ([np.nan, np.nan], pa.string(), [None, None]),
        (np.array([], dtype=float), pa.timestamp("us", "UTC"), []),
        ([[1, 2]], pa.list_(pa.int64()), [[1, 2]]),
    ],
)
def test_a_representation_that_loses_nothing_is_taken(values: Any, arrow_type: pa.DataType, expected: Any) -> None:
    if pa.types.is_list(arrow_type):
        found = conform(pd.DataFrame({"value": values}), contract_of(arrow_type), location="memory")
        assert list(found["value"][0]) == expected[0]
        return
    assert conformed(values, arrow_type) == expected


@pytest.mark.parametrize(
    ("values", "arrow_type", "said"),
    [
        (["1", "2"], pa.int64(), "expected int64, found text"),
        (pd.Series(["12", 3], dtype=object), pa.int64(), "'12' in row 1"),
        (["1.5"], pa.float64(), "expected float64, found text"),
        (["2024-02-29"], pa.date32(), "expected date32, found text"),
        (["2024-02-29T12:00"], pa.timestamp("us"), "found text"),
        (["1.5"], pa.decimal128(5, 2), "found text"),
        (["true"], pa.bool_(), "found text"),
        ([1, 2], pa.string(), "expected string, found int64"),
        (pd.Series(["a", 1], dtype=object), pa.string(), "1 in row 2"),
        ([1.5, 2.0], pa.int64(), "1.5 in row 1"),
        ([2.0**60], pa.int64(), "in row 1"),
        ([np.inf], pa.int64(), "inf in row 1"),
        ([300], pa.int8(), "300 in row 1"),
        ([-1], pa.uint64(), "-1 in row 1"),
        (pd.Series([2**70], dtype=object), pa.int64(), "in row 1"),
        ([2**53 + 1], pa.float64(), "in row 1"),
        ([0.1], pa.float32(), "0.1 in row 1"),
        ([0.125], pa.decimal128(5, 2), "0.125 in row 1"),
        ([Decimal("1.234")], pa.decimal128(5, 2), "in row 1"),
        ([Decimal("12345.1")], pa.decimal128(5, 2), "in row 1"),
        ([True], pa.int64(), "expected int64, found bool"),
        ([1, 0], pa.bool_(), "expected bool, found int64"),
        (pd.Series([True, 2], dtype=object), pa.int64(), "found bool"),
        (pd.to_datetime([NOON]), pa.date32(), "in row 1"),
        (pd.Series([DAY, NOON], dtype=object), pa.date32(), "in row 2"),
        (pd.to_datetime(["2024-02-29 12:00:00.5"]), pa.timestamp("s"), "in row 1"),
        (pd.to_datetime([NOON]), pa.timestamp("us", "UTC"), "expected timestamp[us, tz=UTC], found timestamp"),
        (pd.to_datetime([NOON]).tz_localize("UTC"), pa.timestamp("us"), "expected timestamp[us], found timestamp"),
        ([1 + 2j], pa.float64(), "found pandas complex128"),
        (pd.period_range("2024", periods=1), pa.date32(), "found extension<pandas.period"),
        (pd.Series(["\ud800"], dtype=object), pa.string(), "in row 1"),
        (pd.Series([1.5], dtype=object), pa.int64(), "1.5 in row 1"),
        (pd.Series([Decimal("1.5")], dtype=object), pa.int64(), "1.5 in row 1"),
        (pd.Series([0.5, 0.1], dtype=object), pa.float32(), "0.1 in row 2"),
        (pd.Series([Decimal("0.1" + "0" * 20 + "1")], dtype=object), pa.float64(), "in row 1"),
        (pd.Series([1.234], dtype=object), pa.decimal128(5, 2), "1.234 in row 1"),
        (pd.Series([pd.Timestamp(1)], dtype=object), pa.timestamp("us"), "in row 1"),
        (pd.Series([pd.Timestamp(1, tz="UTC")], dtype=object), pa.timestamp("us", "UTC"), "in row 1"),
        (pd.Series([pd.Timedelta(1)], dtype=object), pa.duration("us"), "in row 1"),
        (pd.Series([dt.time(1, 2, 3, 4)], dtype=object), pa.time32("s"), "in row 1"),
        (pd.Series([dt.time(1, tzinfo=dt.UTC)], dtype=object), pa.time64("us"), "in row 1"),
        (pd.Series([[1], [1.5]], dtype=object), pa.list_(pa.int64()), "[1.5] in row 2"),
        (pd.Series([{"x": 1, "z": 2}], dtype=object), pa.struct([("x", pa.int64())]), "in row 1"),
    ],
)
def test_a_representation_that_loses_something_is_refused(values: Any, arrow_type: pa.DataType, said: str) -> None:
    message = refusal(values, arrow_type)
    assert "Dataset 'one'" in message
    assert "memory" in message
    assert "value: " in message
    assert said in message


INT, TEXT, DOUBLE = pa.int64(), pa.string(), pa.float64()
REQUIRED = pa.field("item", INT, nullable=False)


def structs(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        ([[1], None, [], [2, None]], pa.list_(pa.int32()), pa.list_(INT)),
        ([[1, 2], None, [3, None]], pa.list_(INT), pa.list_(INT, 2)),
        ([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2), pa.large_list(REQUIRED)),
        ([[1, 2], None, [3, 4]], pa.list_view(INT), pa.list_(REQUIRED, 2)),
        ([[0.5], [float("inf")]], pa.list_(pa.float32()), pa.large_list_view(DOUBLE)),
        ([["a"], ["b", "a"]], pa.list_(TEXT), pa.list_(pa.dictionary(pa.int8(), TEXT))),
        ([[[1]], [None, []]], pa.list_(pa.list_(pa.int8())), pa.list_(pa.large_list(INT))),
        ([{"a": 1, "b": "x"}, None], structs(a=pa.int8(), b=pa.large_string()), structs(a=INT, b=TEXT)),
        ([{"a": 1}, None], structs(a=INT), pa.struct([pa.field("a", INT, nullable=False)])),
        ([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.large_string(), pa.int8()), pa.map_(TEXT, INT)),
        ([{"a": []}], structs(a=pa.list_(pa.null())), structs(a=pa.list_(INT))),
    ],
)
def test_nested_values_of_another_layout_are_taken(
    values: list[Any], found: pa.DataType, expected: pa.DataType, sliced: bool
) -> None:
    array = pa.array([*values, *values], found)[len(values) :] if sliced else pa.array(values, found)
    taken = conform(pa.table({"value": array}), contract_of(expected), location="memory")["value"]
    assert taken.dtype == pd.ArrowDtype(expected)
    assert pa.array(taken).to_pylist() == values


def test_nan_is_a_value_in_a_list_of_another_layout() -> None:
    table = pa.table({"value": pa.array([[float("nan")]], pa.list_(DOUBLE))})
    taken = conform(table, contract_of(pa.large_list(DOUBLE)), location="memory")["value"]
    assert np.isnan(pa.array(taken).to_pylist()[0][0])


@pytest.mark.parametrize(
    ("values", "found", "expected", "said"),
    [
        ([["1"]], pa.list_(TEXT), pa.list_(INT), "expected int64, found text"),
        ([["2024-02-29"]], pa.list_(TEXT), pa.list_(pa.date32()), "expected date32, found text"),
        ([[1]], pa.list_(INT), pa.list_(pa.bool_()), "expected bool, found int64"),
        ([[1]], pa.list_(INT), pa.list_(TEXT), "expected string, found int64"),
        ([[5]], pa.list_(INT), pa.list_(pa.timestamp("s")), "found int64"),
        ([[5]], pa.list_(INT), pa.list_(pa.duration("s")), "found int64"),
        ([[5]], pa.list_(pa.int32()), pa.list_(pa.time32("s")), "found int32"),
        ([[NOON]], pa.list_(pa.timestamp("s")), pa.list_(pa.timestamp("s", "UTC")), "found timestamp"),
        ([[NOON]], pa.list_(pa.timestamp("s", "UTC")), pa.list_(pa.timestamp("s")), "found timestamp"),
        ([[b"a"]], pa.list_(pa.binary()), pa.list_(TEXT), "expected string, found binary"),
        ([[1], [2, None]], pa.list_(INT), pa.list_(REQUIRED), "[2, None] in row 2"),
        ([[1], [300]], pa.list_(INT), pa.list_(pa.int8()), "[300] in row 2"),
        ([[1], [1, 2]], pa.list_(INT), pa.list_(INT, 2), "[1] in row 1"),
        ([{"a": "1"}], structs(a=TEXT), structs(a=INT), "expected int64, found text"),
        ([{"a": 1}], structs(a=INT), structs(a=INT, b=INT), "the field names differ"),
        ([{"a": 1, "b": 2}], structs(a=INT, b=INT), structs(a=INT), "the field names differ"),
        ([{"a": None}], structs(a=INT), pa.struct([pa.field("a", INT, nullable=False)]), "in row 1"),
        ([[("a", "1")]], pa.map_(TEXT, TEXT), pa.map_(TEXT, INT), "expected int64, found text"),
        ([[("1", 1)]], pa.map_(TEXT, INT), pa.map_(INT, INT), "expected int64, found text"),
        ([[1]], pa.list_(INT), structs(a=INT), "expected struct<a: int64>, found list<item: int64>"),
    ],
)
def test_nested_values_of_another_meaning_are_refused(
    values: list[Any], found: pa.DataType, expected: pa.DataType, said: str
) -> None:
    with pytest.raises(ContractError) as caught:
        conform(pa.table({"value": pa.array(values, found)}), contract_of(expected), location="memory")
    assert said in str(caught.value)


def test_a_null_item_is_refused_though_its_file_says_there_is_none() -> None:
    offsets = pa.array([0, 2], pa.int32())
    array = pa.ListArray.from_arrays(offsets, pa.array([1, None], INT), type=pa.list_(REQUIRED))
    with pytest.raises(ContractError, match=r"\[1, None\] in row 1"):
        conform(pa.table({"value": array}), contract_of(array.type), location="memory")
    with pytest.raises(ContractError, match=r"\[1, None\] in row 1"):
        conform(pd.DataFrame({"value": [[1, None]]}), contract_of(array.type), location="memory")


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize(
    "arrow_type", [pa.timestamp("ns"), pa.timestamp("s"), pa.timestamp("us", "UTC"), pa.duration("ms")]
)
def test_a_time_that_pandas_takes_for_a_null_is_refused(arrow_type: pa.DataType, nullable: bool) -> None:
    contract = contract_of(arrow_type, nullable=nullable)
    table = pa.table({"value": pa.array([0, -(2**63) + 1], INT).view(arrow_type)})
    assert conform(table, contract, location="memory")["value"].notna().all()
    table = pa.table({"value": pa.array([0, -(2**63)], INT).view(arrow_type)})
    with pytest.raises(ContractError, match=r"pandas reads as a null; 1 row: .* in row 2"):
        conform(table, contract, location="memory")


CODED = pa.dictionary(pa.int8(), TEXT)


def coded(*chunks: tuple[list[int | None], list[str | None]]) -> pa.Table:
    arrays = [pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(values)) for codes, values in chunks]
    return pa.table({"value": pa.chunked_array(arrays)})


def test_a_null_in_a_dictionary_is_a_null() -> None:
    table = coded(([0, 1], ["x", None]))
    found = conform(table, contract_of(CODED), location="memory")["value"]
    assert found.isna().tolist() == [False, True]
    with pytest.raises(ContractError, match="null in a column that is not nullable; 1 row: null in row 2"):
        conform(table, contract_of(CODED, nullable=False), location="memory")


def test_a_key_of_codes_is_compared_by_its_values() -> None:
    contract = contract_of(CODED, nullable=False, key="value")
    with pytest.raises(ContractError, match="key that occurs in more than one row; 1 row: 'x' in row 2"):
        conform(coded(([0, 1], ["x", "x"])), contract, location="memory")
    with pytest.raises(ContractError, match="key that occurs in more than one row; 1 row: 'y' in row 3"):
        conform(coded(([0, 1], ["x", "y"]), ([0, 1], ["y", "z"])), contract, location="memory")
    # Together these have more values than codes.
    halves = [(list(range(100)), [f"{half}{i}" for i in range(100)]) for half in "ab"]
    assert len(conform(coded(*halves), contract, location="memory")) == 200


def test_nan_is_a_value_of_a_float_that_holds_no_nulls() -> None:
    assert conformed([1.0, np.nan], pa.float64(), nullable=False) == [1.0, None]
    assert "null in a column that is not nullable; 1 row: null in row 2" in refusal(
        pd.array([1.0, None], "Float64"), pa.float64(), nullable=False
    )


@pytest.mark.parametrize(
    ("values", "arrow_type"), [([1, None], pa.int64()), (["a", None], pa.string()), ([DAY, None], pa.date32())]
)
def test_null_where_none_is_allowed_is_refused(values: Any, arrow_type: pa.DataType) -> None:
    assert "null in a column that is not nullable; 1 row: null in row 2" in refusal(values, arrow_type, nullable=False)


@pytest.mark.parametrize(
    ("check", "values", "said"),
    [
        (Check(minimum=0), [1, -1, None], "below the minimum 0; 1 row: -1 in row 2"),
        (Check(maximum=1.5), [1, 2], "above the maximum 1.5; 1 row: 2 in row 2"),
        (Check(allowed=(1, 2)), [1, 3], "not among the allowed values 1, 2; 1 row: 3 in row 2"),
    ],
)
def test_checks_are_applied(check: Check, values: Any, said: str) -> None:
    assert said in refusal(values, pa.int64(), checks={"value": check})


def test_limits_beyond_the_type_order_its_values_all_the_same() -> None:
    assert conformed([1], pa.int64(), checks={"value": Check(minimum=-(2**70), maximum=2**70)}) == [1]
    assert "below the minimum 1180591620717411303424" in refusal(
        [1], pa.int64(), checks={"value": Check(minimum=2**70)}
    )
    assert conformed([1], pa.int8(), checks={"value": Check(allowed=(1, 1000, 1.5))}) == [1]


def test_what_can_be_no_key_and_no_check_is_refused_with_the_contract() -> None:
    with pytest.raises(ConfigError, match="column 'value' of the key is nested"):
        contract_of(pa.list_(pa.int64()), key="value")
    with pytest.raises(ConfigError, match="the check of column 'value' must be a Check"):
        contract_of(pa.int64(), checks={"value": 3})


def test_a_pattern_matches_the_whole_text_by_pythons_rules() -> None:
    check = {"value": Check(pattern=r"(?P<a>[a-z])\d+(?P=a)")}
    assert conformed(["a1a", None], pa.string(), checks=check) == ["a1a", None]
    assert "'a1ab' in row 1" in refusal(["a1ab"], pa.string(), checks=check)


@pytest.mark.parametrize(
    ("values", "arrow_type"),
    [
        ([1, 2, 1], pa.int64()),
        (["a", "b", "a"], pa.string()),
        ([DAY, dt.date(2000, 1, 1), DAY], pa.date32()),
        ([0.5, 1.5, 0.5], pa.float64()),
        ([True, False, True], pa.bool_()),
        ([Decimal(1), Decimal(2), Decimal(1)], pa.decimal128(5, 2)),
        (pd.to_datetime([NOON, DAY, NOON]), pa.timestamp("us")),
        ([2**63 + 1, 2**63, 2**63 + 1], pa.uint64()),
        ([b"a", b"b", b"a"], pa.binary()),
        (pd.to_timedelta([1, 2, 1]), pa.duration("ns")),
        (["a", "b", "a"], pa.dictionary(pa.int32(), pa.string())),
        ([dt.time(1), dt.time(2), dt.time(1)], pa.time64("us")),
    ],
)
def test_a_repeated_key_is_refused(values: Any, arrow_type: pa.DataType) -> None:
    message = refusal(values, arrow_type, nullable=False, key=("value",))
    assert "key that occurs in more than one row; 1 row" in message
    assert "in row 3" in message


def test_a_key_of_several_columns_is_compared_as_a_whole() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.int64())])
    contract = DatasetContract("pairs", schema, key=("a", "b", "c"))
    big = 2**62
    frame = pd.DataFrame({"a": [1, 1, -big, big], "b": ["x", "y", "x", "x"], "c": [-big, -big, big, big]})
    assert len(conform(frame, contract, location="memory")) == 4
    again = pd.concat([frame, frame.iloc[[2]]])
    with pytest.raises(ContractError, match=r"a, b, c: key that occurs in more than one row; 1 row: .* in row 5"):
        conform(again, contract, location="memory")


def test_the_report_is_bounded_whatever_is_wrong() -> None:
    schema = pa.schema([(f"c{i}", pa.int8()) for i in range(50)])
    rows = 200_000
    frame = pd.DataFrame({f"c{i}": np.full(rows, 1000 + i) for i in range(50)})
    with pytest.raises(ContractError) as caught:
        conform(frame, DatasetContract("wide", schema), location="memory")
    assert "and 42 more" in str(caught.value)
    assert len(str(caught.value)) < 3000


def test_missing_columns_are_named_with_the_nearest() -> None:
    contract = DatasetContract("orders", pa.schema([("order_id", pa.int64()), ("total", pa.int64())]))
    with pytest.raises(
        ContractError, match=r"lacks 'order_id' \(did you mean 'orderid'\?\); it has 'orderid', 'total'"
    ):
        conform(pd.DataFrame({"orderid": [1], "total": [2]}), contract, location="memory")


def test_names_are_shown_short_and_in_one_line() -> None:
    frame = pd.DataFrame({"two\nlines\x00": [1], "x" * 100_000: [2], "größe": [3]})
    with pytest.raises(ContractError) as caught:
        conform(frame, contract_of(pa.int64(), source_names={"value": "y\n" * 100_000}), location="memory")
    assert len(str(caught.value)) < 500
    assert r"'two\nlines\x00', 'xxx" in str(caught.value)
    assert "…', 'größe'" in str(caught.value)


@pytest.mark.parametrize("zone", ["+05:30:15", "+5:30", "+24:00", "Mars/X", "/etc/passwd"])
def test_a_zone_that_is_none_is_refused_with_the_contract(zone: str) -> None:
    for arrow_type in (pa.timestamp("us", zone), pa.list_(pa.struct([("a", pa.timestamp("us", zone))]))):
        with pytest.raises(ConfigError, match="column 'value' has the time zone"):
            contract_of(arrow_type)


def test_extra_columns_are_dropped_or_refused() -> None:
    frame = pd.DataFrame({"value": [1], "other": [2]})
    assert list(conform(frame, contract_of(pa.int64()), location="memory")) == ["value"]
    with pytest.raises(ContractError, match="unexpected 'other'"):
        conform(frame, contract_of(pa.int64(), extra_columns="refuse"), location="memory")


def test_columns_are_found_by_source_names_or_by_node_names() -> None:
    contract = DatasetContract(
        "planes", pa.schema([("tailnum", pa.string()), ("year", pa.int64())]), prefix="planes_",
        source_names={"year": "Year built"},
    )  # fmt: skip
    by_source = pd.DataFrame({"Year built": [1], "tailnum": ["a"]})
    by_node = pd.DataFrame({"planes_tailnum": ["a"], "planes_year": [1]})
    pandas.testing.assert_frame_equal(
        conform(by_source, contract, location="memory"), conform(by_node, contract, location="memory")
    )


def test_a_frame_that_could_have_either_names_has_those_of_nodes_and_a_table_those_of_its_source() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    exchanged = DatasetContract("exchanged", schema, source_names={"a": "b", "b": "a"})
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert conform(frame, exchanged, location="memory")["a"].tolist() == [1]
    assert conform(pa.Table.from_pandas(frame), exchanged, location="file")["a"].tolist() == [2]


def test_the_callers_frame_and_the_conformed_one_share_no_memory() -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.float64()), ("c", pa.string())])
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"]})
    found = conform(frame, DatasetContract("one", schema), location="memory")
    found.loc[0, ["a", "b"]] = [9, 9.5]
    frame.loc[1, ["a", "b"]] = [8, 8.5]
    assert frame["a"].tolist() == [1, 8]
    assert found["a"].tolist() == [9, 2]
    assert found["b"].tolist() == [9.5, 1.5]


def test_an_index_is_no_column_but_explains_a_missing_one() -> None:
    frame = pd.DataFrame({"value": [1, 2]}).set_index(pd.Index(["a", "b"], name="other"))
    assert conform(frame, contract_of(pa.int64()), location="memory").index.equals(pd.RangeIndex(2))
    with pytest.raises(ContractError, match="'value' is the index"):
        conform(frame.set_index("value"), contract_of(pa.int64()), location="memory")
