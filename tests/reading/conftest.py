"""A bucket behind the fault proxy, and a dataset in every format."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from loaders import DatasetContract
from loaders.config.storage import StorageSettings, use_storage
from loaders.sandbox.s3_server import S3Server
from tests.fault_proxy import FaultProxy

ORDERS = DatasetContract(
    "orders",
    pa.schema(
        [
            pa.field("order_id", pa.int64(), nullable=False),
            pa.field("placed", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("day", pa.date32()),
            pa.field("amount", pa.decimal128(12, 2)),
            pa.field("weight", pa.float64()),
            pa.field("items", pa.int32()),
            pa.field("note", pa.string()),
        ]
    ),
    key=("order_id",),
)
FORMATS = ("csv", "csv.gz", "jsonl", "parquet", "feather")
# Deadline for tests: what takes minutes with the defaults takes a second or two.
IMPATIENT = StorageSettings(
    connect_timeout_seconds=1, stall_timeout_seconds=0.3, deadline_seconds=4, attempts=3, minimum_rate_bytes=64 << 10
)


def orders(rows: int = 3000, *, seed: int = 1) -> pa.Table:
    """Rows whose values differ with the seed, whose number does not."""
    numbers = range(seed * 1_000_000, seed * 1_000_000 + rows)
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    columns = {
        "order_id": list(numbers),
        "placed": [start + dt.timedelta(seconds=i * 7, microseconds=i) for i in range(rows)],
        "day": [None if i % 10 == 3 else dt.date(2024, 1, 1) + dt.timedelta(days=i % 900) for i in range(rows)],
        "amount": [None if i % 7 == 0 else f"{i * seed % 9973}.{i % 100:02}" for i in range(rows)],
        "weight": [None if i % 5 == 0 else i * 0.1 / seed for i in range(rows)],
        "items": [None if i % 4 == 0 else i % 97 for i in range(rows)],
        "note": [None if i % 6 == 0 else f'näch{i * seed}, "sö"\nweiter' for i in range(rows)],
    }
    amounts = pa.array(columns.pop("amount"), pa.string()).cast(pa.decimal128(12, 2))
    table = pa.table({name: pa.array(values, ORDERS.schema.field(name).type) for name, values in columns.items()})
    return table.append_column("amount", amounts).select(list(ORDERS.columns))


def encoded(table: pa.Table, format_name: str) -> bytes:
    """The table as a file of the format."""
    import gzip

    sink = io.BytesIO()
    match format_name:
        case "csv" | "csv.gz":
            data = table.to_pandas(types_mapper=pd.ArrowDtype).to_csv(index=False).encode()
            return gzip.compress(data, 1) if format_name == "csv.gz" else data
        case "jsonl":
            rows = table.to_pylist()
            return "".join(json.dumps(row, default=str) + "\n" for row in rows).encode()
        case "parquet":
            pyarrow.parquet.write_table(table, sink, row_group_size=500, write_page_checksum=True)
        case "feather":
            pyarrow.feather.write_feather(table, sink, compression="lz4")
    return sink.getvalue()


@pytest.fixture(scope="module")
def shared_proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3_server) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    """A bucket for all tests of a module, whose keys tell them apart: making one takes longer than most of them."""
    name = f"reading-{os.urandom(6).hex()}"
    s3_server.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def proxy(shared_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """The proxy, without faults, as the S3 of this test's environment."""
    shared_proxy.clear()
    for name, value in shared_proxy.environment().items():
        monkeypatch.setenv(name, value)
    return shared_proxy


@pytest.fixture
def impatient() -> Iterator[None]:
    with use_storage(IMPATIENT):
        yield


Put = Callable[..., str]


@pytest.fixture(scope="module")
def s3_client(s3_server: S3Server) -> Any:
    return s3_server.client()


@pytest.fixture
def put(s3_client: Any, bucket: str) -> Put:
    """Put bytes under a key of this test's own, not through the proxy; gives the location."""
    folder = os.urandom(4).hex()

    def put(key: str, data: bytes, **extra: Any) -> str:
        s3_client.put_object(Bucket=bucket, Key=f"{folder}/{key}", Body=data, **extra)
        return f"s3://{bucket}/{folder}/{key}"

    return put
