"""What `reading.py` measures: reads of lineitem by this toolkit, by what people use instead, and by a plain GET."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

COLUMNS = ("l_orderkey", "l_extendedprice", "l_shipdate")
DATASETS = 16
Read = Callable[[], Any]


def lineitem() -> Any:
    import pyarrow as pa

    from loaders import DatasetContract

    money, text = pa.decimal128(15, 2), pa.string()
    types = {
        **dict.fromkeys(("l_orderkey", "l_partkey", "l_suppkey"), pa.int64()),
        "l_linenumber": pa.int32(),
        **dict.fromkeys(("l_quantity", "l_extendedprice", "l_discount", "l_tax"), money),
        **dict.fromkeys(("l_returnflag", "l_linestatus"), text),
        **dict.fromkeys(("l_shipdate", "l_commitdate", "l_receiptdate"), pa.date32()),
        **dict.fromkeys(("l_shipinstruct", "l_shipmode", "l_comment"), text),
    }
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])
    return DatasetContract("lineitem", schema, key=("l_orderkey", "l_linenumber"))


def location(name: str) -> str:
    return f"s3://bench/{name}"


def _store() -> Any:
    import obstore

    return obstore.store.S3Store(
        "bench",
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
    )


def _get(name: str) -> Any:
    import obstore

    return obstore.get(_store(), name).bytes()


def ours_csv() -> Read:
    from loaders import read_table

    contract = lineitem()
    return lambda: read_table(location("lineitem.csv"), contract)


def floor_csv() -> Read:
    """A plain GET and the parse of its bytes from memory, in the contract's types; nothing verified."""
    return lambda: _parsed("lineitem.csv")


def _parsed(name: str) -> Any:
    import pyarrow as pa
    import pyarrow.csv as csv

    convert = csv.ConvertOptions(column_types={field.name: field.type for field in lineitem().schema})
    return csv.read_csv(pa.BufferReader(pa.py_buffer(_get(name))), convert_options=convert)


def pandas_csv() -> Read:
    import pandas as pd

    return lambda: pd.read_csv(location("lineitem.csv"))


def polars_csv() -> Read:
    import polars as pl

    return lambda: pl.read_csv(location("lineitem.csv"), storage_options=_polars_options())


def ours_parquet() -> Read:
    from loaders import read_table

    contract = lineitem()
    return lambda: read_table(location("lineitem.parquet"), contract)


def pandas_parquet() -> Read:
    import pandas as pd

    return lambda: pd.read_parquet(location("lineitem.parquet"))


def arrow_parquet() -> Read:
    import pyarrow.parquet as pq
    from pyarrow.fs import S3FileSystem

    def read() -> Any:
        endpoint = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
        fs = S3FileSystem(endpoint_override=endpoint, scheme="http", region="us-east-1")
        return pq.read_table("bench/lineitem.parquet", filesystem=fs).to_pandas()

    return read


def polars_parquet() -> Read:
    import polars as pl

    return lambda: pl.read_parquet(location("lineitem.parquet"), storage_options=_polars_options())


def polars_parquet_columns() -> Read:
    import polars as pl

    options = _polars_options()
    return lambda: pl.scan_parquet(location("lineitem.parquet"), storage_options=options).select(COLUMNS).collect()


def ours_parquet_columns() -> Read:
    from loaders import read_table
    from loaders.config.storage import StorageSettings, use_storage

    contract = lineitem()

    def read() -> Any:
        with use_storage(StorageSettings(verify="ranges")):
            return read_table(location("lineitem.parquet"), contract, columns=COLUMNS)

    return read


def pandas_parquet_columns() -> Read:
    import pandas as pd

    return lambda: pd.read_parquet(location("lineitem.parquet"), columns=list(COLUMNS))


def bare_parquet_columns() -> Read:
    """The GETs of these columns' chunks alone; nothing is found out, verified or decoded."""
    return _chunk_reads()[0]


def floor_parquet_columns() -> Read:
    """The same, and the chunks' decoding from memory to Arrow; what the footer says is known before."""
    import numpy as np
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    get, starts, metadata, size_bytes = _chunk_reads()

    def read() -> Any:
        # What is not written to takes no memory.
        file = np.empty(size_bytes, np.uint8)
        for start, data in zip(starts, get(), strict=True):
            file[start : start + len(data)] = np.frombuffer(data, np.uint8)
        return ParquetFile(pa.BufferReader(pa.py_buffer(file)), metadata=metadata, pre_buffer=False).read(COLUMNS)

    return read


def _chunk_reads() -> tuple[Read, list[int], Any, int]:
    """Return what fetches the columns' chunks, where each starts, and the metadata and size of the file."""
    import obstore
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.py_buffer(_get("lineitem.parquet"))
    metadata = pq.read_metadata(pa.BufferReader(data))
    chunks = column_chunks(metadata)
    starts = [min(chunk.dictionary_page_offset, chunk.data_page_offset) for chunk in chunks]
    lengths = [chunk.total_compressed_size for chunk in chunks]
    store = _store()

    def get() -> Any:
        return obstore.get_ranges(store, "lineitem.parquet", starts=starts, lengths=lengths, coalesce=0)

    return get, starts, metadata, data.size


def column_chunks(metadata: Any) -> list[Any]:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(position) for group in groups for position in range(group.num_columns)]
    return [chunk for chunk in chunks if chunk.path_in_schema in COLUMNS]


def one_small() -> Read:
    from loaders import read_table

    contract = lineitem()
    return lambda: read_table(location("small-00.csv"), contract)


def many_small() -> Read:
    """As the driver loads them: a thread for each dataset."""
    from loaders import read_table

    contract = lineitem()
    return lambda: _of_each_small(lambda name: read_table(location(name), contract))


def floor_one_small() -> Read:
    return lambda: _parsed("small-00.csv")


def floor_many_small() -> Read:
    """The plain GETs and parses of the same, in as many threads."""
    return lambda: _of_each_small(_parsed)


def _of_each_small(read: Callable[[str], Any]) -> list[Any]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(DATASETS) as executor:
        return list(executor.map(read, [f"small-{number:02}.csv" for number in range(DATASETS)]))


def _polars_options() -> dict[str, str]:
    return {
        "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }


KINDS: dict[str, Callable[[], Read]] = {
    kind.__name__: kind
    for kind in (
        *(ours_csv, floor_csv, pandas_csv, polars_csv, ours_parquet, pandas_parquet, arrow_parquet, polars_parquet),
        *(ours_parquet_columns, pandas_parquet_columns, polars_parquet_columns),
        *(bare_parquet_columns, floor_parquet_columns),
        *(one_small, many_small, floor_one_small, floor_many_small),
    )
}
WITH_LATENCY = tuple(kind for kind in KINDS if kind.endswith("_small"))
