"""A bucket behind the fault proxy, and a dataset in every format."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import Callable, Iterator

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from loaders import DatasetContract
from loaders.s3_server import S3Server
from loaders.storage import StorageSettings, use_storage
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
# Patience for tests: what takes minutes with the defaults takes a second or two.
IMPATIENT = StorageSettings(
    connect_timeout_seconds=1, stall_timeout_seconds=0.4, deadline_seconds=4, attempts=3, minimum_rate_bytes=64 << 10
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
        "note": [None if i % 6 == 0 else f"näch{i * seed}, \"sö\"\nweiter" for i in range(rows)],
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


@pytest.fixture
def proxy(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    with FaultProxy(s3_server) as proxy:
        for name, value in proxy.environment().items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def impatient() -> Iterator[None]:
    with use_storage(IMPATIENT):
        yield


Put = Callable[..., str]


@pytest.fixture
def put(s3_server: S3Server, s3_bucket: str) -> Put:
    """Put bytes under a key, not through the proxy; gives the location."""
    client = s3_server.client()

    def put(key: str, data: bytes, *, checksum: str | None = None) -> str:
        extra = {} if checksum is None else {"ChecksumAlgorithm": checksum}
        client.put_object(Bucket=s3_bucket, Key=key, Body=data, **extra)
        return f"s3://{s3_bucket}/{key}"

    return put
