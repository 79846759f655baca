"""Contracts with every type, rule and shape of key, for tests of what is made from a contract."""

from __future__ import annotations

import datetime as dt
import decimal

import pyarrow as pa

from loaders import Check, DatasetContract

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "+05:30")
UNITS = ("s", "ms", "us", "ns")

TYPES: tuple[pa.DataType, ...] = (
    pa.bool_(),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(5)),
    *(pa.date32(), pa.date64()),
    *(pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp(unit) for unit in UNITS),
    *(pa.timestamp(unit, zone) for unit in UNITS for zone in ZONES),
    *(pa.duration(unit) for unit in UNITS),
    *(pa.decimal32(7, 2), pa.decimal64(15, 3), pa.decimal128(38, 10), pa.decimal128(5, -2), pa.decimal256(70, 6)),
    *(pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.int64())),
    *(pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.date32(), 3), pa.list_(pa.list_(pa.float32()))),
    *(pa.list_(pa.field("item", pa.int32(), nullable=False)), pa.list_view(pa.int8()), pa.large_list_view(pa.string())),
    *(pa.list_(pa.string_view()), pa.dictionary(pa.int16(), pa.string_view())),
    pa.struct([pa.field("a", pa.int8()), pa.field("b", pa.string(), nullable=False)]),
    *(pa.map_(pa.string(), pa.int64()), pa.map_(pa.bool_(), pa.float64())),
    pa.month_day_nano_interval(),
)


def one_column(
    arrow_type: pa.DataType, *, nullable: bool = True, check: Check | None = None, key: bool = False
) -> DatasetContract:
    schema = pa.schema([pa.field("value", arrow_type, nullable=nullable)])
    return DatasetContract("one", schema, key=("value",) if key else (), checks={"value": check} if check else {})


#: A type, and a check that its values obey.
CHECKED: tuple[tuple[pa.DataType, Check], ...] = (
    (pa.int64(), Check(minimum=0)),
    (pa.int64(), Check(maximum=-(10**18))),
    (pa.int8(), Check(minimum=-3, maximum=4)),
    (pa.int16(), Check(minimum=0.5, maximum=2.5)),
    (pa.uint64(), Check(minimum=2**63, maximum=2**64 - 1)),
    (pa.float64(), Check(minimum=0)),
    (pa.float64(), Check(minimum=0.1, maximum=0.2)),
    (pa.float32(), Check(minimum=0.1, maximum=0.1000001)),
    (pa.float16(), Check(maximum=-5)),
    (pa.decimal32(5, 2), Check(maximum=0)),
    (pa.decimal128(10, 2), Check(minimum=decimal.Decimal("0.01"), maximum=decimal.Decimal("0.05"))),
    (pa.decimal128(38, 0), Check(minimum=decimal.Decimal(10) ** 37)),
    (pa.date32(), Check(minimum=dt.date(2013, 1, 1), maximum=dt.date(2013, 1, 31))),
    (pa.date64(), Check(minimum=dt.date(2013, 1, 1))),
    (pa.timestamp("s"), Check(minimum=dt.datetime(2013, 1, 1, 0, 0, 0, 5), maximum=dt.datetime(2013, 1, 1, 0, 1))),
    (pa.timestamp("ns", "Europe/Berlin"), Check(minimum=dt.datetime(2024, 3, 31, tzinfo=dt.UTC))),
    (pa.time32("s"), Check(minimum=dt.time(8), maximum=dt.time(17))),
    (pa.duration("ms"), Check(minimum=dt.timedelta(seconds=1), maximum=dt.timedelta(seconds=2))),
    (pa.string(), Check(allowed=("EWR", "JFK", "LGA"))),
    (pa.string(), Check(allowed=("a", "bb", "ccc"), pattern="b+|c+")),
    (pa.string(), Check(pattern=r"[A-Z]{2}-\d{3,5}")),
    (pa.large_string(), Check(pattern=r"(?i:ab|cd)(e?)[^\W\d_]\1.\.")),
    (pa.string(), Check(minimum="m", maximum="n")),
    (pa.string(), Check(pattern="")),
    (pa.int32(), Check(allowed=(1, 5, 9), minimum=2)),
    (pa.bool_(), Check(allowed=(True,))),
    (pa.date32(), Check(allowed=(dt.date(2024, 2, 29),))),
    (pa.dictionary(pa.int8(), pa.string()), Check(allowed=("low", "high"))),
)

AIRLINES = DatasetContract(
    "airlines",
    pa.schema([pa.field("carrier", pa.string(), nullable=False), ("name", pa.string())]),
    key=("carrier",),
    prefix="airlines_",
    checks={"carrier": Check(pattern="[A-Z0-9]{2}")},
)
PEOPLE = DatasetContract(
    "people",
    pa.schema([pa.field("id", pa.int64(), nullable=False), ("boss", pa.int64()), ("team", pa.int32())]),
    key=("id",),
    prefix="people_",
    references={"boss": "people.id", "team": "teams.id"},
    checks={"id": Check(minimum=1)},
)
TEAMS = DatasetContract(
    "teams",
    pa.schema([pa.field("id", pa.int32(), nullable=False), pa.field("lead", pa.int64(), nullable=False)]),
    key=("id",),
    prefix="teams_",
    references={"lead": "people.id"},
)
LEGS = DatasetContract(
    "legs",
    pa.schema(
        [
            pa.field("carrier", pa.large_string(), nullable=False),
            pa.field("flight", pa.int16(), nullable=False),
            pa.field("day", pa.date32(), nullable=False),
            pa.field("return_carrier", pa.string()),
        ]
    ),
    key=("carrier", "flight", "day"),
    checks={"flight": Check(minimum=1, maximum=9999)},
    references={"carrier": "airlines.carrier", "return_carrier": "airlines.airlines_carrier"},
)
RELATED = (LEGS, PEOPLE, TEAMS, AIRLINES)
