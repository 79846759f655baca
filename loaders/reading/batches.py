"""`read_batches` and `scan_polars`: a dataset of any size in checked batches of bounded size."""

from __future__ import annotations

import contextvars
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caching import versioned_reads
from loaders.clients.cancellation import active_cancellation
from loaders.clients.client import client_for
from loaders.clients.location import Location, parse_location, refuse_others
from loaders.clients.progress import Tracker
from loaders.clients.source import MissingError
from loaders.conforming.conformity import check_rules, typed_table, wanted_columns
from loaders.conforming.frame_kinds import arrow_table, polars_frame, polars_module, polars_schema
from loaders.conforming.violation import Origin
from loaders.errors import ConfigError, LoaderWarning
from loaders.formats.batches import first_pieces, pieces
from loaders.formats.request import Request
from loaders.reading.partition import partition_column
from loaders.reading.parts import Part, folder_parts, parts_of
from loaders.reading.unique_keys import UniqueKeys
from loaders.reading.versions import record_local, record_remote
from loaders.schema import DatasetSchema
from loaders.schema.active_format import active_format
from loaders.schema.format_options import FormatOptions

if TYPE_CHECKING:
    import polars as pl

_BATCH_ROWS = 1 << 16


def read_batches(
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    *,
    columns: Sequence[str] | None = None,
    rows: int | None = None,
    allow: Collection[str] | None = None,
    version: str | None = None,
) -> pa.RecordBatchReader:
    """Return a reader of a dataset in record batches, each typed and checked, in the order of the data.

    Memory holds a piece of one file: row groups of Parquet that decode to 32 MiB, or 8 MiB of CSV or JSON Lines. What
    can be verified only as a whole (`storage: verify`) is fetched to a temporary file and verified before its first
    batch. Of Parquet in ranges, each piece is verified. Other formats and encodings of several bytes are read whole.
    Nothing is fetched that the consumer does not ask for.

    That keys are unique is proven over all batches if the ranges of their first column do not overlap, or if the keys
    fit in 64 MiB; otherwise a LoaderWarning says that it was not checked. A violation is raised by the batch that has
    it, one of the whole dataset at the end; batches before it were handed out then.

    Args:
        location: a path or a URL of a file, a pattern (`parts/*.csv`), or a folder of parts.
        contract: the dataset's contract.
        columns: the wanted columns, by node name; None for all.
        rows: the largest number of rows of a batch; None for 65,536.
        allow: the protocols that the calling source reads; None for any.
        version: the version id (S3) or generation (Google Cloud Storage) of the object to read; None for the present.

    Raises:
        ReadError, ContractError, ConfigError: as `read_table`, when the reader is read.
    """
    place = _place(location, contract, allow, sys._getframe(1).f_globals)
    if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
        raise ConfigError(f"A batch has 1 or more rows; found rows={rows!r}.")
    batches = _Batches(contract, wanted_columns(contract, columns), active_format(contract), version)
    schema = pa.schema([contract.schema.field(name) for name in batches.wanted])
    return pa.RecordBatchReader.from_batches(schema, batches.read(place, rows or _BATCH_ROWS))


def scan_polars(
    location: str | os.PathLike[str],
    contract: DatasetSchema,
    *,
    allow: Collection[str] | None = None,
    version: str | None = None,
) -> pl.LazyFrame:
    """Return a lazy polars frame of a dataset; `collect` reads the batches of `read_batches`.

    Only the columns that the query uses are read and checked, filters are applied to each batch, and reading stops
    after the rows that are wanted. `collect(engine="streaming")` holds a batch at a time. Violations of the contract
    are raised by `collect`.
    """
    place = _place(location, contract, allow, sys._getframe(1).f_globals)
    polars = polars_module()
    options = active_format(contract)
    # Polars asks for the batches in a thread of its own, which has none of the settings that hold here.
    settings = contextvars.copy_context()

    def batches(
        with_columns: list[str] | None, predicate: Any, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        stream = _Batches(contract, wanted_columns(contract, with_columns), options, version)
        left = n_rows
        here, read = settings.copy(), stream.read(place, batch_size or _BATCH_ROWS)
        while (batch := here.run(next, read, None)) is not None:
            frame = polars_frame(pa.Table.from_batches([batch]), contract)
            if left is not None:
                frame = frame.head(left)
                left -= len(frame)
            yield frame if predicate is None else frame.filter(predicate)
            if left == 0:
                return

    lazy: pl.LazyFrame = polars.io.plugins.register_io_source(
        batches, schema=polars.Schema(polars_schema(contract)), validate_schema=True
    )
    return lazy


def first_table(
    place: Location, contract: DatasetSchema, wanted: tuple[str, ...], version: str | None, rows: int
) -> pa.Table:
    """Return the first rows of a dataset as a typed table; little more than them is read and checked."""
    stream = _Batches(contract, wanted, active_format(contract), version, first_rows=rows)
    schema = pa.schema([contract.schema.field(name) for name in wanted])
    found: list[pa.RecordBatch] = []
    for batch in stream.read(place, max(rows, 1)):
        found.append(batch)
        if sum(each.num_rows for each in found) >= rows:
            break
    table = pa.Table.from_batches(found, schema).slice(0, rows)
    return typed_table(dict(zip(wanted, table.columns, strict=True)), contract, Origin(place.shown))


def _place(location: Any, contract: Any, allow: Collection[str] | None, caller: dict[str, Any]) -> Location:
    if not isinstance(contract, DatasetSchema):
        raise ConfigError(f"The readers take the dataset's DatasetContract, found {type(contract).__name__}.")
    place = parse_location(location)
    refuse_others(place, allow, str(caller.get("__name__", "")).rpartition(".")[2])
    return place


class _Batches:
    """One pass over a dataset."""

    def __init__(
        self,
        contract: DatasetSchema,
        wanted: tuple[str, ...],
        options: FormatOptions,
        version: str | None,
        first_rows: int | None = None,
    ) -> None:
        self.wanted = wanted
        self._contract = contract
        self._options = options
        self._version = version
        self._first_rows = first_rows
        self._versions: dict[str, str] = {}
        self._keys = UniqueKeys(contract, wanted)

    def read(self, location: Location, rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches."""
        with Tracker(self._contract.name, location.shown) as tracker:
            for table in self._tables(location, tracker):
                yield from arrow_table(table, self._contract).to_batches(max_chunksize=rows)
            self._keys.finish(location.shown)
        if self._keys.is_unproven:
            warnings.warn(
                f"Dataset '{self._contract.name}': it was not checked that the key {self._contract.key} is unique over "
                f"all of '{location.shown}', because its batches overlap and the keys are larger than 64 MiB.",
                LoaderWarning,
                stacklevel=2,
            )

    def _tables(self, location: Location, tracker: Tracker) -> Iterator[pa.Table]:
        parts = parts_of(location, self._options)
        if location.protocol == "file":
            record_local(location, parts)
        try:
            with versioned_reads():
                first = client_for(parts[0].location).open(parts[0].location, tracker, self._version)
        except MissingError as missing:
            parts = folder_parts(location, self._options, missing)
            if not parts:
                raise
            first = None
        for part in parts:
            source = (
                first if first is not None else client_for(part.location).open(part.location, tracker, self._version)
            )
            first = None
            yield from self._part(part, source)
        if location.protocol != "file":
            record_remote(location, self._versions, self._version)

    def _part(self, part: Part, source: Any) -> Iterator[pa.Table]:
        origin = Origin(part.location.shown)
        request = Request(self._contract, self._options, self.wanted, origin, part.partitions)
        try:
            tables = pieces(source, request) if self._first_rows is None else first_pieces(source, request)
            yield from self._typed(tables, part)
        finally:
            # Raises if the file changed while it was read.
            source.close()
        self._versions[part.location.url] = source.version

    def _typed(self, tables: Iterator[pa.Table], part: Part) -> Iterator[pa.Table]:
        rows = 0
        while True:
            active_cancellation().check()
            # Only here: what the consumer does between two batches is its own.
            with versioned_reads():
                piece = next(tables, None)
            if piece is None:
                return
            origin = Origin(part.location.shown, first_row=rows)
            columns = {
                name: piece[name]
                if name in piece.column_names
                else partition_column(name, part.partitions, self._contract, piece.num_rows, origin)
                for name in self.wanted
            }
            table = typed_table(columns, self._contract, origin)
            check_rules(table, self._contract, origin)
            self._keys.add(table)
            rows += piece.num_rows
            yield table
