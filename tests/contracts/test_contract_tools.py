"""Contracts as YAML, from real files, compared, and in the words of the Open Data Contract Standard."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loaders import Check, ConfigError, DatasetContract, FormatOptions, ReadError, read_table
from loaders.contracts import MARKETING_SPEND
from loaders.sandbox.s3_server import S3Server
from loaders.schema.type_names import parse_type, type_text

RICH = DatasetContract(
    "orders",
    pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False),
            ("day", pa.date32()),
            ("at", pa.timestamp("us", tz="Europe/Berlin")),
            ("amount", pa.decimal128(12, 2)),
            ("state", pa.dictionary(pa.int8(), pa.string())),
            ("opens", pa.time64("us")),
            ("took", pa.duration("ms")),
            ("tags", pa.list_(pa.field("item", pa.string(), nullable=False))),
            ("address", pa.struct([("street", pa.string()), pa.field("zip", pa.int32(), nullable=False)])),
            ("sizes", pa.map_(pa.string(), pa.float64())),
        ]
    ),
    key=("id", "day"),
    description="Orders; one row per order: and day.",
    prefix="orders_",
    source_names={"amount": "Amount (EUR)"},
    checks={
        "amount": Check(minimum=decimal.Decimal("0.01"), maximum=decimal.Decimal("99.90")),
        "day": Check(minimum=dt.date(2020, 1, 1)),
        "at": Check(maximum=dt.datetime(2030, 1, 1, tzinfo=dt.UTC)),
        "state": Check(allowed=("open", "no", "1")),
        "opens": Check(minimum=dt.time(8, 30)),
    },
    extra_columns="refuse",
    format=FormatOptions(delimiter=";", null_values=("", "NA"), encoding="latin-1"),
    references={"id": "customers.customers_id"},
)


@pytest.mark.parametrize("contract", [RICH, MARKETING_SPEND], ids=lambda contract: contract.name)
def test_yaml_reads_back_as_an_equal_contract(contract: DatasetContract) -> None:
    text = contract.to_yaml()
    assert DatasetContract.from_yaml(text) == contract
    assert DatasetContract.from_yaml(text).to_yaml() == text


def types() -> st.SearchStrategy[pa.DataType]:
    names = ("bool", "int8", "uint64", "float16", "float32", "float64", "string", "large_string", "binary", "date64")
    plain = st.sampled_from([parse_type(name) for name in names])
    units = st.sampled_from(["s", "ms", "us", "ns"])
    timed = st.builds(pa.timestamp, units, tz=st.sampled_from([None, "UTC", "+02:00", "America/New_York"]))
    decimals = st.builds(pa.decimal256, st.integers(20, 70), st.integers(-5, 20))
    leaves = plain | timed | decimals | units.map(pa.duration)

    def nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
        field = st.builds(pa.field, st.sampled_from(["item", "a_b"]), inner, nullable=st.booleans())
        structs = st.builds(lambda a, b: pa.struct([a, pa.field("other", b)]), field, inner)
        sized = st.builds(pa.list_, field, st.integers(1, 5))
        return field.map(pa.list_) | field.map(pa.large_list) | sized | structs | st.builds(pa.map_, plain, inner)

    return st.recursive(leaves, nested, max_leaves=4)


@given(types())
def test_every_type_reads_back_from_its_text(arrow_type: pa.DataType) -> None:
    assert parse_type(type_text(arrow_type)) == arrow_type


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"columns": {"a": "int46"}}, "column 'a': 'int46' is not an Arrow type. Did you mean 'int64'?"),
        ({"columns": {"a": {"type": "int64", "minimun": 3}}}, "Did you mean 'minimum'?"),
        ({"colums": {}}, "Did you mean 'columns'?"),
        ({"columns": {"a": 3}}, "give its type"),
        ({"key": "b"}, "key names 'x_b'"),
        ({"format": {"delimeter": ";"}}, "delimeter"),
    ],
)
def test_mistake_in_yaml_is_refused_naming_what_is_right(change: dict[str, Any], expected: str) -> None:
    good = {"dataset": "x", "prefix": "x_", "columns": {"a": "int64"}}
    with pytest.raises(ConfigError) as caught:
        DatasetContract.from_yaml(yaml.safe_dump(good | change))
    assert expected in str(caught.value)


# --- drafts from files ---

SCHEMA = pa.schema(
    [
        pa.field("Order ID", pa.int32(), nullable=False),
        ("amount", pa.decimal128(8, 2)),
        ("at", pa.timestamp("ms", tz="UTC")),
        ("name", pa.string()),
        ("class", pa.float32()),
    ]
)
TABLE = pa.table(
    {
        "Order ID": [1, 2],
        "amount": [decimal.Decimal("1.50"), None],
        "at": [dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 2,
        "name": ["a", "b"],
        "class": [0.5, 1.5],
    },
    schema=SCHEMA,
)


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_draft_of_a_typed_file_is_exact_and_reads_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"my orders.{suffix}"
    if suffix == "parquet":
        pq.write_table(TABLE, path)
    else:
        pyarrow.feather.write_feather(TABLE, path, compression="uncompressed")
    contract = DatasetContract.infer(path)
    assert contract.name == "my_orders"
    assert contract.schema.types == SCHEMA.types
    assert [field.nullable for field in contract.schema] == [False, True, True, True, True]
    assert contract.columns == ("order_id", "amount", "at", "name", "class_")
    assert "guess" not in contract.description
    frame = read_table(path, contract)
    assert list(frame["order_id"]) == [1, 2]
    assert DatasetContract.from_yaml(contract.to_yaml()) == contract


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("weekly.csv", "week,spend,code\n2024-01-01,1.5,x\n2024-01-08,NA,y\n"),
        ("weekly.tsv", "week\tspend\tcode\n2024-01-01\t1.5\tx\n2024-01-08\tNA\ty\n"),
        ("weekly.csv.gz", "week;spend;code\n2024-01-01;1.5;x\n2024-01-08;NA;y\n"),
    ],
)
def test_draft_of_a_text_is_a_guess_that_says_so_and_reads_it(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    contract = DatasetContract.infer(path)
    assert contract.schema.types == [pa.date32(), pa.float64(), pa.string()]
    assert "guess" in contract.description
    assert read_table(path, contract)["spend"].isna().tolist() == [False, True]


def test_draft_of_json_lines_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"id": 1, "tags": ["a"]}\n{"id": 2, "tags": []}\n')
    contract = DatasetContract.infer(path)
    assert contract.schema.types == [pa.int64(), pa.list_(pa.string())]
    assert list(read_table(path, contract)["id"]) == [1, 2]


def test_draft_of_a_json_array_says_what_to_write_instead(tmp_path: Path) -> None:
    (tmp_path / "events.json").write_text('[\n  {"id": 1}\n]\n')
    with pytest.raises(ReadError, match="a JSON array, not JSON Lines"):
        DatasetContract.infer(tmp_path / "events.json")


def test_draft_of_a_large_object_takes_its_footer_alone(s3_bucket: str, s3_server: S3Server) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": range(500_000)}), sink)
    s3_server.client().put_object(Bucket=s3_bucket, Key="large.parquet", Body=sink.getvalue().to_pybytes())
    contract = DatasetContract.infer(f"s3://{s3_bucket}/large.parquet", "numbers")
    assert (contract.name, contract.schema.types) == ("numbers", [pa.int64()])


@pytest.mark.parametrize(("name", "body"), [("a.csv", b""), ("a.parquet", b"PAR1 and no more"), ("gone.csv", None)])
def test_draft_of_what_is_no_file_of_its_kind_is_refused(tmp_path: Path, name: str, body: bytes | None) -> None:
    if body is not None:
        (tmp_path / name).write_bytes(body)
    with pytest.raises(ReadError, match=name):
        DatasetContract.infer(tmp_path / name)


# --- changes ---

BASE = DatasetContract(
    "orders",
    pa.schema([pa.field("id", pa.int64(), nullable=False), ("amount", pa.float64()), ("state", pa.string())]),
    key=("id",),
    checks={"amount": Check(minimum=0, maximum=10), "state": Check(allowed=("open", "paid"))},
    references={"state": "states.code"},
)


def other(**changes: Any) -> DatasetContract:
    return dataclasses.replace(BASE, **changes)


def with_field(name: str, arrow_type: pa.DataType, *, nullable: bool = True) -> pa.Schema:
    index = BASE.schema.get_field_index(name)
    return BASE.schema.set(index, pa.field(name, arrow_type, nullable=nullable))


BREAKING = {
    "column removed": other(schema=BASE.schema.remove(1), checks={"state": BASE.checks["state"]}),
    "other type": other(schema=with_field("amount", pa.float32())),
    "nulls may appear": other(schema=with_field("id", pa.int64())),
    "key dropped": other(key=()),
    "key of more columns": other(key=("id", "state")),
    "wider range": other(checks={**BASE.checks, "amount": Check(minimum=-1, maximum=10)}),
    "another allowed value": other(checks={**BASE.checks, "state": Check(allowed=("open", "paid", "lost"))}),
    "reference dropped": other(references={}),
    "renamed": other(name="order"),
}
SAFE = {
    "column added": other(schema=BASE.schema.append(pa.field("note", pa.string()))),
    "not null any more": other(schema=with_field("amount", pa.float64(), nullable=False)),
    "text laid out otherwise": other(schema=with_field("state", pa.large_string())),
    "narrower range": other(checks={**BASE.checks, "amount": Check(minimum=1, maximum=9)}),
    "fewer allowed values": other(checks={**BASE.checks, "state": Check(allowed=("open",))}),
    "description": other(description="Orders."),
    "format": other(format=FormatOptions(delimiter=";")),
    "source name": other(source_names={"amount": "sum"}),
    "order": other(schema=pa.schema([BASE.schema.field(n) for n in ("state", "id", "amount")])),
}


@pytest.mark.parametrize("what", BREAKING)
def test_change_that_readers_notice_breaks_them(what: str) -> None:
    (change,) = [change for change in BASE.diff(BREAKING[what]) if change.breaks_readers]
    assert "breaks readers" in str(change)


@pytest.mark.parametrize("what", SAFE)
def test_change_that_readers_do_not_notice_is_safe(what: str) -> None:
    (change,) = BASE.diff(SAFE[what])
    assert not change.breaks_readers
    assert "safe" in str(change)


def test_contract_does_not_differ_from_itself() -> None:
    assert BASE.diff(BASE) == []
    assert RICH.diff(DatasetContract.from_yaml(RICH.to_yaml())) == []


# --- the Open Data Contract Standard ---


def test_export_has_what_the_standard_requires_and_every_column() -> None:
    document = yaml.safe_load(RICH.to_odcs())
    assert {name: document[name] for name in ("apiVersion", "kind", "name", "version", "status")} == {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "name": "orders",
        "version": "1.0.0",
        "status": "draft",
    }
    assert document["id"] == yaml.safe_load(RICH.to_odcs())["id"]
    (orders,) = document["schema"]
    properties = {found["name"]: found for found in orders["properties"]}
    assert list(properties) == list(RICH.columns)
    assert [found["logicalType"] for found in properties.values()] == [
        *("integer", "date", "timestamp", "number", "string", "time", "integer", "array", "object", "object")
    ]
    assert properties["orders_id"]["primaryKeyPosition"] == 1
    assert properties["orders_id"]["required"] is True
    assert properties["orders_id"]["relationships"][0]["to"] == "customers.odcs.yaml#customers.customers_id"
    assert properties["orders_amount"]["physicalName"] == "Amount (EUR)"
    assert properties["orders_amount"]["logicalTypeOptions"] == {"minimum": 0.01, "maximum": 99.9}
    assert properties["orders_state"]["quality"][0]["arguments"] == {"validValues": ["open", "no", "1"]}
    assert properties["orders_address"]["properties"][1] == {
        "name": "zip",
        "logicalType": "integer",
        "physicalType": "int32",
        "required": True,
    }
    assert properties["orders_tags"]["items"]["logicalType"] == "string"
    assert orders["quality"][0]["arguments"] == {"properties": ["orders_id", "orders_day"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": 3}, "name must be text, found 3"),
        ({"prefix": 3}, "prefix must be text"),
        ({"format": "csv"}, r"format must be FormatOptions\(…\), found 'csv'"),
        ({"checks": []}, "checks must be a mapping of columns"),
        ({"key": 3}, "key must be the names of columns"),
        ({"key": ("a", "a")}, "column of the key 'a' occurs more than once"),
    ],
)
def test_an_argument_of_another_type_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DatasetContract(**{"name": "o", "schema": pa.schema([("a", pa.int64())]), **options})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minimum": 5, "maximum": 1}, "minimum 5 is above its maximum 1"),
        ({"allowed": 3}, "allowed must list the values"),
        ({"allowed": "abc"}, "allowed must list the values"),
        ({"pattern": 3}, "pattern 3 is not a valid regular expression"),
    ],
)
def test_a_check_that_no_value_can_pass_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Check(**options)
