"""A dataset's frame as a file that reads back as the same frame: for samples, the sandbox and tests."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pandas as pd
import pyarrow as pa

from loaders.contract import DatasetContract
from loaders.errors import ConfigError

_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def encode_table(frame: pd.DataFrame, contract: DatasetContract, name: str) -> bytes:
    """Return the bytes of a file called `name` that holds a frame of the contract under the source's column names.

    The format follows the name's ending, or the contract's format where it says one. Raises ConfigError for an
    ending that is no format, and for a type that the format cannot hold.
    """
    table = _source_table(frame, contract)
    stem, compress = name, None
    for suffix, compressor in _COMPRESSORS.items():
        if name.lower().endswith(suffix):
            stem, compress = name[: -len(suffix)], compressor
    kind = contract.format.format or stem.lower().rpartition(".")[2]
    writers: dict[str, Callable[[pa.Table, DatasetContract], bytes]] = {
        "parquet": _parquet,
        "csv": _csv,
        "tsv": lambda table, contract: _csv(table, contract, "\t"),
        "feather": _feather,
        "arrow": _feather,
        "jsonl": _json_lines,
        "ndjson": _json_lines,
    }
    if kind not in writers:
        raise ConfigError(f"'{name}': the ending is no format that can be written. Use one of {', '.join(writers)}.")
    try:
        data = writers[kind](table, contract)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise ConfigError(f"Dataset '{contract.name}' cannot be written as '{name}': {error}.") from None
    return compress(data) if compress else data


def _source_table(frame: pd.DataFrame, contract: DatasetContract) -> pa.Table:
    fields = [column.with_name(contract.source_name(column.name)) for column in contract.schema]
    arrays = [pa.Array.from_pandas(frame[column.name], type=column.type) for column in contract.schema]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _parquet(table: pa.Table, contract: DatasetContract) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return bytes(sink.getvalue())


def _feather(table: pa.Table, contract: DatasetContract) -> bytes:
    import pyarrow.feather as feather

    sink = pa.BufferOutputStream()
    feather.write_feather(table, sink, compression="uncompressed")
    return bytes(sink.getvalue())


def _csv(table: pa.Table, contract: DatasetContract, delimiter: str = ",") -> bytes:
    import pyarrow.csv as csv

    options = csv.WriteOptions(delimiter=contract.format.delimiter or delimiter, quoting_style="needed")
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, options)
    return bytes(sink.getvalue())


def _json_lines(table: pa.Table, contract: DatasetContract) -> bytes:
    import json

    lines = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
    return "".join(f"{line}\n" for line in lines).encode()
