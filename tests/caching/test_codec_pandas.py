"""pandas' own collections of objects, and what they leave out, come back exactly."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas import conftest
from pandas.tests.io.generate_legacy_storage_files import create_pickle_data

from caching.codec import NotExact, encode
from tests.caching.exactness import assert_same
from tests.caching.round_trip import round_trip

MISSING_VALUES = [None, np.nan, pd.NA, pd.NaT, float("nan"), Decimal("NaN"), np.datetime64("NaT", "ns")]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "+05:30",
    datetime.UTC,
    datetime.timezone(datetime.timedelta(hours=2), "two"),
    "dateutil/Asia/Tokyo",
]


def _legacy_objects() -> dict[str, object]:
    return {
        f"{kind}-{name}": value
        for kind, values in create_pickle_data().items()
        for name, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


LEGACY = _legacy_objects()


@pytest.mark.parametrize("name", LEGACY)
def test_objects_of_pandas_own_pickle_tests_come_back_exactly(name: str) -> None:
    assert_same(LEGACY[name], round_trip(LEGACY[name]))


@pytest.mark.parametrize("name", conftest.indices_dict)
def test_indexes_of_pandas_own_tests_come_back_exactly(name: str) -> None:
    index = conftest.indices_dict[name]
    assert_same(index, round_trip(index))
    assert_same(index.to_series(), round_trip(index.to_series()))
    frame = pd.DataFrame({"x": range(len(index))}, index=index)
    assert_same(frame, round_trip(frame))
    assert_same(frame.T, round_trip(frame.T))


DTYPES = [
    *(
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ),
    *(
        "complex64",
        "complex128",
        "bool",
        "longdouble",
        ">i4",
        ">f8",
        "datetime64[s]",
        "datetime64[ms]",
        "datetime64[us]",
    ),
    *("datetime64[ns]", "timedelta64[s]", "timedelta64[ms]", "timedelta64[us]", "timedelta64[ns]", "object"),
    *(
        "Int8",
        "Int64",
        "UInt16",
        "Float32",
        "Float64",
        "boolean",
        "category",
        "Sparse[int64]",
        "Sparse[float64, nan]",
    ),
    *(
        "int64[pyarrow]",
        "double[pyarrow]",
        "bool[pyarrow]",
        "timestamp[us, UTC][pyarrow]",
        "duration[ms][pyarrow]",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_exactly(dtype: str) -> None:
    series = pd.Series([0, 1, 1, 0, 1], name="n").astype(dtype)
    assert_same(series, round_trip(series))
    assert_same(series[:0], round_trip(series[:0]))
    assert_same(series[1::2], round_trip(series[1::2]))
    frame = pd.DataFrame({"a": series, "b": series, "c": range(5)})
    assert_same(frame, round_trip(frame))
    assert_same(frame[::-2], round_trip(frame[::-2]))
    if not dtype.startswith(("Sparse", "float16")):
        assert_same(pd.Index(series), round_trip(pd.Index(series)))


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
@pytest.mark.parametrize("missing", [np.nan, pd.NA], ids=["nan", "NA"])
def test_strings_keep_storage_and_missing_value(storage: str, missing: object) -> None:
    dtype = pd.StringDtype(storage, na_value=missing)
    series = pd.Series(["a", "", None, "żółw", "\U0001f422" * 50, None], dtype=dtype)
    for value in (
        series,
        series[2:4],
        series[:0],
        series[5:],
        series[1:].reset_index(drop=True),
        pd.Index(series),
    ):
        assert_same(value, round_trip(value))
    assert_same(pd.concat([series, series]), round_trip(pd.concat([series, series])))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_times_keep_unit_and_zone(unit: str, zone: object) -> None:
    times = pd.date_range("2021-10-30", periods=40, freq="h", tz=zone, unit=unit)
    for value in (
        times,
        times.to_series(),
        pd.DataFrame({"a": times, "b": times}),
        times[3],
        list(times),
        times[::-1],
    ):
        assert_same(value, round_trip(value))
    assert_same(times.to_series().astype(object), round_trip(times.to_series().astype(object)))


def test_pytz_zones_come_back_as_they_are() -> None:
    pytz = pytest.importorskip("pytz")
    for zone in (pytz.UTC, pytz.timezone("US/Eastern"), pytz.FixedOffset(90)):
        times = pd.date_range("2021-10-30", periods=40, freq="12h", tz=zone)
        assert_same(times, round_trip(times))
        assert_same(list(times), round_trip(list(times)))
        moment = zone.localize(datetime.datetime(2021, 7, 1)) if hasattr(zone, "localize") else None
        assert_same(moment, round_trip(moment))


FREQUENCIES = [
    "D",
    "2h",
    "ME",
    "MS",
    "QE-MAR",
    "YE-JUN",
    "W-WED",
    "B",
    "WOM-2TUE",
    "min",
    "7s",
    "BME",
    "SME",
    "bh",
]


@pytest.mark.parametrize("freq", FREQUENCIES)
def test_an_index_keeps_its_freq(freq: str) -> None:
    index = pd.date_range("2020-01-01", periods=6, freq=freq)
    back = round_trip(index)
    assert_same(index, back)
    assert back.freq is not None


OFFSETS = [
    pd.DateOffset(months=2, day=3),
    pd.DateOffset(weekday=2),
    pd.offsets.CustomBusinessDay(holidays=["2020-01-02"]),
    pd.offsets.CustomBusinessDay(weekmask="Sun Mon Tue"),
    pd.offsets.BusinessHour(start="07:00", end="15:00"),
    pd.offsets.FY5253Quarter(weekday=3, startingMonth=12, variation="last"),
    pd.offsets.Easter(2),
    pd.offsets.MonthEnd(3, normalize=True),
    pd.offsets.BusinessDay(offset=datetime.timedelta(hours=1)),
]


@pytest.mark.parametrize("offset", OFFSETS, ids=str)
def test_offsets_come_back_exactly(offset: pd.DateOffset) -> None:
    back = round_trip(offset)
    assert type(back) is type(offset)
    assert back == offset
    assert back.normalize == offset.normalize
    start = pd.Timestamp("2020-01-01 09:30")
    assert [start + offset * n for n in range(1, 9)] == [start + back * n for n in range(1, 9)]


def test_object_columns_keep_the_type_of_each_item() -> None:
    items = [
        *MISSING_VALUES,
        1,
        True,
        1.0,
        "1",
        b"1",
        np.int64(1),
        np.float32(1),
        Decimal("1.0"),
        (1,),
        [1, [2]],
        {"a": {1}},
        datetime.date(2020, 1, 1),
        datetime.datetime(2020, 1, 1),
        pd.Timestamp("2020", tz="UTC"),
        pd.Timedelta(1),
        pd.Period("2020", "M"),
        pd.Interval(0, 1),
        np.array([1, 2]),
        10**30,
        -0.0,
        1j,
    ]
    series = pd.Series(items, dtype=object)
    assert_same(series, round_trip(series))
    frame = pd.DataFrame({"a": series, "b": list(reversed(items)), "c": 1})
    assert_same(frame, round_trip(frame))
    assert_same(frame.T, round_trip(frame.T))


@pytest.mark.parametrize("missing", MISSING_VALUES, ids=repr)
def test_missing_values_are_told_apart(missing: object) -> None:
    for items in ([missing], ["a", missing], ["a", *[missing] * 20], [1.5, *[missing] * 20, None]):
        series = pd.Series(items, dtype=object)
        assert_same(series, round_trip(series))


def test_columns_may_repeat_and_have_levels_and_names() -> None:
    frames = [
        pd.DataFrame([[1, 2.0, "x"]], columns=["a", "a", "a"]),
        pd.DataFrame([[1, 2.0, "x"]], columns=pd.Index([1, "1", None], dtype=object, name=("n", 1))),
        pd.DataFrame([[1, 2.0]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["l", None])),
        pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["x", "y"], categories=["y", "x"], ordered=True)),
        pd.DataFrame([[1, 2]], columns=pd.date_range("2020", periods=2, freq="D")),
        pd.DataFrame([[1, 2]], columns=pd.RangeIndex(5, 1, -2)),
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        pd.DataFrame(columns=["a"]),
        pd.DataFrame({"a": []}),
    ]
    for frame in frames:
        assert_same(frame, round_trip(frame))


def test_multi_indexes_keep_unused_levels_missing_codes_and_sortorder() -> None:
    index = pd.MultiIndex(
        levels=[pd.date_range("2020", periods=3, freq="D"), pd.Index(["a", "b"], dtype="category")],
        codes=[[0, 2, -1], [1, 1, 0]],
        names=["when", "what"],
        sortorder=None,
    )
    assert_same(index, round_trip(index))
    assert_same(index[:1], round_trip(index[:1]))
    ordered = pd.MultiIndex.from_product([[1, 2], ["a", "b"]])
    assert_same(ordered, round_trip(ordered))


def test_attrs_and_flags_come_back() -> None:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = {"source": ("x", 1), "inner": {"when": datetime.date(2020, 1, 1)}}
    unique = frame.set_flags(allows_duplicate_labels=False)
    for value in (frame, unique, frame["a"], unique["a"]):
        assert_same(value, round_trip(value))


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "categories",
    [
        ["b", "a", "unused"],
        [3, 1],
        [1.5, 2],
        pd.date_range("2020", periods=3, tz="UTC"),
        [(1, 2), "x"],
        pd.interval_range(0, 2),
        pd.Index(["b", "a"], dtype=object),
        pd.array([1, 2], dtype="Int64"),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_categories_keep_order_and_dtype(categories: object, ordered: bool) -> None:
    dtype = pd.CategoricalDtype(pd.Index(categories), ordered=ordered)  # type: ignore[arg-type]
    values = pd.Categorical.from_codes([0, 1, -1, 0], dtype=dtype)
    for value in (values, pd.Series(values), pd.CategoricalIndex(values), pd.DataFrame({"a": values})):
        assert_same(value, round_trip(value))


@pytest.mark.parametrize("closed", ["left", "right", "both", "neither"])
def test_intervals_keep_sides_and_closing(closed: str) -> None:
    for breaks in ([0, 1, 2], [0.5, 1.5, np.inf], pd.date_range("2020", periods=3, tz="Europe/Oslo")):
        index = pd.IntervalIndex.from_breaks(breaks, closed=closed)  # type: ignore[call-overload]
        assert_same(index, round_trip(index))
        assert_same(pd.Series(index), round_trip(pd.Series(index)))
    holes = pd.arrays.IntervalArray.from_tuples([(0, 1), np.nan, (1, 5)], closed=closed)  # type: ignore[list-item]
    assert_same(holes, round_trip(holes))


def test_sparse_arrays_keep_kind_and_fill_value() -> None:
    for kind in ("integer", "block"):
        for fill in (0, 1, np.nan):
            array = pd.arrays.SparseArray([0, 0, 1, 2.5, 0], fill_value=fill, kind=kind)  # type: ignore[arg-type]
            assert_same(array, round_trip(array))


ARROW_TYPES = [
    pa.list_(pa.int64()),
    pa.struct([("a", pa.int8()), ("b", pa.string())]),
    pa.map_(pa.string(), pa.int64()),
    pa.dictionary(pa.int8(), pa.string()),
    pa.decimal128(10, 2),
    pa.date32(),
    pa.time64("us"),
    pa.binary(),
    pa.string_view(),
    pa.large_list(pa.string()),
    pa.timestamp("ns", "Asia/Tokyo"),
    pa.null(),
    pa.string(),
    pa.month_day_nano_interval(),
    pa.binary(3),
    pa.bool_(),
    pa.decimal256(50, 3),
    pa.large_string(),
    pa.float16(),
]
SAMPLES = {
    "list": [[1], None, []],
    "large_list": [["x"], None, []],
    "struct": [{"a": 1, "b": "x"}, None, {"a": None, "b": None}],
    "map": [[("a", 1)], None, []],
    "decimal": [Decimal("1.50"), None],
    "date": [datetime.date(2020, 1, 1), None],
    "time64": [datetime.time(1), None],
    "timestamp": [1, None],
    "null": [None, None],
    "month": [None, None],
    "fixed": [b"abc", None],
    "bool": [True, None, False, True, True, False, None, False, True],
    "half": [np.float16(1), None],
}


@pytest.mark.parametrize("kind", ARROW_TYPES, ids=str)
def test_arrow_backed_columns_come_back_exactly(kind: pa.DataType) -> None:
    items = next(
        (v for name, v in SAMPLES.items() if str(kind).startswith(name)),
        ["abc", None, "", "longer than twelve"],
    )
    items = [item.encode() if isinstance(item, str) and "binary" in str(kind) else item for item in items]
    array = pa.array(items * 5, kind)
    for part in (array, array[1:], array[3:7], array[:0], array[9:]):
        assert_same(part, round_trip(part))
        assert_same(pa.chunked_array([part, array]), round_trip(pa.chunked_array([part, array])))
    assert_same(pa.chunked_array([], kind), round_trip(pa.chunked_array([], kind)))
    series = pd.Series(array, dtype=pd.ArrowDtype(kind))
    assert_same(series, round_trip(series))
    assert_same(series[2:], round_trip(series[2:]))


def test_writing_into_a_frame_that_came_back_works() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, 2], "s": ["x", "y"], "t": pd.to_datetime(["2020", "2021"])})
    back = round_trip(frame)
    back.iloc[0, 0] = 9
    back.loc[1, "s"] = "new"
    back.loc[0, "t"] = pd.Timestamp("1999")
    back["b"] += 1
    assert back.to_dict("list")["a"] == [9, 2]
    assert frame.to_dict("list")["a"] == [1, 2]


class _Frame(pd.DataFrame):
    """A subclass, as geopandas makes one."""


@pytest.mark.parametrize(
    "value",
    [_Frame({"a": [1]}), pd.Series([object()]), pd.DataFrame({"a": [_Frame()]}), pd.Series([1], name=_Frame)],
    ids=["subclass", "object", "subclass inside", "name"],
)
def test_what_cannot_come_back_exactly_is_refused(value: object) -> None:
    with pytest.raises(NotExact, match="no exact form"):
        encode(value)
