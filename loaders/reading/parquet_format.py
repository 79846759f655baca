"""Parquet: the footer says where the columns lie; only what is wanted is decoded."""

from __future__ import annotations

import pyarrow as pa

from loaders.conform import match_columns
from loaders.contract import DatasetContract
from loaders.errors import ReadError
from loaders.violation import Origin

MAGIC = b"PAR1"


def parse_parquet(data: pa.Buffer, contract: DatasetContract, wanted: tuple[str, ...], origin: Origin) -> pa.Table:
    """Return the wanted columns by their source names, in the types of the file."""
    # Not pyarrow.parquet.read_table: it imports pyarrow.dataset, which takes as long as pandas.
    from pyarrow.parquet import ParquetFile

    view = memoryview(data)
    if view.nbytes < 12 or view[:4] != MAGIC or view[-4:] != MAGIC:
        raise ReadError(
            f"'{origin.location}' is no whole Parquet file: "
            + ("it is empty." if not view.nbytes else "its footer is missing, so it may be cut short.")
        )
    try:
        file = ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        names = match_columns(file.schema_arrow.names, contract, wanted, origin)
        return file.read(columns=list(names.values()), use_threads=True)
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"'{origin.location}' is damaged: {str(error).splitlines()[0][:300]}") from None
